import { mkdirSync, renameSync } from "node:fs";
import { expect, test } from "vitest";
import { outcomeOf, pushOf, queueOf, rowOf, tick, waitsOver } from "../helpers/landing.ts";
import {
  fingerprint,
  makeRepo,
  plainDirectory,
  refsOf,
  withClone,
  withProject,
  withRemote,
  withWorktree,
  writeFiles,
  writeSpec,
} from "../helpers/repo.ts";

/*
 * What the system that this one replaces said "merged" of, when it was not. One test a fault, by its number; the rooms of the house have
 * the details of each in their own tests.
 */

test("fault 1: a conflict is merge_failed, with its files", async () => {
  const repo = makeRepo();
  const { spec } = withProject(repo, "cart", { files: { "cart.txt": "agent\n" } });
  repo.commit({ "cart.txt": "mine\n" });
  const before = fingerprint(repo.path);
  const db = await queueOf(repo, spec);
  const done = await tick(db);
  expect(done.code).toBe(4);
  expect(done.of(1)).toMatchObject({ outcome: "merge_failed", reason: "conflict", conflicts: ["cart.txt"] });
  expect(await outcomeOf(db, 1)).toMatchObject({
    status: "merge_failed",
    error: expect.stringMatching(/^Merge failed: conflict: .*cart\.txt/),
  });
  expect(fingerprint(repo.path)).toEqual(before);
});

test("fault 2: a spec with another way of writing finds its worktree by exact rule, and nothing found is no_worktree", async () => {
  const repo = makeRepo();
  const db = await queueOf(repo, withProject(repo, "Web_Server").spec, writeSpec(repo, "web_server_two.md"));
  const done = await tick(db);
  expect(done.of(1).outcome).toBe("merged");
  expect(done.of(2)).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
});

test("fault 3: a push that is not accepted is pending and comes later; without a remote it is none", async () => {
  const repo = makeRepo();
  const remote = withRemote(repo);
  renameSync(remote.path, `${remote.path}.away`);
  const lonely = makeRepo();
  const db = await queueOf(repo, withProject(repo, "cart").spec, rowOf(lonely, withProject(lonely, "alone").spec));
  const done = await tick(db);
  expect(done.of(1)).toMatchObject({ outcome: "merged", push: "pending" });
  expect(done.of(2)).toMatchObject({ outcome: "merged", push: "none" });
  renameSync(`${remote.path}.away`, remote.path);
  expect(remote.git("rev-list", "--count", "main")).toBe("1");
  await waitsOver(db);
  await tick(db);
  expect(await pushOf(db, 1)).toBe("pushed");
  expect(remote.git("rev-parse", "main")).toBe(repo.head());
});

test("fault 4: api does not take the work of api-gateway", async () => {
  const repo = makeRepo({ name: "api" });
  const gateway = makeRepo({ dir: repo.dir, name: "api-gateway" });
  const spec = writeSpec(repo, "api.md");
  withWorktree(gateway, spec);
  const before = refsOf(gateway);
  const db = await queueOf(repo, spec);
  expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
  expect(refsOf(gateway)).toEqual(before);
});

test("fault 5: two specs of one stem land each their own worktrees, once", async () => {
  const repo = makeRepo();
  const rows = ["a", "b"].map((dir) => {
    const spec = writeSpec(repo, `${dir}/spec.md`, `# ${dir}\n`);
    withWorktree(repo, spec, { branch: `${dir}-branch`, files: { [`${dir}.txt`]: `${dir}\n` } });
    return spec;
  });
  const db = await queueOf(repo, ...rows);
  expect((await tick(db)).report.summary.merged).toBe(2);
  expect([repo.read("a.txt"), repo.read("b.txt")]).toEqual(["a\n", "b\n"]);
  expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("3");
});

test("fault 6: a stale session-state file hides nothing", async () => {
  const repo = makeRepo();
  const { spec, agent } = withProject(repo, "cart");
  writeFiles(agent.directory, { "session_state.json": `{"status": "processing"}` });
  const db = await queueOf(repo, spec);
  expect((await tick(db)).of(1).outcome).toBe("merged");
});

test("fault 7: a detached worktree lands by its object id", async () => {
  const repo = makeRepo();
  const { spec, agent } = withProject(repo, "cart", { detach: true });
  const db = await queueOf(repo, spec);
  const landed = (await tick(db)).of(1);
  expect(landed.heads.map(({ oid }) => oid)).toEqual([agent.head()]);
  expect(repo.git("rev-parse", "main^2")).toBe(agent.head());
});

test("fault 8: a pre-commit hook that fails neither runs nor leaves anything staged", async () => {
  const repo = makeRepo();
  const ran = `${repo.dir}/ran`;
  const hook = { program: `#!/bin/sh\ntouch '${ran}'\nexit 1\n` };
  const { spec } = withProject(repo, "cart");
  repo.write({ ".git/hooks/pre-commit": hook, ".git/hooks/commit-msg": hook, ".git/hooks/pre-merge-commit": hook });
  const db = await queueOf(repo, spec);
  expect((await tick(db)).of(1).outcome).toBe("merged");
  expect(repo.git("status", "--porcelain")).toBe("");
  expect(Object.keys(fingerprint(repo.dir))).not.toContain("ran");
});

test.each([
  ["another branch", ["checkout", "-q", "-b", "mine"]],
  ["no branch", ["checkout", "-q", "--detach"]],
])("fault 9: with the main directory on %s the target receives the merge, that checkout nothing", async (_on, out) => {
  const repo = makeRepo();
  const { spec } = withProject(repo, "cart");
  repo.git(...out);
  const at = repo.head();
  const db = await queueOf(repo, spec);
  const landed = (await tick(db)).of(1);
  expect(landed).toMatchObject({ outcome: "merged", target: "main" });
  expect(repo.git("rev-parse", "main")).toBe(landed.mergeCommit);
  expect([repo.head(), repo.git("status", "--porcelain")]).toEqual([at, ""]);
});

test("fault 10: all heads of all agents land, and uncommitted work holds them all", async () => {
  const repo = makeRepo();
  const [whole, half] = [writeSpec(repo, "whole.md"), writeSpec(repo, "half.md")];
  for (const role of ["developer", "tester", "project-manager"]) {
    withWorktree(repo, whole, { role, branch: `whole-${role}` });
    const agent = withWorktree(repo, half, { role, branch: `half-${role}` });
    if (role === "tester") agent.write({ "unsaved.txt": "x\n" });
  }
  const db = await queueOf(repo, whole, half);
  const done = await tick(db);
  expect(done.of(1).heads.map(({ role }) => role)).toEqual(["developer", "tester", "project-manager"]);
  expect(done.of(2)).toMatchObject({ outcome: "held", reason: "dirty_source" });
  expect(done.of(2).detail).toContain("unsaved.txt");
  expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("4");
});

test("fault 11: clones of two specs in one repository are not mistaken for each other", async () => {
  const repo = makeRepo();
  const specs = ["a", "b"].map((name) => {
    const spec = writeSpec(repo, `${name}.md`);
    withClone(repo, spec, { files: { [`${name}.txt`]: `${name}\n` } });
    return spec;
  });
  const db = await queueOf(repo, ...specs);
  expect((await tick(db)).report.summary.merged).toBe(2);
  expect([repo.read("a.txt"), repo.read("b.txt")]).toEqual(["a\n", "b\n"]);
});

test("fault 12: another spec's directory is not taken because its name contains this one's", async () => {
  const repo = makeRepo();
  const [cart, other] = [writeSpec(repo, "cart.md"), writeSpec(repo, "cart-api.md")];
  withWorktree(repo, other);
  mkdirSync(plainDirectory(repo.path), { recursive: true });
  const db = await queueOf(repo, cart);
  expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
});
