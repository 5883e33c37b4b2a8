import type { InArgs } from "@libsql/client";
import { describe, expect, onTestFinished, test } from "vitest";
import { readAttempts } from "../../src/queue/attempts.ts";
import { readBreakdown } from "../../src/queue/breakdown.ts";
import { openQueue, type Queue } from "../../src/queue/database.ts";
import { type Filter, readOne, readOverview } from "../../src/queue/overview.ts";
import { readStatistics } from "../../src/queue/statistics.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { attempt, insert, remember } from "../helpers/memory.ts";
import { now, type QueueRow, queueDb, sql, type Variant } from "../helpers/queueDb.ts";

async function makeQueue(
  rows: QueueRow[],
  variant: Variant = "classic",
): Promise<{ path: string; open: () => Promise<Queue> }> {
  const path = await queueDb(temporaryDirectory(), { rows, variant });
  const open = async (): Promise<Queue> => {
    const queue = await openQueue({ location: path, mode: "read" });
    onTestFinished(() => queue.close());
    return queue;
  };
  return { path, open };
}

const every = { all: null, each: null };

const setStatus = (path: string, id: number, mergedStatus: string | null, mergedAt: number | null = null) =>
  sql(path, "UPDATE project_queue SET merged_status = ?, merged_at = ? WHERE id = ?", [mergedStatus, mergedAt, id]);

const list = async (queue: Queue, filter: Filter, limit: number | null = null): Promise<string[]> =>
  (await readOverview(queue, filter, { all: limit, each: null })).projects.map(
    ({ id, standing }) => `${id} ${standing}`,
  );

describe("what is listed, and in which order", () => {
  test("the default: failed and held, what waits in landing order, the last five merged", async () => {
    const { path, open } = await makeQueue([
      { id: 1, completed_at: null },
      { id: 2 },
      { id: 3, priority: 9 },
      { id: 4 },
      { id: 5, status: "COMPLETED" },
      ...[11, 12, 13, 14, 15, 16].map((id) => ({ id })),
      { id: 21, status: "processing" },
    ]);
    await remember(path, 4, "held", { reason: "dirty_source", detail: "a.txt" });
    await setStatus(path, 5, "merge_failed");
    for (const id of [11, 12, 13, 14, 15, 16]) await setStatus(path, id, "merged", id === 14 ? 900 : id);
    const queue = await open();
    expect(await list(queue, "default")).toEqual([
      ...["5 failed", "4 held", "3 pending", "2 pending", "1 pending"],
      ...["14 merged", "16 merged", "15 merged", "13 merged", "12 merged"],
    ]);
    expect(await readOverview(queue, "default", every)).toMatchObject({
      counts: { pending: 3, held: 1, failed: 1, merged: 6, rolled_back: 0, skipped: 0, not_completed: 1 },
      matching: 10,
    });
  });

  test("each filter alone, together, and all", async () => {
    const { path, open } = await makeQueue(
      [1, 2, 3, 4, 5, 6, 7].map((id) => (id === 7 ? { id, status: "zombie" } : { id })),
    );
    await remember(path, 2, "held", { reason: "dirty_target" });
    await setStatus(path, 3, "merge_failed");
    await setStatus(path, 4, "merged", 1);
    await setStatus(path, 5, "rolled_back", 1);
    await setStatus(path, 6, "skipped");
    const queue = await open();
    expect(await list(queue, new Set(["pending"]))).toEqual(["1 pending"]);
    expect(await list(queue, new Set(["held"]))).toEqual(["2 held"]);
    expect(await list(queue, new Set(["failed"]))).toEqual(["3 failed"]);
    expect(await list(queue, new Set(["merged"]))).toEqual(["4 merged"]);
    expect(await list(queue, new Set(["merged", "held"]))).toEqual(["2 held", "4 merged"]);
    expect(await list(queue, "all")).toEqual([
      ...["3 failed", "2 held", "1 pending", "4 merged", "5 rolled_back", "6 skipped", "7 not_completed"],
    ]);
    expect(await list(queue, "all", 3)).toEqual(["3 failed", "2 held", "1 pending"]);
    expect(await list(queue, "all", 5)).toHaveLength(5);
    expect((await readOverview(queue, "all", { all: 5, each: null })).matching).toBe(7);
  });

  test("a limit reaches into the merged ones, and past five without the default", async () => {
    const { path, open } = await makeQueue([1, 2, 3, 4, 5, 6, 7, 8].map((id) => ({ id })));
    for (const id of [1, 2, 3, 4, 5, 6, 7]) await setStatus(path, id, "merged", id);
    const queue = await open();
    expect(await list(queue, "default", 3)).toEqual(["8 pending", "7 merged", "6 merged"]);
    expect(await list(queue, new Set(["merged"]))).toHaveLength(7);
    expect(await list(queue, new Set(["merged"]), 6)).toHaveLength(6);
  });
});

describe("the row and our memory of it", () => {
  test("completed again after it was merged: waits like a new one and shows nothing of before", async () => {
    const { path, open } = await makeQueue([{ id: 1 }, { id: 2 }]);
    await attempt(path, 1, "merged", {
      target: "refs/heads/main",
      merge_commit: "a".repeat(40),
      push: "pushed",
      tag: "t",
    });
    const old = {
      generation: '["older",1,2]',
      recorded_status: "merged",
      attempt_id: "A1",
      reason: "conflict",
      detail: "old",
    };
    await remember(path, 1, "merged", old);
    await setStatus(path, 1, "merged", 1);
    const queue = await open();
    expect(await list(queue, new Set(["merged"]))).toEqual([]);
    expect(await readOne(queue, 1)).toMatchObject({
      project: {
        standing: "pending",
        again: true,
        mergedStatus: "pending_merge",
        mergedAt: null,
        reason: null,
        detail: null,
        attempt: null,
      },
      counts: { pending: 2, merged: 0 },
    });
  });

  test("completed again after it failed or was held: pending, without its old reason and its old wait", async () => {
    const { path, open } = await makeQueue([{ id: 1 }, { id: 2 }]);
    const old = { generation: "[]", reason: "conflict", detail: "old", next_attempt_at: now + 1000 };
    await remember(path, 1, "failed", { ...old, recorded_status: "merge_failed" });
    await setStatus(path, 1, "merge_failed");
    await sql(path, "UPDATE project_queue SET error_message = 'Merge failed: conflict: old' WHERE id = 1");
    await remember(path, 2, "held", old);
    const { projects, counts } = await readOverview(await open(), "default", every);
    expect(counts).toMatchObject({ pending: 2, held: 0, failed: 0 });
    for (const project of projects)
      expect(project).toMatchObject({ standing: "pending", reason: null, detail: null, nextAttemptAt: null });
  });

  test("a merged_status that is not what we wrote wins over what we remember", async () => {
    const { path, open } = await makeQueue([{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }]);
    await remember(path, 1, "held", { recorded_status: "merge_failed", reason: "conflict" }); // put back by hand
    await setStatus(path, 1, "pending_merge");
    await remember(path, 2, "failed", { recorded_status: "merge_failed", reason: "conflict" }); // landed by the original's tools
    await setStatus(path, 2, "merged", 5);
    await remember(path, 3, "held", { reason: "dirty_source" }); // given up by hand
    await setStatus(path, 3, "on_ice");
    await setStatus(path, 4, "merge_failed"); // failed by the original's tools
    await sql(path, "UPDATE project_queue SET error_message = 'Unknown error' WHERE id = 4");
    const { projects, counts } = await readOverview(await open(), "all", every);
    expect(projects).toMatchObject([
      { id: 4, standing: "failed", reason: null, detail: "Unknown error" },
      { id: 1, standing: "pending", reason: null },
      { id: 2, standing: "merged", reason: null, mergedAt: 5000 },
      { id: 3, standing: "skipped", reason: null, mergedStatus: "on_ice" },
    ]);
    expect(counts).toMatchObject({ pending: 1, held: 0, failed: 1, merged: 1, skipped: 1 });
  });

  test("a failure that only error_message tells keeps its reason; NULL and pending_merge are one", async () => {
    const { path, open } = await makeQueue([{ id: 1 }, { id: 2 }]);
    await setStatus(path, 1, "merge_failed");
    await sql(path, "UPDATE project_queue SET error_message = ? WHERE id = 1", [
      "Merge failed: no_worktree: nothing\nfound",
    ]);
    await remember(path, 2, "held", { recorded_status: "pending_merge", reason: "dirty_source" });
    await setStatus(path, 2, null);
    const { projects } = await readOverview(await open(), "default", every);
    expect(projects).toMatchObject([
      { id: 1, reason: "no_worktree", detail: "nothing\nfound" },
      { id: 2, standing: "held", reason: "dirty_source", mergedStatus: null },
    ]);
  });

  test("the push of a merged project, with what the remote said", async () => {
    const { path, open } = await makeQueue([{ id: 1 }]);
    await attempt(path, 1, "merged", { repository: "/r/.git", target: "refs/heads/main", push: "pending" });
    await remember(path, 1, "merged", { recorded_status: "merged", attempt_id: "A1" });
    await setStatus(path, 1, "merged", 7);
    const push = {
      repository: "/r/.git",
      target: "refs/heads/main",
      state: "pending",
      detail: "timed out",
      next_at: now + 5,
      changed_at: now,
    };
    await insert(path, "merge_push", push);
    await insert(path, "merge_project_tag", { project_id: 1, tag: "web" });
    await insert(path, "merge_project_tag", { project_id: 1, tag: "critical" });
    expect((await readOne(await open(), 1)).project).toMatchObject({
      attempts: 1,
      tags: ["critical", "web"],
      attempt: { push: "pending", pushDetail: "timed out", pushNextAt: now + 5 },
    });
  });

  test.each<Variant>(["minimal", "lean", "ignore", "extended"])(
    "the %s layout, where columns are missing",
    async (variant) => {
      const { open } = await makeQueue([{ id: 1, ...(variant === "minimal" ? { spec_path: null } : {}) }], variant);
      const queue = await open();
      expect((await readOverview(queue, "default", every)).projects).toMatchObject([
        { id: 1, standing: "pending", projectPath: null },
      ]);
      expect((await readStatistics(queue, 0, now)).distribution).toMatchObject({ pendingMerge: 1 });
    },
  );
});

describe("a part of it", () => {
  const part = async (queue: Queue, filter: Filter, limit: number, offset: number, search = "") => {
    const { projects, matching } = await readOverview(queue, filter, { all: limit, each: null }, { offset, search });
    return { ids: projects.map(({ id }) => id), matching };
  };

  test("from an offset on: open ones and closed ones are one list", async () => {
    const { path, open } = await makeQueue([1, 2, 3, 4, 5, 6].map((id) => ({ id })));
    for (const id of [3, 4, 5, 6]) await setStatus(path, id, "merged", id);
    const queue = await open();
    expect(await part(queue, "all", 3, 0)).toEqual({ ids: [1, 2, 6], matching: 6 });
    expect(await part(queue, "all", 3, 3)).toEqual({ ids: [5, 4, 3], matching: 6 });
    expect(await part(queue, "all", 3, 6)).toEqual({ ids: [], matching: 6 });
    expect(await part(queue, new Set(["merged"]), 2, 1)).toEqual({ ids: [5, 4], matching: 4 });
  });

  test.each<[string, number[]]>([
    ["SHOP", [1, 3]],
    ["dirty", [2]],
    ["todo.txt", [2]],
    ["critical", [4]],
    ["#4", [4]],
    ["4", [4]],
    ["%", []],
    ["' OR 1 --", []],
    ["é", [5]],
  ])("only what has %j in its spec, path, reason, detail, tag or number", async (search, ids) => {
    const specs = ["/specs/shop.md", "/specs/b.md", "/specs/c.md", "/specs/d.md", "/specs/caf\u00e9.md"];
    const { path, open } = await makeQueue(
      specs.map((spec_path, i) => ({ id: i + 1, spec_path, project_path: i === 2 ? "/work/Shop" : null })),
    );
    await remember(path, 2, "held", { reason: "dirty_source", detail: "todo.txt" });
    await insert(path, "merge_project_tag", { project_id: 4, tag: "critical" });
    await setStatus(path, 3, "merged", 5);
    await setStatus(path, 5, "merged", 6);
    expect(await part(await open(), "all", 10, 0, search)).toEqual({ ids, matching: ids.length });
  });

  test("search works in a queue whose table has the fewest columns", async () => {
    const { open } = await makeQueue([{ id: 1, spec_path: "/specs/shop.md" }], "minimal");
    expect(await part(await open(), "all", 10, 0, "shop")).toEqual({ ids: [1], matching: 1 });
  });
});

test("100,000 rows: no table is scanned, counts read an index alone, and few rows are handed over", async () => {
  const { path, open } = await makeQueue([]);
  await sql(
    path,
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
     INSERT INTO project_queue (id, spec_path, status, started_at, completed_at, merged_status, merged_at)
     SELECT i, '/specs/p' || i || '.md', 'completed', i, i + 1,
       CASE WHEN i % 5000 = 0 THEN 'pending_merge' WHEN i % 7000 = 0 THEN 'merge_failed' ELSE 'merged' END, i + 2 FROM n`,
  );
  await sql(
    path,
    `INSERT INTO merge_project (project_id, generation, recorded_status, state, since, reason)
     SELECT id, printf('["/specs/p%d.md",%d,%d]', id, id, id + 1), merged_status,
       CASE merged_status WHEN 'merged' THEN 'merged' WHEN 'merge_failed' THEN 'failed' ELSE 'held' END, 1,
       CASE merged_status WHEN 'merged' THEN NULL ELSE 'conflict' END FROM project_queue`,
  );
  const queue = await open();
  const plans: string[] = [];
  let rows = 0;
  const watched: Queue = {
    ...queue,
    async read(statement: string, args?: InArgs) {
      for (const { detail } of await queue.read(`EXPLAIN QUERY PLAN ${statement}`, args)) plans.push(String(detail));
      const read = await queue.read(statement, args);
      rows += read.length;
      return read;
    },
  };
  const { counts, projects } = await readOverview(watched, "default", every);
  expect(counts).toMatchObject({ merged: 99_968, held: 20, pending: 0, failed: 12 });
  expect(projects).toHaveLength(37);
  await readStatistics(watched, now - 1, now);
  for (const by of ["project", "repository"] as const) {
    await readBreakdown(watched, by, { since: now - 1, now }, 20, 14);
  }
  for (const standing of ["merged", "rolled_back", "failed", "held", "pending"] as const) {
    await readOverview(watched, new Set([standing]), { all: 20, each: null });
  }
  await readAttempts(watched, 5, 10);
  const scans = plans.filter((plan) => /^SCAN (?!CONSTANT|total|landed|json_each|\(subquery)/.test(plan));
  expect([...new Set(scans)].sort()).toEqual([
    "SCAN merge_lease", // a row a repository
    "SCAN q USING COVERING INDEX idx_status_merged",
    "SCAN q USING COVERING INDEX merge_recent",
    "SCAN q USING INDEX merge_candidates", // partial: only what waits is in it
  ]);
  expect(rows).toBeLessThan(1000);
});
