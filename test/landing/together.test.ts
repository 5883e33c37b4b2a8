import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cli } from "../helpers/cli.ts";
import { pushOf, queueOf, rowOf, tick, waitsOver } from "../helpers/landing.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import { colleague, isThere, makeRepo, withProject, withRemote, writeFiles } from "../helpers/repo.ts";

/* What lands together, and what must not be decided together. */

describe("several ways into one repository in one tick", () => {
  test("one branch by two rules: both land, the second on top of the first", async () => {
    const repo = makeRepo();
    withRemote(repo);
    const specs = ["a", "b", "c"].map((name) => withProject(repo, name).spec);
    const config = [`match = { name = "b" }\ntarget = "main"`, `match = { name = "c" }\npush = "off"`];
    const db = await queueOf(repo, ...specs);
    const done = await tick(db, [], { config: config.map((rule) => `[[rule]]\n${rule}\n`).join("\n") });
    expect([1, 2, 3].map((id) => done.of(id).outcome)).toEqual(["merged", "merged", "merged"]);
    expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("4");
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("two branches, of which the remote's first has moved on", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    repo.git("branch", "staging");
    repo.git("push", "-q", "origin", "staging");
    const other = colleague(remote);
    other.commit({ "theirs.txt": "x\n" });
    other.git("push", "-q");
    const specs = ["a", "b"].map((name) => withProject(repo, name).spec);
    const db = await queueOf(repo, ...specs);
    const done = await tick(db, [], { config: `[[rule]]\nmatch = { name = "b" }\ntarget = "staging"\n` });
    expect([done.of(1).push, done.of(2).push]).toEqual(["pushed", "pushed"]);
    for (const branch of ["main", "staging"])
      expect(remote.git("rev-parse", branch)).toBe(repo.git("rev-parse", branch));
  });

  test.each([
    ["first", 0],
    ["last", 1],
  ])("a rule trusts one project, which comes %s: its filter runs, for the other none does", async (_when, place) => {
    const repo = makeRepo({ files: { ".gitattributes": "*.up filter=mine\n", "a.up": "a\n", "b.up": "b\n" } });
    const names = place === 0 ? ["trusted", "other"] : ["other", "trusted"];
    const specs = names.map((name) => {
      const file = name === "trusted" ? "a.up" : "b.up";
      return withProject(repo, name, { files: { [file]: "agent\n" } }).spec;
    });
    const ran = join(repo.dir, "ran");
    writeFiles(repo.dir, { "bin/filter": { program: `#!/bin/sh\necho "$1" >> '${ran}'\ncat\n` } });
    repo.git("config", "filter.mine.smudge", `'${repo.dir}/bin/filter' %f`);
    const db = await queueOf(repo, ...specs);
    const done = await tick(db, [], { config: `[[rule]]\nmatch = { name = "trusted" }\ntrust = true\n` });
    expect(done.of(place + 1)).toMatchObject({ name: "trusted", outcome: "merged" });
    expect(done.of(2 - place)).toMatchObject({ name: "other", reason: "repository_untrusted" });
    expect(isThere(ran)).toBe(true);
    expect(repo.read("b.up")).toBe("b\n");
  });
});

test("work that an earlier project brings is recorded with that project's merge, not with the last one", async () => {
  const repo = makeRepo();
  const whole = withProject(repo, "whole");
  const other = withProject(repo, "other");
  const rider = withProject(repo, "rider", { from: whole.agent.head(), files: null });
  const db = await queueOf(repo, whole.spec, other.spec, rider.spec);
  const done = await tick(db);
  expect(done.of(3)).toMatchObject({ outcome: "merged", mergeCommit: done.of(1).mergeCommit, tag: done.of(1).tag });
  expect(done.of(2).mergeCommit).not.toBe(done.of(1).mergeCommit);
  expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("3");
});

describe("a push that is owed", () => {
  /** A project that landed while its remote was away. */
  async function owed() {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const db = await queueOf(repo, withProject(repo, "cart").spec);
    repo.git("remote", "set-url", "origin", join(repo.dir, "nowhere"));
    expect((await tick(db)).of(1).push).toBe("pending");
    await waitsOver(db);
    return { repo, remote, db };
  }

  test("is left alone where the configuration says never to push, and such a tick is idle", async () => {
    const { repo, remote, db } = await owed();
    repo.git("remote", "set-url", "origin", remote.path);
    const done = await tick(db, [], { config: `[push]\nmode = "off"\n` });
    expect(done.report.pushes).toEqual([]);
    expect(remote.git("rev-list", "--count", "main")).toBe("1");
  });

  test("of others is left alone by --only, which does not ask for it either", async () => {
    const { repo, db } = await owed();
    const other = makeRepo({ dir: repo.dir, name: "other" });
    await insertRows(db, [rowOf(other, withProject(other, "other").spec)]);
    expect((await tick(db, ["--only", "2"])).report).toMatchObject({ pushes: [], summary: { merged: 1 } });
    expect((await tick(db, ["--only", "1"])).report.pushes).toMatchObject([{ state: "pending" }]);
  });

  test("leaves with the attempt all that the refusing side said", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const lines = Array.from({ length: 40 }, (_, n) => `echo "policy ${n}: no" >&2`).join("\n");
    writeFiles(remote.path, { "hooks/pre-receive": { program: `#!/bin/sh\n${lines}\nexit 1\n` } });
    const db = await queueOf(repo, withProject(repo, "cart").spec);
    expect((await tick(db)).of(1).push).toBe("refused");
    const [row] = await sql(db, "SELECT output FROM merge_attempt");
    expect(String(row?.["output"])).toMatch(/policy 0: no[\s\S]*policy 39: no/);
  });

  test("is none once the remote is taken away", async () => {
    const { repo, db } = await owed();
    repo.git("remote", "remove", "origin");
    expect((await tick(db)).report.pushes).toMatchObject([{ state: "none", remote: null }]);
    expect(await pushOf(db, 1)).toBe("none");
    expect(await sql(db, "SELECT * FROM merge_push")).toEqual([]);
  });

  test("says why it cannot be tried, and waits longer each time", async () => {
    const { repo, remote, db } = await owed();
    repo.git("remote", "set-url", "origin", remote.path);
    const other = colleague(remote);
    other.commit({ "cart-developer.txt": "theirs\n" });
    other.git("push", "-q");
    const first = await tick(db);
    expect(first.report.pushes).toMatchObject([{ state: "pending", detail: expect.stringContaining("conflict") }]);
    expect((await tick(db)).report.pushes).toEqual([]);
    const [row] = await sql(db, "SELECT failures, detail FROM merge_push");
    expect(row).toMatchObject({ failures: 2, detail: expect.stringContaining("merge them by hand") });
  });

  test("of a repository that is gone is looked at more and more rarely", async () => {
    const { repo, db } = await owed();
    renameSync(repo.path, `${repo.path}.away`);
    expect((await tick(db)).report.pushes).toMatchObject([{ state: "pending", detail: "the repository is gone" }]);
    expect((await tick(db)).report.pushes).toEqual([]);
    renameSync(`${repo.path}.away`, repo.path);
  });

  test("takes no remote in where the target is checked out twice: one of them would fall behind", async () => {
    const { repo, remote, db } = await owed();
    repo.git("remote", "set-url", "origin", remote.path);
    repo.git("worktree", "add", "-q", "--force", join(repo.dir, "second"), "main");
    const other = colleague(remote);
    other.commit({ "theirs.txt": "x\n" });
    other.git("push", "-q");
    const before = repo.head();
    expect((await tick(db)).report.pushes).toMatchObject([
      { state: "pending", detail: expect.stringContaining("only one can be kept in step") },
    ]);
    expect([repo.head(), repo.git("status", "--porcelain")]).toEqual([before, ""]);
    rmSync(join(repo.dir, "second"), { recursive: true });
  });
});

test("demo --json is one document: the report of its run", async () => {
  const said = await cli(["demo", "--json"]);
  expect(said.code).toBe(0);
  expect(JSON.parse(said.stdout)).toMatchObject({ schema: 1, summary: { merged: 3, failed: 1, held: 1 } });
});
