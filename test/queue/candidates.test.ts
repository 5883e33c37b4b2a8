import type { InArgs, Row } from "@libsql/client";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Candidates, findCandidates, lastSweepKey } from "../../src/queue/candidates.ts";
import { openQueue, type Queue } from "../../src/queue/database.ts";
import { generationOf } from "../../src/queue/generation.ts";
import { migrate } from "../../src/queue/migrate.ts";
import { recordIdle } from "../../src/queue/runs.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { now, type QueueRow, queueDb, sql, type Variant } from "../helpers/queueDb.ts";

const hour = 3_600_000;

async function queueWith(rows: QueueRow[], variant: Variant = "originalMigrated"): Promise<Queue> {
  const path = await queueDb(temporaryDirectory(), { variant, rows });
  const queue = await openQueue({ location: path, mode: "write" });
  onTestFinished(() => queue.close());
  return queue;
}

/** Writes into merge_project what a tick would after it looked at these rows as they are now. */
async function remember(
  queue: Queue,
  state: string,
  fields: Record<string, string | number | null> = {},
  ids?: number[],
) {
  const rows = await queue.read("SELECT * FROM project_queue");
  await queue.write(async (tx) => {
    for (const row of rows) {
      if (ids !== undefined && !ids.includes(Number(row["id"]))) continue;
      const all = {
        project_id: Number(row["id"]),
        generation: generationOf(row),
        recorded_status: row["merged_status"] ?? null,
        state,
        since: now,
        ...fields,
      };
      const marks = Object.keys(all).map(() => "?");
      await tx.run(`INSERT OR REPLACE INTO merge_project (${Object.keys(all)}) VALUES (${marks})`, Object.values(all));
    }
  });
}

const swept = (queue: Queue, at = now): Promise<number> =>
  queue.write((tx) => tx.run("INSERT OR REPLACE INTO merge_meta VALUES (?, ?)", [lastSweepKey, String(at)]));

/** What a tick without work writes down of what it found. */
const tidied = (queue: Queue, { overridden }: Candidates, at = now): Promise<void> =>
  recordIdle(queue, at, { swept: { key: lastSweepKey, overridden } });

const memory = (queue: Queue): Promise<Row[]> => queue.read("SELECT * FROM merge_project ORDER BY project_id");

const ids = (found: Candidates): number[] => found.candidates.map(({ id }) => id);

/** The scheduler takes the row up again and finishes it, and leaves merged_status alone. */
const completeAgain = (queue: Queue, id: number, completedAt: unknown): Promise<unknown> =>
  sql(queue.location, "UPDATE project_queue SET started_at = ?, completed_at = ? WHERE id = ?", [
    now / 1000 - 60,
    typeof completedAt === "string" ? completedAt : Number(completedAt),
    id,
  ]);

describe("what waits", () => {
  test("completed in any case, and nobody has said what became of it", async () => {
    const queue = await queueWith([
      { merged_status: "pending_merge" },
      { status: "COMPLETED" },
      { status: "Completed", merged_status: null },
      { status: "queued" },
      { status: "failed", merged_status: "pending_merge" },
      { merged_status: "merged" },
      { merged_status: "merge_failed" },
      { merged_status: "skipped" },
      { merged_status: "rolled_back" },
      { merged_status: "somebody's word" },
    ]);
    await sql(queue.location, "UPDATE project_queue SET merged_status = NULL WHERE id = 2");
    const found = await findCandidates(queue, now);
    expect(ids(found)).toEqual([1, 2, 3]);
    expect(found.secondLooks).toEqual([]);
    expect(found.candidates[1]).toEqual({
      id: 2,
      specPath: "/specs/project_2.md",
      projectPath: null,
      status: "COMPLETED",
      mergedStatus: null,
      priority: 0,
      completedAt: now - hour + 2000,
      generation: `["/specs/project_2.md",${now / 1000 - 3600 + 2 - 600},${now / 1000 - 3600 + 2}]`,
      fresh: true,
      known: null,
      source: null,
      tags: [],
    });
  });

  test("high priority first, then oldest completion of whatever type, unknown last", async () => {
    const at = (minutes: number): Date => new Date(now - minutes * 60_000);
    const civil = (date: Date): string => date.toISOString().replace("T", " ").slice(0, 19);
    const queue = await queueWith(
      [
        { id: 1, completed_at: null },
        { id: 2, completed_at: "garbage" },
        { id: 3, completed_at: civil(at(30)) },
        { id: 4, completed_at: at(40).getTime() / 1000 },
        { id: 5, completed_at: String(at(20).getTime() / 1000) },
        { id: 6, completed_at: at(35).toISOString() },
        { id: 7, completed_at: at(1).getTime() / 1000, priority: 5 },
        { id: 8, completed_at: at(50).getTime() / 1000, priority: null },
        { id: 9, completed_at: at(10).getTime() / 1000, priority: "7" },
        { id: 10, completed_at: at(60).getTime() / 1000, priority: -1 },
        { id: 11, completed_at: at(40).getTime() / 1000 },
      ],
      "ignore",
    );
    expect(ids(await findCandidates(queue, now))).toEqual([9, 7, 8, 4, 11, 6, 3, 5, 1, 2, 10]);
  });

  test("absent columns are null; odd values are handed on", async () => {
    const queue = await queueWith([{ spec_path: null }, { spec_path: "/a\n'$(x)`.md" }], "minimal");
    await sql(
      queue.location,
      "INSERT INTO project_queue VALUES (3, CAST(x'2fff' AS TEXT), 'completed', NULL, NULL, NULL)",
    );
    const { candidates } = await findCandidates(queue, now);
    expect(candidates.map(({ specPath }) => specPath)).toEqual([null, "/a\n'$(x)`.md", "/\ufffd"]);
    expect(candidates[0]).toMatchObject({ projectPath: null, completedAt: null, priority: 0, tags: [], source: null });
  });

  test("what is remembered of this completion comes along, backoff, source and tags too", async () => {
    const queue = await queueWith([{}, {}]);
    const facts = {
      reason: "dirty_source",
      detail: "a.txt",
      failures: 3,
      next_attempt_at: now + hour,
      roles_json: '["dev"]',
    };
    await remember(queue, "held", { ...facts, judged_on: "abc", attempt_id: "01A" }, [2]);
    await queue.write(async (tx) => {
      await tx.run("INSERT INTO merge_source VALUES (2, '/w', NULL)");
      await tx.run("INSERT INTO merge_project_tag VALUES (2, 'b'), (2, 'a'), (1, 'c')");
    });
    const [first, second] = (await findCandidates(queue, now)).candidates;
    expect(first).toMatchObject({ id: 1, fresh: true, known: null, source: null, tags: ["c"] });
    expect(second).toMatchObject({
      id: 2,
      fresh: false,
      known: {
        state: "held",
        recordedStatus: "pending_merge",
        reason: "dirty_source",
        detail: "a.txt",
        since: now,
        judgedOn: "abc",
        failures: 3,
        nextAttemptAt: now + hour,
        roles: ["dev"],
        attemptId: "01A",
      },
      source: { worktree: "/w", branch: null },
      tags: ["a", "b"],
    });
  });

  test("completed again while it waited: a new candidate without the old backoff", async () => {
    const queue = await queueWith([{}]);
    await remember(queue, "held", { next_attempt_at: now + hour });
    await completeAgain(queue, 1, now / 1000);
    expect((await findCandidates(queue, now)).candidates).toMatchObject([{ id: 1, fresh: true, known: null }]);
  });

  test("put back by hand: a new candidate without the old failure", async () => {
    const queue = await queueWith([{ merged_status: "merge_failed" }, { merged_status: "merged" }]);
    await remember(queue, "failed", { next_attempt_at: now + hour }, [1]);
    await remember(queue, "merged", {}, [2]);
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'pending_merge'");
    const found = await findCandidates(queue, now);
    expect(found.candidates).toMatchObject([
      { id: 1, fresh: true, known: null },
      { id: 2, fresh: true, known: null },
    ]);
    expect(found.secondLooks).toEqual([]);
  });
});

describe("what failed", () => {
  test("comes along for a second look, with what it was judged on", async () => {
    const queue = await queueWith([{ merged_status: "merge_failed" }, { merged_status: "merge_failed" }]);
    await remember(queue, "failed", { reason: "conflict", judged_on: "a..b", next_attempt_at: now + hour }, [1]);
    const found = await findCandidates(queue, now);
    expect(found.candidates).toEqual([]);
    // Number 2 was failed by somebody else: there is nothing to compare with.
    expect(found.secondLooks).toMatchObject([
      { id: 1, fresh: false, known: { reason: "conflict", judgedOn: "a..b", nextAttemptAt: now + hour } },
    ]);
  });

  test("completed again: a candidate like a new one", async () => {
    const queue = await queueWith([{ merged_status: "merge_failed" }]);
    await remember(queue, "failed");
    await completeAgain(queue, 1, now / 1000);
    const found = await findCandidates(queue, now);
    expect(found.candidates).toMatchObject([{ id: 1, fresh: true, known: null, mergedStatus: "merge_failed" }]);
    expect(found.secondLooks).toEqual([]);
  });

  test("settled by hand, or queued again and not finished: left alone", async () => {
    const rows = ["merged", "skipped", "rolled_back", "merge_failed"].map(() => ({ merged_status: "merge_failed" }));
    const queue = await queueWith(rows);
    await remember(queue, "failed");
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'merged' WHERE id = 1");
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'skipped' WHERE id = 2");
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'rolled_back' WHERE id = 3");
    await sql(queue.location, "UPDATE project_queue SET status = 'processing' WHERE id = 4");
    expect(await findCandidates(queue, now)).toMatchObject({ candidates: [], secondLooks: [] });
  });
});

describe("what was completed again after it had landed", () => {
  const landed = (count: number, completed: (id: number) => number | string): QueueRow[] =>
    Array.from({ length: count }, (_, index) => ({
      id: index + 1,
      merged_status: "merged",
      completed_at: completed(index + 1),
    }));
  const seconds = (id: number): number => now / 1000 - 100_000 + id;
  const civil = (unix: number): string => new Date(unix * 1000).toISOString().replace("T", " ").slice(0, 19);

  test.each<[string, (id: number) => number | string, number | string]>([
    ["unix seconds", seconds, now / 1000],
    ["unix seconds as text", (id) => String(seconds(id)), String(now / 1000)],
    ["civil time", (id) => civil(seconds(id)), civil(now / 1000)],
    ["numbers that became civil time", seconds, civil(now / 1000)],
    ["civil time that became a number", (id) => civil(seconds(id)), now / 1000],
  ])("%s: found at the newest end, without a sweep", async (_, before, after) => {
    const queue = await queueWith(landed(200, before), "ignore");
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'merged'");
    await remember(queue, "merged");
    await swept(queue);
    expect(await findCandidates(queue, now)).toEqual({ candidates: [], secondLooks: [], swept: false, overridden: [] });
    await completeAgain(queue, 7, after);
    await completeAgain(queue, 100, after);
    const found = await findCandidates(queue, now);
    expect(found.candidates).toMatchObject([
      { id: 7, fresh: true, known: null, mergedStatus: "merged", completedAt: now },
      { id: 100, fresh: true },
    ]);
    expect(found.swept).toBe(false);
  });

  test("more of them than a page holds, all at one second", async () => {
    const queue = await queueWith(landed(300, seconds));
    await remember(queue, "merged");
    await swept(queue);
    await sql(queue.location, "UPDATE project_queue SET completed_at = ?, started_at = 1 WHERE id <= 150", [
      now / 1000,
    ]);
    expect(ids(await findCandidates(queue, now))).toEqual(Array.from({ length: 150 }, (_, index) => index + 1));
  });

  test("hidden behind a page of newer ones: the sweep finds it", async () => {
    const queue = await queueWith(landed(200, seconds));
    await remember(queue, "merged");
    await swept(queue);
    await sql(queue.location, "UPDATE project_queue SET started_at = 1 WHERE id = 7");
    expect(ids(await findCandidates(queue, now + hour))).toEqual([]);
    expect(await findCandidates(queue, now + hour + 1)).toMatchObject({
      swept: true,
      candidates: [{ id: 7, fresh: true }],
    });
  });

  test("settled before our time, by whatever word: a candidate when it is completed again, at once, and not before", async () => {
    const words = ["merged", "merge_failed", "rolled_back", "skipped", "somebody's word"];
    const rows = [...words, ...words].map((word, index) => ({ merged_status: word, completed_at: seconds(index) }));
    const queue = await queueWith(rows);
    await swept(queue);
    expect(await findCandidates(queue, now)).toMatchObject({ candidates: [], secondLooks: [], swept: false });
    for (const id of [1, 2, 3, 4, 5]) await completeAgain(queue, id, now / 1000 + id);
    const found = await findCandidates(queue, now);
    expect(found).toMatchObject({ secondLooks: [], swept: false });
    expect(found.candidates).toMatchObject(
      words.map((word, index) => ({ id: index + 1, fresh: true, known: null, mergedStatus: word })),
    );
  });

  test("skipped by the baseline: a candidate when it is completed again", async () => {
    const queue = await queueWith([{}, {}]);
    await migrate({ location: queue.location, dryRun: false, baseline: "now", now });
    await swept(queue);
    expect(ids(await findCandidates(queue, now))).toEqual([]);
    await completeAgain(queue, 2, now / 1000);
    expect((await findCandidates(queue, now)).candidates).toMatchObject([
      { id: 2, fresh: true, mergedStatus: "skipped" },
    ]);
  });

  test("at work again when we came: a candidate when it is completed, unless somebody wished otherwise in advance", async () => {
    const processing = { status: "processing", completed_at: null };
    const queue = await queueWith([
      { ...processing, merged_status: "merged", main_session: "a" },
      { ...processing, merged_status: "skipped", main_session: "b" },
    ]);
    expect(ids(await findCandidates(queue, now))).toEqual([]);
    await sql(queue.location, "UPDATE project_queue SET status = 'completed', completed_at = ?", [now / 1000]);
    expect(await findCandidates(queue, now)).toMatchObject({ candidates: [{ id: 1 }], overridden: [{ id: 2 }] });
  });

  test("what somebody writes afterwards wins over what we remember of others", async () => {
    const queue = await queueWith([1, 2, 3].map(() => ({ merged_status: "merged" })));
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'pending_merge' WHERE id = 1");
    for (const id of [2, 3]) await completeAgain(queue, id, now / 1000);
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'skipped' WHERE id = 2");
    const found = await findCandidates(queue, now);
    expect(found).toMatchObject({
      candidates: [{ id: 1, fresh: true, known: null }, { id: 3 }],
      overridden: [{ id: 2 }],
    });
  });

  test("a queue without completed_at: the sweep", async () => {
    const queue = await queueWith([{}, {}], "minimal");
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'merged'");
    await remember(queue, "merged");
    await sql(queue.location, "UPDATE project_queue SET spec_path = '/other.md' WHERE id = 2");
    expect(ids(await findCandidates(queue, now))).toEqual([2]);
  });
});

describe("the sweep", () => {
  test("is due without a time, an hour after the last, and when the last lies ahead", async () => {
    const queue = await queueWith([]);
    const due = async (at: number): Promise<boolean> => (await findCandidates(queue, at)).swept;
    expect(await due(now)).toBe(true);
    await swept(queue, now);
    expect([await due(now), await due(now + hour), await due(now + hour + 1), await due(now - 1)]).toEqual([
      false,
      false,
      true,
      true,
    ]);
    await queue.write((tx) => tx.run("UPDATE merge_meta SET value = 'garbage'"));
    expect(await due(now)).toBe(true);
  });

  test("what somebody else has settled is remembered instead of what was, and a later completion is noticed", async () => {
    const queue = await queueWith([{ merged_status: "merge_failed" }]);
    const facts = { reason: "conflict", detail: "a.txt", judged_on: "a..b", failures: 2, next_attempt_at: now };
    await remember(queue, "failed", { ...facts, roles_json: '["dev"]', attempt_id: "01A" });
    await completeAgain(queue, 1, now / 1000 - 60);
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'skipped'");
    const found = await findCandidates(queue, now);
    const [row] = await queue.read("SELECT * FROM project_queue");
    const generation = row === undefined ? "" : generationOf(row);
    expect(found).toMatchObject({ candidates: [], overridden: [{ id: 1, mergedStatus: "skipped", generation }] });
    await tidied(queue, found, now + 5);
    const nothing = {
      reason: null,
      detail: null,
      judged_on: null,
      failures: 0,
      next_attempt_at: null,
      roles_json: null,
    };
    expect(await memory(queue)).toEqual([
      {
        ...{ project_id: 1, generation, recorded_status: "skipped", state: "skipped", since: now + 5, ...nothing },
        attempt_id: null,
      },
    ]);
    expect(await findCandidates(queue, now + 2 * hour)).toMatchObject({ candidates: [], swept: true, overridden: [] });
    await completeAgain(queue, 1, now / 1000);
    expect(await findCandidates(queue, now + 5)).toMatchObject({ candidates: [{ id: 1, fresh: true }], swept: false });
  });

  test("what was settled by hand without a look of ours is remembered too", async () => {
    const queue = await queueWith([{}, {}, { status: "queued" }, {}]);
    const words = ["skipped", "merge_failed", "merged"];
    for (const [index, word] of words.entries()) {
      await sql(queue.location, "UPDATE project_queue SET merged_status = ? WHERE id = ?", [word, index + 1]);
    }
    const found = await findCandidates(queue, now);
    // Number 3 is not completed: what stands there is a wish.
    expect(found).toMatchObject({ candidates: [{ id: 4 }], overridden: [{ id: 1 }, { id: 2 }] });
    await tidied(queue, found);
    expect((await memory(queue)).map(({ project_id, state }) => [project_id, state])).toEqual([
      [1, "skipped"],
      [2, "failed"],
    ]);
    for (const id of [1, 2]) await completeAgain(queue, id, now / 1000);
    expect(await findCandidates(queue, now)).toMatchObject({
      candidates: [{ id: 4 }, { id: 1, fresh: true }, { id: 2, fresh: true }],
      secondLooks: [],
      swept: false,
    });
  });

  test("between look and memory: another word is left alone, so is what a run has recorded, a new completion is noticed", async () => {
    const queue = await queueWith([1, 2, 3].map(() => ({})));
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'merged'");
    const found = await findCandidates(queue, now);
    expect(found.overridden).toHaveLength(3);
    await sql(queue.location, "UPDATE project_queue SET merged_status = 'pending_merge' WHERE id = 1");
    await remember(queue, "merged", { attempt_id: "01A" }, [2]);
    await completeAgain(queue, 3, now / 1000);
    await tidied(queue, found);
    expect(await memory(queue)).toMatchObject([{ project_id: 2, attempt_id: "01A" }, { project_id: 3 }]);
    expect((await findCandidates(queue, now)).candidates).toMatchObject([
      { id: 1, fresh: true },
      { id: 3, fresh: true },
    ]);
  });

  test("remembers no more at once than a moment's lock is good for, and the rest at the next", async () => {
    const queue = await queueWith([]);
    await sql(
      queue.location,
      `WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 20003)
       INSERT INTO project_queue (id, spec_path, status, merged_status) SELECT id, '/s', 'completed', 'skipped' FROM n`,
    );
    const found = await findCandidates(queue, now);
    expect(found.overridden).toHaveLength(20_000);
    await tidied(queue, found);
    expect((await findCandidates(queue, now + 2 * hour)).overridden.map(({ id }) => id)).toEqual([
      20_001, 20_002, 20_003,
    ]);
  });

  test("reads all of more rows than a page holds", async () => {
    const queue = await queueWith([]);
    await sql(
      queue.location,
      `WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 5000)
       INSERT INTO project_queue (id, spec_path, status, merged_status, completed_at)
       SELECT id, '/s' || id, 'completed', 'merged', id FROM n`,
    );
    await sql(
      queue.location,
      `INSERT INTO merge_project (project_id, generation, recorded_status, state, since)
       SELECT id, iif(id > 4900, json_array(spec_path, NULL, cast(completed_at AS INTEGER)), '["changed",null,0]'),
         'merged', 'merged', 0 FROM project_queue`,
    );
    // The newest hundred are as they were, so that the sweep alone can find the rest.
    expect((await findCandidates(queue, now)).candidates).toHaveLength(4900);
  });
});

describe("with 200,000 rows", () => {
  /** Every statement that is read, and how many rows it gave. */
  function watched(queue: Queue): { queue: Queue; seen: { statement: string; args: InArgs; rows: number }[] } {
    const seen: { statement: string; args: InArgs; rows: number }[] = [];
    const read = async (statement: string, args: InArgs = []): Promise<Row[]> => {
      const rows = await queue.read(statement, args);
      seen.push({ statement, args, rows: rows.length });
      return rows;
    };
    return { queue: { ...queue, read }, seen };
  }

  /** On a connection of its own: after EXPLAIN, libsql reads old snapshots on that connection until it is collected. */
  async function plans(path: string, seen: { statement: string; args: InArgs }[]): Promise<string[]> {
    const details: string[] = [];
    for (const { statement, args } of seen) {
      const rows = await sql(path, `EXPLAIN QUERY PLAN ${statement}`, Array.isArray(args) ? args : []);
      details.push(...rows.map((row) => String(row["detail"])));
    }
    return details;
  }

  test("a tick without work reads a few rows by indexes, never a table, and an index that is gone shows", async () => {
    const queue = await queueWith([]);
    const path = queue.location;
    // A third failed before it was completed (merged_status NULL), a third landed by us, a third was failed by somebody else.
    await sql(
      path,
      `WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 200000)
       INSERT INTO project_queue (id, spec_path, status, merged_status, started_at, completed_at)
       SELECT id, '/s' || id, iif(id % 3 = 0, 'failed', 'completed'), CASE id % 3 WHEN 1 THEN 'merged' WHEN 2 THEN 'merge_failed' END, id, id + 1 FROM n`,
    );
    await sql(
      path,
      `INSERT INTO merge_project (project_id, generation, recorded_status, state, since)
       SELECT id, json_array(spec_path, cast(started_at AS INTEGER), cast(completed_at AS INTEGER)), merged_status,
         iif(id % 3 = 1, 'merged', 'failed'), 0 FROM project_queue WHERE id % 3 > 0`,
    );
    await swept(queue);
    const idle = watched(queue);
    expect(await findCandidates(idle.queue, now)).toMatchObject({ candidates: [], secondLooks: [], swept: false });
    expect(idle.seen.map(({ rows }) => rows)).toEqual([0, 0, 1, 64, 0, 0]);
    const details = await plans(path, idle.seen);
    const wholeTable = (detail: string): boolean =>
      /^SCAN (?!q USING INDEX merge_candidates$)|TEMP B-TREE/.test(detail);
    expect(details.filter(wholeTable)).toEqual([]);
    expect(details).toEqual(
      expect.arrayContaining([
        "SCAN q USING INDEX merge_candidates",
        "SEARCH p USING INDEX merge_project_open (state=? AND reason>?)",
        "SEARCH q USING INDEX merge_completed (completed_at<?)",
        "SEARCH q USING INDEX merge_completed (completed_at>? AND completed_at<?)",
        "SEARCH q USING INDEX merge_completed (completed_at>?)",
      ]),
    );

    const sweeping = watched(queue);
    expect(await findCandidates(sweeping.queue, now + 2 * hour)).toMatchObject({ candidates: [], swept: true });
    // What did not change is not even handed to JavaScript: that took 4.3 s.
    expect(sweeping.seen.map(({ rows }) => rows)).toEqual([0, 0, 1, 0, 0, 64, 0, 0]);

    await sql(path, "DROP INDEX merge_candidates");
    expect((await plans(path, idle.seen)).filter(wholeTable)).not.toEqual([]);
  });
});
