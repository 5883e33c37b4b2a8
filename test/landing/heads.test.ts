import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { onQueue, queueOf, rowOf, tick } from "../helpers/landing.ts";
import { insertRows } from "../helpers/queueDb.ts";
import {
  makeRepo,
  plainDirectory,
  specDirectory,
  withClone,
  withProject,
  withWorktree,
  writeSpec,
} from "../helpers/repo.ts";

describe("a head", () => {
  test("of a separate clone on a branch that the project lacks lands", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    const clone = withClone(repo, spec);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({
      outcome: "merged",
      heads: [{ role: "developer", oid: clone.head() }],
    });
    expect(repo.show("cart-developer.txt", "main")).toBe("done");
    expect(repo.git("fsck", "--strict")).toBe("");
    expect(repo.git("for-each-ref", "--format=%(refname)", "refs/heads/developer-branch")).toBe("");
  });

  test("two specs with clones in one repository each land their own", async () => {
    const repo = makeRepo();
    const [a, b] = [writeSpec(repo, "a.md"), writeSpec(repo, "b.md")];
    const heads = [withClone(repo, a).head(), withClone(repo, b).head()];
    const db = await queueOf(repo, a, b);
    const done = await tick(db);
    expect([1, 2].map((id) => done.of(id).heads)).toEqual(heads.map((oid) => [{ role: "developer", oid }]));
    expect(repo.git("ls-tree", "--name-only", "main").split("\n")).toEqual(
      expect.arrayContaining(["a-developer.txt", "b-developer.txt"]),
    );
    expect(repo.git("config", "--list", "--local")).not.toContain("remote");
  });

  test("a detached worktree is as good as a branch", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { detach: true });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", heads: [{ oid: agent.head() }] });
    expect(repo.show("cart-developer.txt", "main")).toBe("done");
  });

  test("of a clone that shares the project's objects lands, and the project is whole without the clone", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    const path = join(specDirectory(repo.path, spec), "developer");
    repo.git("clone", "-q", "--shared", repo.path, path);
    repo.git("-C", path, "commit", "-q", "--allow-empty", "-m", "first");
    repo.git("-C", path, "repack", "-adq");
    repo.git("-C", path, "commit", "-q", "--allow-empty", "-m", "second");
    const oid = repo.git("-C", path, "rev-parse", "HEAD");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", heads: [{ oid }] });
    rmSync(path, { recursive: true });
    expect(repo.git("fsck", "--strict", "--no-dangling")).toBe("");
    expect(repo.git("log", "--format=%s", "main^2")).toBe("second\nfirst\nStart");
  });

  test("of a detached clone too", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    const clone = withClone(repo, spec);
    clone.git("checkout", "-q", "--detach");
    const oid = clone.commit({ "more.txt": "more\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", heads: [{ oid }] });
  });

  test("of a locked worktree lands like any other", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    repo.git("worktree", "lock", agent.path);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });

  test("on a branch named after the integration, or like a flag, lands", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { branch: "integration" });
    const flag = withProject(repo, "flag", { detach: true });
    repo.git("update-ref", "refs/heads/--force", flag.agent.head());
    flag.agent.git("symbolic-ref", "HEAD", "refs/heads/--force");
    const db = await queueOf(repo, spec, flag.spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "merged", heads: [{ oid: agent.head() }] });
    expect(done.of(2).outcome).toBe("merged");
  });

  test("that is unborn has nothing to land: the others do, and it is said", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    const tester = withWorktree(repo, spec, { role: "tester", files: null });
    tester.git("checkout", "-q", "--orphan", "fresh");
    tester.git("rm", "-rq", "--cached", ".");
    tester.git("clean", "-fdq");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(landed).toMatchObject({ outcome: "merged", heads: [{ role: "developer" }] });
    expect(landed.warnings).toEqual([expect.stringContaining("tester")]);
  });
});

describe("several agents", () => {
  const roles = ["zebra", "orchestrator", "testrunner", "project_manager", "tester", "developer", "ant"];

  test("all land together, one first-parent merge each, in role order, others by commit time", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    const hours = { zebra: 1, ant: 2 };
    for (const role of roles)
      withWorktree(repo, spec, { role, hours: role === "zebra" || role === "ant" ? hours[role] : 3 });
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    const order = ["developer", "tester", "project_manager", "testrunner", "orchestrator", "zebra", "ant"];
    expect(landed.heads.map(({ role }) => role)).toEqual(order);
    expect(repo.git("log", "--first-parent", "--reverse", "--format=%s", "main").split("\n").slice(1)).toEqual(
      order.map((role) => `Merge integration from ${role}: cart`),
    );
    expect(repo.git("rev-parse", "main")).toBe(landed.mergeCommit);
    expect(repo.git("for-each-ref", "refs/tags").split("\n")).toHaveLength(1);
    expect(repo.git("for-each-ref", "refs/heads/backup*").split("\n")).toHaveLength(1);
  });

  test("a head that another one contains drops out, and the work is there all the same", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const tester = withWorktree(repo, spec, { role: "tester", from: agent.head() });
    withWorktree(repo, spec, { role: "pm", files: null });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.git("log", "-1", "--format=%P %s", "main")).toBe(
      `${repo.git("rev-parse", "main~1")} ${tester.head()} Merge integration from tester: cart`,
    );
    expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("2");
    expect(repo.git("merge-base", "--is-ancestor", agent.head(), "main")).toBe("");
  });

  test("a linked worktree and a clone of one project land on the target, not on a branch of their own", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    withWorktree(repo, spec);
    withClone(repo, spec, { role: "tester" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", target: "main" });
    expect(repo.git("symbolic-ref", "HEAD")).toBe("refs/heads/main");
    expect(repo.read("cart-developer.txt")).toBe("done\n");
    expect(repo.read("cart-tester.txt")).toBe("done\n");
  });

  test("one conflict and none of them lands", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "fine.txt": "x\n" } });
    withWorktree(repo, spec, { role: "tester", files: { "cart.txt": "tester\n" } });
    repo.commit({ "cart.txt": "mine\n" });
    const before = repo.head();
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({
      outcome: "merge_failed",
      reason: "conflict",
      conflicts: ["cart.txt"],
    });
    expect(repo.head()).toBe(before);
    expect(repo.git("for-each-ref", "refs/tags", "refs/heads/backup*")).toBe("");
  });

  test("that conflict with each other are told so", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "new.txt": "developer\n" } });
    withWorktree(repo, spec, { role: "tester", files: { "new.txt": "tester\n" } });
    const db = await queueOf(repo, spec);
    const failed = (await tick(db)).of(1);
    expect(failed).toMatchObject({ outcome: "merge_failed", reason: "conflict", conflicts: ["new.txt"] });
    expect(failed.detail).toMatch(/tester conflicts with developer/);
  });

  test("retry --roles lands only those heads", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "cart.txt": "developer\n" } });
    withWorktree(repo, spec, { role: "project-manager" });
    repo.commit({ "cart.txt": "mine\n" });
    const db = await queueOf(repo, spec);
    await tick(db);
    expect((await onQueue(db, ["retry", "1", "--roles", "PM"])).code).toBe(0);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", heads: [{ role: "project-manager" }] });
    expect(repo.show("cart.txt", "main")).toBe("mine");
    expect(repo.show("cart-project-manager.txt", "main")).toBe("done");
  });

  test("heads = newest lands the newest commit only", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    withWorktree(repo, spec, { hours: 5 });
    withWorktree(repo, spec, { role: "tester", hours: 9 });
    withWorktree(repo, spec, { role: "pm", hours: 7 });
    const db = await queueOf(repo, spec);
    const done = await tick(db, [], { config: `[merge]\nheads = "newest"\n` });
    expect(done.of(1)).toMatchObject({ outcome: "merged", heads: [{ role: "tester" }] });
    expect(repo.show("cart-developer.txt", "main")).toBeNull();
  });
});

describe("several rows with the same work", () => {
  test("land once, and all record that landing", async () => {
    const repo = makeRepo();
    const [a, b, c] = ["a.md", "b.md", "c.md"].map((name) => writeSpec(repo, name));
    withWorktree(repo, String(a), { directory: plainDirectory(repo.path) });
    const db = await queueOf(repo, String(a), String(b), String(c));
    const done = await tick(db);
    expect(done.report.summary).toEqual({ merged: 3, alreadyMerged: 0, failed: 0, held: 0 });
    expect(new Set([1, 2, 3].map((id) => done.of(id).mergeCommit))).toEqual(new Set([repo.git("rev-parse", "main")]));
    expect(new Set([1, 2, 3].map((id) => done.of(id).tag)).size).toBe(1);
    expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("2");
    expect(repo.git("for-each-ref", "refs/tags").split("\n")).toHaveLength(1);
  });

  test("completed later find it in the target already", async () => {
    const repo = makeRepo();
    const [a, b] = ["a.md", "b.md"].map((name) => writeSpec(repo, name));
    withWorktree(repo, String(a), { directory: plainDirectory(repo.path) });
    const db = await queueOf(repo, String(a));
    const first = (await tick(db)).of(1);
    await insertRows(db, [rowOf(repo, String(b))]);
    expect((await tick(db)).of(2)).toMatchObject({ outcome: "already_merged", mergeCommit: first.mergeCommit });
  });
});

test("a directory of the spec with only an empty role directory is no work", async () => {
  const repo = makeRepo();
  const spec = writeSpec(repo, "cart.md");
  mkdirSync(`${specDirectory(repo.path, spec)}/developer`, { recursive: true });
  const db = await queueOf(repo, spec);
  expect((await tick(db)).of(1).reason).toBe("no_worktree");
});
