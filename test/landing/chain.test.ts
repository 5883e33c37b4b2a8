import { describe, expect, test } from "vitest";
import { outcomeOf, queueOf, tick } from "../helpers/landing.ts";
import { makeRepo, refsOf, withProject, withRemote, writeFiles } from "../helpers/repo.ts";

describe("several projects of one repository", () => {
  test("chain: each merges onto the tip of the one before, in order, and each has a backup and a tag of its own", async () => {
    const repo = makeRepo();
    const base = repo.head();
    const agents = ["a", "b", "c", "d"].map((name) => withProject(repo, name));
    const db = await queueOf(
      repo,
      ...agents.map(({ spec }, index) => ({ spec_path: spec, priority: index === 3 ? 9 : 0 })),
    );
    const done = await tick(db);
    const order = [4, 1, 2, 3];
    expect(done.report.results.map(({ id }) => id)).toEqual(order);
    const commits = order.map((id) => String(done.of(id).mergeCommit));
    expect(repo.git("rev-list", "--first-parent", "--reverse", "main").split("\n")).toEqual([base, ...commits]);
    expect(order.map((id) => repo.git("rev-parse", String(done.of(id).backupRef)))).toEqual([
      base,
      ...commits.slice(0, 3),
    ]);
    expect(order.map((id) => repo.git("rev-parse", `${done.of(id).tag}^{commit}`))).toEqual(commits);
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("a conflict in the middle takes only itself out", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const specs = [
      withProject(repo, "a", { files: { "cart.txt": "a\n" } }),
      withProject(repo, "b", { files: { "cart.txt": "b\n", "b.txt": "b\n" } }),
      withProject(repo, "c", { files: { "c.txt": "c\n" } }),
    ].map(({ spec }) => spec);
    const db = await queueOf(repo, ...specs);
    const done = await tick(db);
    expect(done.code).toBe(4);
    expect([1, 2, 3].map((id) => done.of(id).outcome)).toEqual(["merged", "merge_failed", "merged"]);
    expect(done.of(2)).toMatchObject({ reason: "conflict", conflicts: ["cart.txt"], tag: null, backupRef: null });
    expect(done.of(2).detail).toMatch(/project 1 \(a\)/);
    expect([repo.show("cart.txt"), repo.show("b.txt"), repo.show("c.txt")]).toEqual(["a", null, "c"]);
    expect(repo.git("rev-parse", "main~1")).toBe(done.of(1).mergeCommit);
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
    expect(Object.keys(refsOf(remote))).toHaveLength(3);
  });

  test("after a conflict no merge is under way anywhere, and no marker is in any commit", async () => {
    const repo = makeRepo();
    const specs = ["a", "b", "c"].map((name) => withProject(repo, name, { files: { "cart.txt": `${name}\n` } }).spec);
    const db = await queueOf(repo, ...specs);
    await tick(db);
    expect(repo.git("status", "--porcelain")).toBe("");
    expect(() => repo.git("rev-parse", "--verify", "-q", "MERGE_HEAD")).toThrow();
    expect(repo.git("log", "--all", "-S", "<<<<<<<", "--oneline")).toBe("");
  });

  test("one without a worktree, one dirty and one clean: the clean one lands", async () => {
    const repo = makeRepo();
    const dirty = withProject(repo, "dirty");
    dirty.agent.write({ "half.txt": "x\n" });
    const clean = withProject(repo, "clean");
    writeFiles(repo.dir, { "specs/gone.md": "# gone\n" });
    const db = await queueOf(repo, `${repo.dir}/specs/gone.md`, dirty.spec, clean.spec);
    const done = await tick(db);
    expect([1, 2, 3].map((id) => done.of(id).reason ?? done.of(id).outcome)).toEqual([
      "no_worktree",
      "dirty_source",
      "merged",
    ]);
    expect(done.report.summary).toEqual({ merged: 1, alreadyMerged: 0, failed: 1, held: 1 });
  });

  test("a project that is built on another lands after it, whatever its priority", async () => {
    const repo = makeRepo();
    const first = withProject(repo, "first");
    const second = withProject(repo, "second", { from: first.agent.head() });
    const db = await queueOf(repo, { spec_path: first.spec, priority: 0 }, { spec_path: second.spec, priority: 9 });
    const done = await tick(db);
    expect([done.of(2).outcome, done.of(1).outcome]).toEqual(["merged", "merged"]);
    expect(repo.git("rev-list", "--first-parent", "main").split("\n").slice(0, 2)).toEqual([
      done.of(2).mergeCommit,
      done.of(1).mergeCommit,
    ]);
  });

  test("two that change the same file in different places both land", async () => {
    const repo = makeRepo();
    const a = withProject(repo, "a", { files: { "cart.txt": "ONE\ntwo\nthree\nfour\nfive\n" } });
    const b = withProject(repo, "b", { files: { "cart.txt": "one\ntwo\nthree\nfour\nFIVE\n" } });
    const db = await queueOf(repo, a.spec, b.spec);
    expect((await tick(db)).report.summary.merged).toBe(2);
    expect(repo.read("cart.txt")).toBe("ONE\ntwo\nthree\nfour\nFIVE\n");
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("twelve in one tick land in one go", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const specs = Array.from({ length: 12 }, (_, index) => withProject(repo, `p${index}`).spec);
    const db = await queueOf(repo, ...specs);
    const done = await tick(db, ["--limit", "all"]);
    expect(done.report.summary.merged).toBe(12);
    expect(done.report.pushes).toHaveLength(1);
    expect(Object.keys(refsOf(remote, "refs/tags"))).toHaveLength(12);
    expect(repo.git("reflog", "--format=%gs", "main").split("\n")).toHaveLength(2);
    expect((await outcomeOf(db, 12)).status).toBe("merged");
  });
});

test("projects of several repositories land each in its own", async () => {
  const one = makeRepo({ name: "one" });
  const two = makeRepo({ dir: one.dir, name: "two" });
  const [a, b, c] = [withProject(one, "a"), withProject(two, "b"), withProject(one, "c")];
  const db = await queueOf(one, a.spec, { spec_path: b.spec, project_path: two.path }, c.spec);
  expect((await tick(db)).report.summary.merged).toBe(3);
  expect(one.git("ls-tree", "--name-only", "HEAD")).not.toContain("b-developer");
  expect(two.git("ls-tree", "--name-only", "HEAD")).not.toMatch(/[ac]-developer/);
});
