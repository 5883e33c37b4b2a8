import { describe, expect, test } from "vitest";
import { logOf, outcomeOf, queueOf, tick } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import { fingerprint, makeRepo, withProject } from "../helpers/repo.ts";

describe("work that may have been left behind", () => {
  test("HEAD in the target while a branch the worktree had out is not: ambiguous, branches named", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { branch: "feature/cart" });
    agent.git("checkout", "-q", "--detach", "main");
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "merge_failed", reason: "ambiguous_worktree" });
    expect(done.of(1).detail).toContain("feature/cart");
    agent.git("checkout", "-q", "feature/cart");
    await sql(db, "UPDATE project_queue SET merged_status = 'pending_merge'");
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });

  test("a branch that is gone, or is in the target too, is not missed", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { branch: "feature/cart", files: null });
    agent.git("checkout", "-q", "-b", "scratch");
    agent.commit({ "x.txt": "x\n" });
    agent.git("checkout", "-q", "feature/cart");
    agent.git("branch", "-qD", "scratch");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "already_merged" });
  });

  test("nothing committed at all is already_merged with the warning no_commits", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: null });
    const before = repo.git("for-each-ref");
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({
      outcome: "already_merged",
      warnings: ["no_commits"],
      tag: null,
      backupRef: null,
    });
    expect(done.code).toBe(0);
    expect(repo.git("for-each-ref")).toBe(before);
    expect(await outcomeOf(db, 1)).toMatchObject({ status: "merged", kind: "integer" });
    expect(logOf(db).join("\n")).toContain("Already merged project 1: cart");
  });

  test("work that somebody merged by hand is already_merged, by that merge, without the warning", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    repo.commit({ "other.txt": "x\n" });
    repo.git("merge", "-q", "--no-ff", "-m", "by hand", agent.head());
    const merge = repo.head();
    repo.commit({ "later.txt": "x\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "already_merged", mergeCommit: merge, warnings: [] });
  });

  test("work that was fast-forwarded by hand is already_merged by no merge, least of all by the next one", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    repo.git("merge", "-q", "--ff-only", agent.head());
    const other = withProject(repo, "other", { from: "main~1" });
    repo.git("merge", "-q", "--no-ff", "-m", "other", other.agent.head());
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "already_merged", mergeCommit: null, warnings: [] });
  });

  test("committed on the target's own branch, as --force allows, it counts as landed and the stale checkout is brought forward", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { same: true });
    agent.commit({ "cart.txt": "one\n" });
    repo.write({ "notes.txt": "mine\n" });
    expect(repo.git("diff", "--cached", "--name-only")).toBe("cart-developer.txt\ncart.txt"); // the main directory is stale
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("already_merged");
    expect(repo.git("rev-parse", "main")).toBe(agent.head());
    expect(repo.git("status", "--porcelain")).toBe("?? notes.txt");
    expect(repo.read("cart.txt")).toBe("one\n");
    expect(repo.git("for-each-ref", "refs/tags", "refs/heads/backup*")).toBe("");
  });

  test("a stale checkout that holds an edit of the user's is held, and nothing changes", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { same: true });
    repo.write({ "README.md": "mine\n" });
    const before = fingerprint(repo.path);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "held", reason: "dirty_target" });
    expect(repo.git("rev-parse", "main")).toBe(agent.head());
    expect(fingerprint(repo.path)).toEqual(before);
  });
});
