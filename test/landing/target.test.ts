import { describe, expect, test } from "vitest";
import { queueOf, type Settings, tick } from "../helpers/landing.ts";
import { insert } from "../helpers/memory.ts";
import {
  makeRepo,
  type Repo,
  refsOf,
  specDirectory,
  withProject,
  withRemote,
  withWorktree,
  writeSpec,
} from "../helpers/repo.ts";

/** Runs a tick on one finished project and expects it on `target`; every other branch stays where it was. */
async function landsOn(repo: Repo, target: string, settings: Settings = {}): Promise<void> {
  const { spec } = withProject(repo, "cart");
  const before = refsOf(repo, "refs/heads");
  const db = await queueOf(repo, spec);
  expect((await tick(db, [], settings)).of(1)).toMatchObject({ outcome: "merged", target });
  expect(repo.show("cart-developer.txt", target)).toBe("done");
  const after = Object.entries(refsOf(repo, "refs/heads")).filter(([name]) => !/-p1$/.test(name));
  expect(after.filter(([name, oid]) => before[name] !== oid).map(([name]) => name)).toEqual([`refs/heads/${target}`]);
}

describe("the target", () => {
  test("is the branch of origin/HEAD, though there is a main", async () => {
    const repo = makeRepo({ branch: "trunk" });
    withRemote(repo);
    repo.git("branch", "main");
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk");
    await landsOn(repo, "trunk");
  });

  test("a stale origin/HEAD, whose branch is gone here, does not count, and recreates nothing on the remote", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/old");
    await landsOn(repo, "main");
    expect(remote.git("for-each-ref", "--format=%(refname)", "refs/heads")).toBe("refs/heads/main");
  });

  test("is main rather than master", async () => {
    const repo = makeRepo();
    repo.git("branch", "master");
    repo.git("branch", "develop");
    await landsOn(repo, "main");
  });

  test("is master where there is no main", async () => {
    const repo = makeRepo({ branch: "master" });
    repo.git("branch", "develop");
    await landsOn(repo, "master");
  });

  test("is the only branch that is neither an agent's nor a backup", async () => {
    const repo = makeRepo({ branch: "trunk" });
    for (const branch of ["backup-before-merge-20260504-080000", "integration", "developer-branch", "tester"])
      repo.git("branch", branch);
    await landsOn(repo, "trunk");
  });

  test("is what [merge] target names", async () => {
    const repo = makeRepo();
    repo.git("branch", "release/2");
    await landsOn(repo, "release/2", { config: `[merge]\ntarget = "release/2"\n` });
    expect(repo.git("symbolic-ref", "HEAD")).toBe("refs/heads/main");
  });

  test("is what the last rule that matches names", async () => {
    const repo = makeRepo();
    repo.git("branch", "staging");
    repo.git("branch", "wrong");
    const rule = (name: string, target: string) => `[[rule]]\nmatch = { name = "${name}" }\ntarget = "${target}"\n`;
    await landsOn(repo, "staging", { config: rule("*", "wrong") + rule("ca*", "staging") + rule("Cart", "wrong") });
  });

  test("of two projects in one repository may differ, in one tick", async () => {
    const repo = makeRepo();
    repo.git("branch", "staging");
    const [a, b] = [withProject(repo, "a"), withProject(repo, "b")];
    const db = await queueOf(repo, a.spec, b.spec);
    const done = await tick(db, [], { config: `[[rule]]\nmatch = { name = "b" }\ntarget = "staging"\n` });
    expect([done.of(1).target, done.of(2).target]).toEqual(["main", "staging"]);
    expect(done.report.summary.merged).toBe(2);
    expect([repo.show("a-developer.txt", "main"), repo.show("b-developer.txt", "main")]).toEqual(["done", null]);
    expect([repo.show("a-developer.txt", "staging"), repo.show("b-developer.txt", "staging")]).toEqual([null, "done"]);
  });

  test("by a name like a flag is a branch all the same", async () => {
    const repo = makeRepo({ branch: "trunk" });
    repo.git("update-ref", "refs/heads/-d", "HEAD");
    repo.git("checkout", "-q", "--detach");
    repo.git("branch", "-D", "trunk");
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", target: "-d" });
  });
});

describe("without a target: no_target_branch", () => {
  test.each<[string, (repo: Repo) => void, Settings, string]>([
    ["two candidates", (repo) => repo.git("branch", "develop"), {}, "2 other branches"],
    ["a configured branch that is not there", () => {}, { config: `[merge]\ntarget = "gone"\n` }, "gone"],
    ["agents' branches only", (repo) => repo.git("branch", "-m", "trunk", "developer-branch"), {}, "no branch is left"],
  ])("%s", async (_what, prepare, settings, detail) => {
    const repo = makeRepo({ branch: "trunk" });
    const { spec } = withProject(repo, "cart");
    prepare(repo);
    const before = repo.git("for-each-ref");
    const db = await queueOf(repo, spec);
    const failed = (await tick(db, [], settings)).of(1);
    expect(failed).toMatchObject({ outcome: "merge_failed", reason: "no_target_branch" });
    expect(failed.detail).toContain(detail);
    expect(repo.git("for-each-ref")).toBe(before);
  });

  test("an unborn branch in the project", async () => {
    const repo = makeRepo({ unborn: true });
    const spec = writeSpec(repo, "cart.md");
    const agent = makeRepo({ dir: specDirectory(repo.path, spec), name: "developer" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "no_target_branch" });
    expect(agent.head()).not.toBe("");
    expect(() => repo.head()).toThrow();
  });

  test("a tag or a tree of the target's name is no branch", async () => {
    const repo = makeRepo({ branch: "trunk" });
    repo.git("branch", "develop");
    repo.git("tag", "main");
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).reason).toBe("no_target_branch");
  });
});

describe("heads that would drag in another branch's commits", () => {
  test("of agents that forked from develop are held ambiguous_target, saying so", async () => {
    const repo = makeRepo();
    repo.git("checkout", "-q", "-b", "develop");
    repo.commit({ "unreleased.txt": "x\n" });
    repo.git("checkout", "-q", "main");
    const { spec } = withProject(repo, "cart", { from: "develop" });
    const before = repo.git("for-each-ref");
    const db = await queueOf(repo, spec);
    const held = (await tick(db)).of(1);
    expect(held).toMatchObject({ outcome: "held", reason: "ambiguous_target" });
    expect(held.detail).toContain("develop");
    expect(repo.git("for-each-ref")).toBe(before);
    const config = `[merge]\ntarget = "develop"\n`;
    expect((await tick(db, [], { config })).of(1)).toMatchObject({ outcome: "merged", target: "develop" });
  });

  test("hold only themselves", async () => {
    const repo = makeRepo();
    repo.git("checkout", "-q", "-b", "develop");
    repo.commit({ "unreleased.txt": "x\n" });
    repo.git("checkout", "-q", "main");
    const [a, b] = [withProject(repo, "a", { from: "develop" }), withProject(repo, "b")];
    const db = await queueOf(repo, a.spec, b.spec);
    const done = await tick(db);
    expect([done.of(1).reason, done.of(2).outcome]).toEqual(["ambiguous_target", "merged"]);
  });

  test("land once that branch is in the target", async () => {
    const repo = makeRepo();
    repo.git("checkout", "-q", "-b", "develop");
    repo.commit({ "unreleased.txt": "x\n" });
    repo.git("checkout", "-q", "main");
    const { spec } = withProject(repo, "cart", { from: "develop" });
    repo.git("merge", "-q", "develop");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });

  test("do not when the other branch is an agent's, a backup, or what add declared", async () => {
    const repo = makeRepo();
    const first = withProject(repo, "first", { branch: "work-of-the-first" });
    repo.git("branch", "backup-x", first.agent.head());
    repo.git("branch", "declared", first.agent.head());
    const second = withProject(repo, "second", { from: "work-of-the-first" });
    const db = await queueOf(repo, second.spec);
    await insert(db, "merge_source", { project_id: 77, worktree: null, branch: "declared" });
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });

  test("nor when that branch is their own, left in the main repository", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { branch: "feature/cart" });
    agent.git("checkout", "-q", "-b", "feature/cart-2");
    agent.commit({ "two.txt": "2\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });

  test("an old branch far behind the target drags nothing in", async () => {
    const repo = makeRepo();
    repo.git("branch", "release/1");
    repo.commit({ "later.txt": "x\n" });
    const spec = writeSpec(repo, "cart.md");
    withWorktree(repo, spec, { from: "release/1" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", target: "main" });
  });
});
