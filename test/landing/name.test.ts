import { describe, expect, test } from "vitest";
import { logOf, onQueue, outcomeOf, queueOf, rowOf, tick } from "../helpers/landing.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import { makeRepo, withProject, withWorktree, writeSpec } from "../helpers/repo.ts";

describe("the name of a project", () => {
  test("is the stem of its spec file as it is, in the report, the commit and the log", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "Web_Server v2.final.md");
    withWorktree(repo, spec, { branch: "work" });
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1).name).toBe("Web_Server v2.final");
    expect(repo.git("log", "-1", "--format=%s", "main")).toBe("Merge integration from developer: Web_Server v2.final");
    expect(logOf(db)).toContain("NOTICE Successfully merged project 1: Web_Server v2.final");
  });

  test("with control characters is shown escaped, never raw, and lands", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "a\u001b[31mred\nline.md");
    withWorktree(repo, spec, { branch: "work" });
    const db = await queueOf(repo, spec);
    const said = await onQueue(db, ["run"]);
    expect(said.code).toBe(0);
    expect(said.stdout + said.stderr).not.toContain("\u001b[31m");
    expect(repo.git("log", "-1", "--format=%B", "main")).not.toContain("\u001b");
    expect(repo.git("log", "-1", "--format=%s", "main")).toContain("red\\nline");
    expect(logOf(db).filter((line) => line.includes("Successfully merged project 1: "))).toHaveLength(1);
  });

  test("with quotes, dollars and a leading dash reaches git as text", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, `--upload-pack=$(touch gone) "it's".md`);
    withWorktree(repo, spec, { branch: "work" });
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "merged", name: `--upload-pack=$(touch gone) "it's"` });
    expect(repo.git("log", "-1", "--format=%s", "main")).toBe(
      `Merge integration from developer: --upload-pack=$(touch gone) "it's"`,
    );
  });
});

describe("a project that is completed again", () => {
  const again = (db: string) =>
    sql(
      db,
      "UPDATE project_queue SET status = 'completed', started_at = started_at + 9000, completed_at = completed_at + 9000",
    );

  test("lands its new commits, though merged_status still says merged", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const first = (await tick(db)).of(1);
    expect((await tick(db)).report.results).toEqual([]);
    const oid = agent.commit({ "more.txt": "more\n" });
    expect((await tick(db)).report.results).toEqual([]);
    await again(db);
    const second = (await tick(db)).of(1);
    expect(second).toMatchObject({ outcome: "merged", heads: [{ role: "developer", oid }] });
    expect(second.mergeCommit).not.toBe(first.mergeCommit);
    expect(repo.show("more.txt", "main")).toBe("more");
    expect((await outcomeOf(db, 1)).status).toBe("merged");
  });

  test("without new commits was in the target already, and nothing is added", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const first = (await tick(db)).of(1);
    const refs = repo.git("for-each-ref");
    await again(db);
    const second = await tick(db);
    expect(second.of(1)).toMatchObject({
      outcome: "already_merged",
      mergeCommit: first.mergeCommit,
      backupRef: null,
      tag: null,
    });
    expect(second.code).toBe(0);
    expect(repo.git("for-each-ref")).toBe(refs);
    expect((await tick(db)).report.results).toEqual([]);
  });

  test("after it failed is a new candidate, and its backoff is gone", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
    expect((await tick(db)).report.results).toEqual([]);
    withWorktree(repo, spec);
    await sql(db, "UPDATE merge_project SET next_attempt_at = 9000000000000");
    await again(db);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged" });
    expect(await outcomeOf(db, 1)).toMatchObject({ status: "merged", error: null });
  });

  test.each(["queued", "processing", "failed"])("but is %s now is not looked at", async (status) => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    await tick(db);
    agent.commit({ "half.txt": "half\n" });
    await sql(db, "UPDATE project_queue SET status = ?, started_at = started_at + 9000", [status]);
    expect((await tick(db)).report.results).toEqual([]);
    expect(repo.show("half.txt", "main")).toBeNull();
  });
});

describe("what somebody else writes into merged_status wins", () => {
  test.each(["pending_merge", null])("%j puts a merged project back, and its new commits land", async (status) => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    await tick(db);
    agent.commit({ "more.txt": "more\n" });
    await sql(db, "UPDATE project_queue SET merged_status = ?", [status]);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.show("more.txt", "main")).toBe("more");
  });

  test.each(["skipped", "merged", "rolled_back", "on_hold"])("%s takes a waiting project out", async (status) => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    agent.write({ "half.txt": "half\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("held");
    await sql(db, "UPDATE project_queue SET merged_status = ?", [status]);
    agent.git("clean", "-fdq");
    expect((await tick(db)).report.results).toEqual([]);
    expect((await outcomeOf(db, 1)).status).toBe(status);
  });

  test("pending_merge on a failed project tries it at once", async () => {
    const repo = makeRepo();
    const [broken, fine] = [writeSpec(repo, "broken.md"), writeSpec(repo, "fine.md")];
    const db = await queueOf(repo, broken);
    await tick(db);
    withWorktree(repo, broken);
    withWorktree(repo, fine);
    await insertRows(db, [rowOf(repo, fine)]);
    expect((await tick(db)).report.results.map(({ id }) => id)).toEqual([2]);
    await sql(db, "UPDATE project_queue SET merged_status = 'pending_merge' WHERE id = 1");
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });
});

test("two landings of one project in one second have names of their own", async () => {
  const repo = makeRepo();
  const { spec, agent } = withProject(repo, "cart");
  const db = await queueOf(repo, spec);
  const names = new Set<string | null>();
  for (const file of ["a.txt", "b.txt", "c.txt", "d.txt"]) {
    agent.commit({ [file]: "x\n" });
    await sql(db, "UPDATE project_queue SET merged_status = NULL");
    const landed = (await tick(db)).of(1);
    expect(landed.outcome).toBe("merged");
    names.add(landed.tag).add(landed.backupRef);
  }
  expect(names.size).toBe(8);
});
