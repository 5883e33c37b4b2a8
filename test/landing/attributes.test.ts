import { describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import { makeRepo, type Repo, withProject, writeFiles } from "../helpers/repo.ts";

const log = "first\n";

/** Two agents that both append to CHANGELOG, and main that appended too; `attributes` decide what comes of it. */
function appending(files: Record<string, string>): { repo: Repo; specs: string[] } {
  const repo = makeRepo({ files: { "docs/CHANGELOG": log, "a.txt": "a\n", ...files } });
  const specs = ["one", "two"].map(
    (name) => withProject(repo, name, { from: "main", files: { "docs/CHANGELOG": `${log}${name}\n` } }).spec,
  );
  return { repo, specs };
}

describe("merge attributes of the target", () => {
  const union: [string, Record<string, string>][] = [
    ["at the top", { ".gitattributes": "CHANGELOG merge=union\n" }],
    ["in the file's own directory", { "docs/.gitattributes": "CHANGELOG merge=union\n" }],
  ];
  const places: [string, (repo: Repo) => void][] = [
    ["checked out", () => {}],
    ["not checked out", (repo) => repo.git("checkout", "-q", "--detach")],
    ["and another branch without them is out", (repo) => withoutAttributes(repo)],
  ];
  test.each(union.flatMap(([where, files]) => places.map(([state, go]) => ({ where, files, state, go }))))(
    "merge=union $where are honoured, the target $state",
    async ({ files, go }) => {
      const { repo, specs } = appending(files);
      go(repo);
      const db = await queueOf(repo, ...specs);
      const done = await tick(db);
      expect(done.report.summary.merged).toBe(2);
      expect(repo.show("docs/CHANGELOG", "main")).toBe("first\none\ntwo");
    },
  );

  test("are the target's, not those of the branch that is out", async () => {
    const { repo, specs } = appending({});
    repo.git("checkout", "-q", "-b", "other");
    repo.commit({ ".gitattributes": "CHANGELOG merge=union\n" });
    const db = await queueOf(repo, ...specs);
    expect((await tick(db)).report.summary).toMatchObject({ merged: 1, failed: 1 });
  });

  test("that the project before brought count for the next one", async () => {
    const repo = makeRepo({ files: { "docs/CHANGELOG": log } });
    const first = withProject(repo, "first", {
      files: { ".gitattributes": "CHANGELOG merge=union\n", "docs/CHANGELOG": `${log}one\n` },
    });
    const second = withProject(repo, "second", { files: { "docs/CHANGELOG": `${log}two\n` } });
    const db = await queueOf(repo, first.spec, second.spec);
    expect((await tick(db)).report.summary.merged).toBe(2);
    expect(repo.show("docs/CHANGELOG")).toBe("first\none\ntwo");
  });

  test("that only the agent has do not decide its own merge", async () => {
    const repo = makeRepo({ files: { "docs/CHANGELOG": log } });
    const { spec } = withProject(repo, "first", {
      files: { ".gitattributes": "CHANGELOG merge=union\n", "docs/CHANGELOG": `${log}one\n` },
    });
    repo.commit({ "docs/CHANGELOG": `${log}mine\n` });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).reason).toBe("conflict");
  });

  test("-merge makes a text file conflict, with both sides changed apart", async () => {
    const repo = makeRepo({ files: { ".gitattributes": "*.lock -merge\n", "x.lock": "1\n2\n3\n4\n5\n6\n7\n" } });
    const { spec } = withProject(repo, "cart", { files: { "x.lock": "one\n2\n3\n4\n5\n6\n7\n" } });
    repo.commit({ "x.lock": "1\n2\n3\n4\n5\n6\nseven\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ reason: "conflict", conflicts: ["x.lock"] });
  });

  test("of .git/info/attributes count as they do for git merge", async () => {
    const { repo, specs } = appending({});
    writeFiles(repo.path, { ".git/info/attributes": "CHANGELOG merge=union\n" });
    const db = await queueOf(repo, ...specs);
    expect((await tick(db)).report.summary.merged).toBe(2);
  });
});

function withoutAttributes(repo: Repo): void {
  repo.git("checkout", "-q", "--orphan", "bare");
  repo.git("rm", "-rqf", ".");
  repo.commit({ "x.txt": "x\n" });
}
