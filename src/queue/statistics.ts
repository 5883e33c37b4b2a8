import type { Queue } from "./database.ts";
import { integer, requiredInteger, requiredText, safely, text, value } from "./rows.ts";
import { parseCompletion } from "./times.ts";

/** What `stats` tells. Times are unix milliseconds, days are UTC. */
export type Statistics = {
  readonly since: number;
  /** every row of the queue by its merged_status, as it stands; a value that is nobody's we know counts as not set */
  readonly distribution: Distribution;
  /** rows, whoever landed them: we, the original's tools, a person */
  readonly mergedLast24h: number;
  /** attempts since `since` that ended as merged, already merged included */
  readonly merged: number;
  readonly failed: number;
  /** merged / (merged + failed), 0..1; null without either */
  readonly successRate: number | null;
  /** from completion to landing, of what landed since `since` and whose completion time is known */
  readonly timeToLand: { readonly p50Ms: number | null; readonly p95Ms: number | null };
  /** attempts that failed, by reason code, most first */
  readonly reasons: readonly { readonly reason: string; readonly failed: number }[];
  /** every day from that of `since` to today, oldest first; with years of nothing at the beginning, without those */
  readonly perDay: readonly { readonly day: string; readonly merged: number; readonly failed: number }[];
  /** the same by the hour of a period of at most three days, `2026-05-04T10:00Z`; none for a longer one */
  readonly perHour: readonly { readonly hour: string; readonly merged: number; readonly failed: number }[];
};

export type Distribution = Record<
  "pendingMerge" | "merged" | "mergeFailed" | "rolledBack" | "skipped" | "notSet",
  number
>;

const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** More days than these are listed only from the first on which something happened. */
const longestEmpty = 366;

/** Counts since `since`; both in unix milliseconds. */
export async function readStatistics(queue: Queue, since: number, now: number): Promise<Statistics> {
  const days = await readTimes(queue, since, dayMs);
  const merged = days.reduce((sum, day) => sum + day.merged, 0);
  const failed = days.reduce((sum, day) => sum + day.failed, 0);
  return {
    since,
    distribution: await readDistribution(queue),
    mergedLast24h: await countMergedSince(queue, now - dayMs),
    merged,
    failed,
    successRate: merged + failed === 0 ? null : merged / (merged + failed),
    timeToLand: await readTimeToLand(queue, since),
    reasons: await readReasons(queue, since),
    perDay: everyDay(days, Math.floor(since / dayMs), Math.floor(now / dayMs)),
    perHour: now - since <= 3 * dayMs ? await readHours(queue, since, now) : [],
  };
}

const keys: Readonly<Record<string, keyof Distribution>> = {
  pending_merge: "pendingMerge",
  merged: "merged",
  merge_failed: "mergeFailed",
  rolled_back: "rolledBack",
  skipped: "skipped",
};

async function readDistribution(queue: Queue): Promise<Distribution> {
  const distribution = { pendingMerge: 0, merged: 0, mergeFailed: 0, rolledBack: 0, skipped: 0, notSet: 0 };
  const sql = `SELECT ${safely("q.merged_status")} AS merged_status, count(*) AS n FROM project_queue q GROUP BY q.merged_status`;
  for (const row of await queue.read(sql)) {
    distribution[keys[text(row, "merged_status") ?? ""] ?? "notSet"] += requiredInteger(row, "n");
  }
  return distribution;
}

/** Text sorts after every number in SQLite, so the times that somebody wrote as text come along and are read here. */
async function countMergedSince(queue: Queue, since: number): Promise<number> {
  const rows = await queue.read(
    `SELECT ${safely("q.merged_at")} AS merged_at, count(*) AS n FROM project_queue q
     WHERE q.merged_status = 'merged' AND q.merged_at >= ?
     GROUP BY CASE typeof(q.merged_at) WHEN 'text' THEN q.merged_at END`,
    [since / 1000],
  );
  return rows.reduce((sum, row) => {
    const at = parseCompletion(value(row, "merged_at"));
    return at !== null && at >= since ? sum + requiredInteger(row, "n") : sum;
  }, 0);
}

/** Days or hours since 1970 on which something ended. */
type Busy = { readonly day: number; readonly merged: number; readonly failed: number };

async function readHours(queue: Queue, since: number, now: number): Promise<Statistics["perHour"]> {
  const known = new Map((await readTimes(queue, since, hourMs)).map((hour) => [hour.day, hour]));
  const first = Math.floor(since / hourMs);
  return Array.from({ length: Math.floor(now / hourMs) - first + 1 }, (_, i) => {
    const { merged, failed } = known.get(first + i) ?? { merged: 0, failed: 0 };
    return { hour: `${new Date((first + i) * hourMs).toISOString().slice(0, 16)}Z`, merged, failed };
  });
}

async function readTimes(queue: Queue, since: number, each: number): Promise<Busy[]> {
  const rows = await queue.read(
    `SELECT finished_at / ${each} AS day, count(*) FILTER (WHERE outcome <> 'merge_failed') AS merged,
       count(*) FILTER (WHERE outcome = 'merge_failed') AS failed
     FROM merge_attempt WHERE finished_at >= ? AND outcome IN ('merged','already_merged','merge_failed') GROUP BY 1`,
    [Math.trunc(since)],
  );
  return rows.map((row) => ({
    day: requiredInteger(row, "day"),
    merged: requiredInteger(row, "merged"),
    failed: requiredInteger(row, "failed"),
  }));
}

/** Those days and the quiet ones between, up to today: nobody has use for centuries of nothing before, or for a wrong clock's future. */
function everyDay(busy: readonly Busy[], since: number, today: number): Statistics["perDay"] {
  const known = new Map(busy.map((day) => [day.day, day]));
  const earliest = Math.min(today - longestEmpty, ...busy.map(({ day }) => day));
  const first = Math.max(since, earliest);
  return Array.from({ length: Math.max(0, today - first + 1) }, (_, i) => {
    const { merged, failed } = known.get(first + i) ?? { merged: 0, failed: 0 };
    return { day: new Date((first + i) * dayMs).toISOString().slice(0, 10), merged, failed };
  });
}

/** Nearest-rank percentiles. Sorted in SQLite: 100,000 values handed over would take three times as long. */
async function readTimeToLand(queue: Queue, since: number): Promise<Statistics["timeToLand"]> {
  const [row] = await queue.read(
    `WITH landed(ms) AS MATERIALIZED (
       SELECT max(0, finished_at - completed_at) FROM merge_attempt
       WHERE finished_at >= ? AND outcome = 'merged' AND completed_at IS NOT NULL ORDER BY 1),
     total(n) AS MATERIALIZED (SELECT count(*) FROM landed)
     SELECT (SELECT ms FROM landed ORDER BY ms LIMIT 1 OFFSET (SELECT max(0, (n * 50 + 99) / 100 - 1) FROM total)) AS p50,
            (SELECT ms FROM landed ORDER BY ms LIMIT 1 OFFSET (SELECT max(0, (n * 95 + 99) / 100 - 1) FROM total)) AS p95`,
    [Math.trunc(since)],
  );
  return {
    p50Ms: row === undefined ? null : integer(row, "p50"),
    p95Ms: row === undefined ? null : integer(row, "p95"),
  };
}

async function readReasons(queue: Queue, since: number): Promise<Statistics["reasons"]> {
  const rows = await queue.read(
    `SELECT coalesce(reason, 'unknown') AS reason, count(*) AS failed FROM merge_attempt
     WHERE finished_at >= ? AND outcome = 'merge_failed' GROUP BY 1 ORDER BY 2 DESC, 1`,
    [Math.trunc(since)],
  );
  return rows.map((row) => ({ reason: requiredText(row, "reason"), failed: requiredInteger(row, "failed") }));
}
