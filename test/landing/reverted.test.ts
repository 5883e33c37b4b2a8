import { describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import { makeRepo, type Repo, refsOf, withClone, withProject, withWorktree, writeSpec } from "../helpers/repo.ts";

const completedAgain = (db: string) =>
  sql(db, "UPDATE project_queue SET started_at = started_at + 9000, completed_at = completed_at + 9000");

const revert = (repo: Repo, commit: string) => repo.git("revert", "--no-edit", "-m", "1", commit);

describe("work that landed and was reverted", () => {
  test("is brought back by a merge when it is completed again, and not called already merged", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "cart.txt": "agent\n", "new.txt": "new\n" } });
    const db = await queueOf(repo, spec);
    revert(repo, String((await tick(db)).of(1).mergeCommit));
    expect(repo.read("new.txt")).toBeNull();
    const reverted = repo.head();
    await completedAgain(db);
    const landed = (await tick(db)).of(1);
    expect(landed).toMatchObject({ outcome: "merged", warnings: [expect.stringContaining("reverted")] });
    expect([repo.read("cart.txt"), repo.read("new.txt")]).toEqual(["agent\n", "new\n"]);
    expect(repo.git("log", "-1", "--format=%P")).toBe(`${reverted} ${agent.head()}`);
    expect(repo.git("rev-parse", String(landed.backupRef))).toBe(reverted);
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  // Known and open: git's own trap. Merging the branch again brings the new commits only, and what was reverted stays out.
  test("with more commits on top comes back whole", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "first.txt": "1\n" } });
    const db = await queueOf(repo, spec);
    revert(repo, String((await tick(db)).of(1).mergeCommit));
    agent.commit({ "second.txt": "2\n" });
    await completedAgain(db);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect([repo.read("first.txt"), repo.read("second.txt")]).toEqual(["1\n", "2\n"]);
  });

  test("and whose revert was reverted by hand is there already", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    revert(repo, String(landed.mergeCommit));
    repo.git("revert", "--no-edit", "HEAD");
    const before = refsOf(repo);
    await completedAgain(db);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "already_merged", mergeCommit: landed.mergeCommit });
    expect(refsOf(repo)).toEqual(before);
  });

  test("of two agents comes back whole, both of them", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "developer.txt": "d\n" } });
    withWorktree(repo, spec, { role: "tester", files: { "tester.txt": "t\n" } });
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    revert(repo, String(landed.mergeCommit));
    revert(repo, `${landed.mergeCommit}~1`);
    expect(repo.read("developer.txt")).toBeNull();
    await completedAgain(db);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect([repo.read("developer.txt"), repo.read("tester.txt")]).toEqual(["d\n", "t\n"]);
  });

  test("of two agents, the first of them only, comes back too", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "developer.txt": "d\n" } });
    withWorktree(repo, spec, { role: "tester", files: { "tester.txt": "t\n" } });
    const db = await queueOf(repo, spec);
    revert(repo, `${(await tick(db)).of(1).mergeCommit}~1`);
    await completedAgain(db);
    await tick(db);
    expect([repo.read("developer.txt"), repo.read("tester.txt")]).toEqual(["d\n", "t\n"]);
  });

  test("of a clone comes back", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    withClone(repo, spec, { files: { "new.txt": "new\n" } });
    const db = await queueOf(repo, spec);
    revert(repo, String((await tick(db)).of(1).mergeCommit));
    await completedAgain(db);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.read("new.txt")).toBe("new\n");
  });

  test("that the target has rewritten since conflicts, and is not called merged", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "cart.txt": "agent\n" } });
    const db = await queueOf(repo, spec);
    revert(repo, String((await tick(db)).of(1).mergeCommit));
    const head = repo.commit({ "cart.txt": "rewritten\n" });
    await completedAgain(db);
    const done = (await tick(db)).of(1);
    expect(done).toMatchObject({ outcome: "merge_failed", reason: "conflict", conflicts: ["cart.txt"] });
    expect(done.detail).toContain("reverted");
    expect(repo.head()).toBe(head);
    expect(repo.read("cart.txt")).toBe("rewritten\n");
  });
});
