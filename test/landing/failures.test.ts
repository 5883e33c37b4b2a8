import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { logOf, onQueue, outcomeOf, queueOf, tick } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import {
  fingerprint,
  makeRepo,
  refsOf,
  specDirectory,
  withClone,
  withProject,
  withWorktree,
  writeSpec,
} from "../helpers/repo.ts";

describe("a conflict", () => {
  /** The agent and main have changed cart.txt each in its way. */
  function conflicting() {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", {
      files: { "cart.txt": "agent\n", "a b.txt": "agent\n", "c.txt": "c\n" },
    });
    repo.commit({ "cart.txt": "mine\n", "a b.txt": "mine\n" });
    return { repo, spec, agent };
  }

  test("is merge_failed, its files named, exit 4, and nothing has changed", async () => {
    const { repo, spec } = conflicting();
    const before = fingerprint(repo.path);
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.code).toBe(4);
    expect(done.of(1)).toMatchObject({
      outcome: "merge_failed",
      reason: "conflict",
      conflicts: ["a b.txt", "cart.txt"],
    });
    expect(done.of(1).detail).toMatch(/a b\.txt.*cart\.txt/);
    expect(await outcomeOf(db, 1)).toMatchObject({
      status: "merge_failed",
      error: `Merge failed: conflict: ${done.of(1).detail}`,
    });
    expect(fingerprint(repo.path)).toEqual(before);
    expect(logOf(db)).toContainEqual(expect.stringMatching(/^ERROR +Failed to merge project 1: conflict: .*cart\.txt/));
  });

  test("is not looked at again while nothing moves: exit 0, no line in the log", async () => {
    const { repo, spec } = conflicting();
    const db = await queueOf(repo, spec);
    await tick(db);
    const second = await tick(db);
    expect(second.code).toBe(0);
    expect(second.report.results).toEqual([]);
    expect(second.stderr).not.toContain("Failed to merge");
    expect(logOf(db).filter((line) => line.includes("Failed to merge project 1"))).toHaveLength(1);
    const [row] = await sql(db, "SELECT count(*) AS n FROM merge_attempt");
    expect(row?.["n"]).toBe(1);
  });

  test("lands by itself once the agent's side has moved", async () => {
    const { repo, spec, agent } = conflicting();
    const db = await queueOf(repo, spec);
    await tick(db);
    expect(() => agent.git("merge", "main")).toThrow();
    agent.commit({ "cart.txt": "both\n", "a b.txt": "both\n" });
    const done = await tick(db);
    expect(done.of(1).outcome).toBe("merged");
    expect(repo.read("cart.txt")).toBe("both\n");
    expect(await outcomeOf(db, 1)).toMatchObject({ status: "merged", error: null });
  });

  test("lands by itself once the target's side has moved", async () => {
    const { repo, spec } = conflicting();
    const db = await queueOf(repo, spec);
    await tick(db);
    repo.git("revert", "--no-edit", "HEAD");
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.read("cart.txt")).toBe("agent\n");
  });

  test("that is still one after a side moved, in the same words, is no news", async () => {
    const { repo, spec } = conflicting();
    const db = await queueOf(repo, spec);
    await tick(db);
    repo.commit({ "other.txt": "x\n" });
    const again = await tick(db);
    expect(again.code).toBe(0);
    expect(again.of(1)).toMatchObject({ outcome: "merge_failed", reason: "conflict" });
    expect(logOf(db).filter((line) => line.includes("Failed to merge project 1"))).toHaveLength(1);
    expect((await tick(db)).report.results).toEqual([]);
  });

  test("with a project that lands first is told once, though the target moves by that very landing", async () => {
    const repo = makeRepo();
    const specs = ["a", "b"].map((name) => withProject(repo, name, { files: { "cart.txt": `${name}\n` } }).spec);
    const db = await queueOf(repo, ...specs);
    expect((await tick(db)).code).toBe(4);
    for (let look = 0; look < 2; look++) expect((await tick(db)).code).toBe(0);
    expect(logOf(db).filter((line) => line.includes("Failed to merge project 2"))).toHaveLength(1);
  });

  test("in other files than last time is news: exit 4 again", async () => {
    const { repo, spec } = conflicting();
    const db = await queueOf(repo, spec);
    await tick(db);
    repo.commit({ "c.txt": "mine too\n" });
    const again = await tick(db);
    expect(again.code).toBe(4);
    expect(again.of(1).conflicts).toContain("c.txt");
  });

  test("between a rename and an edit, a deletion and an edit, a file and a directory is one", async () => {
    const repo = makeRepo({ files: { "a.txt": "a\na\na\n", "b.txt": "b\n", "c.txt": "c\n" } });
    const cases = [
      withProject(repo, "deletes", { files: null }),
      withProject(repo, "directory", { files: { "new/inner.txt": "x\n" } }),
    ];
    cases[0]?.agent.git("rm", "-q", "b.txt");
    cases[0]?.agent.commit({});
    repo.commit({ "b.txt": "edited\n", new: "a file\n" });
    const db = await queueOf(repo, ...cases.map(({ spec }) => spec));
    const done = await tick(db);
    expect([done.of(1).reason, done.of(2).reason]).toEqual(["conflict", "conflict"]);
    expect(done.of(1).conflicts).toEqual(["b.txt"]);
  });

  test("in a binary file keeps neither side in silence", async () => {
    const repo = makeRepo({ files: { "logo.png": Buffer.from([0, 1, 2]) } });
    const { spec } = withProject(repo, "cart", { files: { "logo.png": Buffer.from([0, 1, 3]) } });
    repo.commit({ "logo.png": Buffer.from([0, 1, 4]) });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ reason: "conflict", conflicts: ["logo.png"] });
  });
});

describe("other failures, each with its reason, and nothing touched", () => {
  test("unrelated_histories", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: null });
    agent.git("checkout", "-q", "--orphan", "fresh");
    agent.commit({ "fresh.txt": "x\n" });
    const before = refsOf(repo);
    const fine = withProject(repo, "fine", { from: "main" });
    const also = withProject(repo, "also", { from: "main" });
    const db = await queueOf(repo, fine.spec, spec, also.spec);
    const done = await tick(db);
    expect(done.of(2)).toMatchObject({ outcome: "merge_failed", reason: "unrelated_histories" });
    expect([done.of(1).outcome, done.of(3).outcome]).toEqual(["merged", "merged"]);
    expect(refsOf(repo, "refs/heads/fresh")).toEqual({ "refs/heads/fresh": agent.head() });
    expect(before["refs/heads/fresh"]).toBe(agent.head());
  });

  test("shallow_repository, of the project", async () => {
    const origin = makeRepo({ name: "origin" });
    origin.commit({ "more.txt": "x\n" });
    origin.git("clone", "-q", "--depth", "1", `file://${origin.path}`, join(origin.dir, "shop"));
    const repo = { ...makeRepo({ dir: origin.dir, name: "other" }), path: join(origin.dir, "shop") };
    const spec = writeSpec(origin, "cart.md");
    origin.git(
      "-C",
      repo.path,
      "worktree",
      "add",
      "-q",
      "-b",
      "work",
      join(specDirectory(repo.path, spec), "developer"),
    );
    const db = await queueOf(origin, { spec_path: spec, project_path: repo.path });
    const failed = (await tick(db)).of(1);
    expect(failed).toMatchObject({ outcome: "merge_failed", reason: "shallow_repository" });
    expect(failed.detail).toContain("--unshallow");
  });

  test("shallow_repository, of an agent's clone", async () => {
    const repo = makeRepo();
    repo.commit({ "more.txt": "x\n" });
    const spec = writeSpec(repo, "cart.md");
    const path = join(specDirectory(repo.path, spec), "developer");
    repo.git("clone", "-q", "--depth", "1", `file://${repo.path}`, path);
    repo.git("-C", path, "commit", "-q", "--allow-empty", "-m", "work");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "shallow_repository" });
  });

  test("no_worktree: nothing was ever there; nobody calls that merged", async () => {
    const repo = makeRepo();
    const db = await queueOf(repo, writeSpec(repo, "cart.md"));
    const failed = (await tick(db)).of(1);
    expect(failed).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
    expect(failed.detail).toContain("shop-tmux-worktrees");
    expect((await outcomeOf(db, 1)).status).toBe("merge_failed");
  });

  test("no_worktree: gone but still registered, the branch named, though another agent's is there", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { branch: "feature/cart" });
    withWorktree(repo, spec, { role: "tester" });
    rmSync(agent.path, { recursive: true });
    const before = refsOf(repo);
    const db = await queueOf(repo, spec);
    const failed = (await tick(db)).of(1);
    expect(failed).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
    expect(failed.detail).toContain("feature/cart");
    expect(refsOf(repo)).toEqual(before);
  });

  test("no_worktree: a linked worktree of another repository", async () => {
    const repo = makeRepo();
    const other = makeRepo({ dir: repo.dir, name: "other" });
    const spec = writeSpec(repo, "cart.md");
    const agent = withWorktree(other, spec, { directory: specDirectory(repo.path, spec) });
    const before = [refsOf(repo), refsOf(other)];
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
    expect([refsOf(repo), refsOf(other)]).toEqual(before);
    expect(agent.head()).not.toBe("");
  });

  test("a clone of quite another repository shares no history", async () => {
    const repo = makeRepo();
    const other = makeRepo({ dir: repo.dir, name: "other", files: { "x.txt": "x\n" } });
    const spec = writeSpec(repo, "cart.md");
    withClone(other, spec, { directory: specDirectory(repo.path, spec) });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "unrelated_histories" });
    expect(repo.git("count-objects")).toBe(makeRepo().git("count-objects"));
  });

  test("the reason, the detail and what git said are kept with the attempt", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    rmSync(join(repo.path, ".git/objects"), { recursive: true });
    repo.write({ ".git/objects/x": "" });
    const db = await queueOf(repo, spec);
    await onQueue(db, ["run"]);
    const [row] = await sql(db, "SELECT outcome, reason, detail, output FROM merge_attempt");
    expect(row).toMatchObject({ outcome: "held", reason: "repository_busy" });
    expect(String(row?.["output"])).toMatch(/^\$ git [\s\S]*(fatal|error|missing)[\s\S]*\[exit \d+\]/);
  });
});
