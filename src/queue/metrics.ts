import type { Histogram, Metrics } from "../core/metrics.ts";
import type { Queue } from "./database.ts";
import { readOverview } from "./overview.ts";
import { debts } from "./pushes.ts";
import { integer, requiredInteger, requiredText } from "./rows.ts";

// From a minute to a week, and from a tenth of a second to ten minutes. Whoever changes these breaks people's dashboards.
const landBounds = [60, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400, 259_200, 604_800];
const attemptBounds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

/** Reads all of it. The statement over the attempts reads each of them once: 0.2 s for 100,000. */
export async function readMetrics(queue: Queue): Promise<Metrics> {
  const attempts = await readAttempts(queue);
  const of = (outcome: string): Bucketed[] => attempts.filter((row) => row.outcome === outcome);
  const total = (rows: readonly Bucketed[]): number => rows.reduce((sum, { n }) => sum + n, 0);
  const duration = (rows: readonly Bucketed[]): Histogram =>
    histogram(
      attemptBounds,
      rows.map(({ n, took, tookMs }) => ({ n, bucket: took, ms: tookMs })),
    );
  const { counts, projects } = await readOverview(queue, new Set(["held"]), { all: null, each: null });
  const landed = of("merged");
  const failed = of("merge_failed");
  return {
    projects: counts,
    held: tally(projects.map(({ reason }) => ({ name: reason ?? "unknown", n: 1 }))),
    landings: { merged: total(landed), alreadyMerged: total(of("already_merged")) },
    failures: tally(failed.map(({ reason, n }) => ({ name: reason, n }))),
    timeToLand: histogram(
      landBounds,
      landed.map(({ n, land, landMs }) => ({ n, bucket: land, ms: landMs })),
    ),
    attemptDuration: { merged: duration(landed), mergeFailed: duration(failed) },
    owed: await readOwed(queue),
    leases: await readLeases(queue),
    lastTick: await readLastTick(queue),
  };
}

/** When a tick last ended well, busy or idle; null before the first. */
export async function readLastTick(queue: Queue): Promise<number | null> {
  const [row] = await queue.read("SELECT CAST(value AS INTEGER) AS at FROM merge_meta WHERE key = 'last_tick'");
  return row === undefined ? null : integer(row, "at");
}

/** Attempts of one outcome and reason whose times fall into the same buckets; null is a time that is not known. */
type Bucketed = {
  readonly outcome: string;
  readonly reason: string;
  readonly n: number;
  readonly land: number | null;
  readonly landMs: number;
  readonly took: number | null;
  readonly tookMs: number;
};

async function readAttempts(queue: Queue): Promise<Bucketed[]> {
  const rows = await queue.read(
    `SELECT outcome, coalesce(reason, 'unknown') AS reason, ${bucketOf("land", landBounds)} AS land_bucket,
       ${bucketOf("took", attemptBounds)} AS took_bucket, count(*) AS n, sum(land) AS land_ms, sum(took) AS took_ms
     FROM (SELECT outcome, reason, max(0, finished_at - completed_at) AS land, max(0, finished_at - started_at) AS took
           FROM merge_attempt WHERE outcome IN ('merged','already_merged','merge_failed'))
     GROUP BY 1, 2, 3, 4`,
  );
  return rows.map((row) => ({
    outcome: requiredText(row, "outcome"),
    reason: requiredText(row, "reason"),
    n: requiredInteger(row, "n"),
    land: integer(row, "land_bucket"),
    landMs: integer(row, "land_ms") ?? 0,
    took: integer(row, "took_bucket"),
    tookMs: integer(row, "took_ms") ?? 0,
  }));
}

/** The index of the first bound that the milliseconds of a column do not exceed; the number of bounds beyond all. */
const bucketOf = (column: string, bounds: readonly number[]): string =>
  `CASE WHEN ${column} IS NULL THEN NULL ${bounds.map((bound, i) => `WHEN ${column} <= ${bound * 1000} THEN ${i}`).join(" ")} ELSE ${bounds.length} END`;

function histogram(
  bounds: readonly number[],
  rows: readonly { readonly n: number; readonly bucket: number | null; readonly ms: number }[],
): Histogram {
  const counts = Array.from({ length: bounds.length + 1 }, (_, i) =>
    rows.reduce((sum, { n, bucket }) => (bucket === i ? sum + n : sum), 0),
  );
  return { bounds, counts, sum: rows.reduce((sum, { ms }) => sum + ms, 0) / 1000 };
}

async function readOwed(queue: Queue): Promise<Metrics["owed"]> {
  const targets = tally((await debts(queue, null)).map(({ state }) => ({ name: state, n: 1 })));
  // Not merge_push.changed_at: every try to push sets that anew.
  const [row] = await queue.read(
    "SELECT min(finished_at) AS oldest FROM merge_attempt WHERE push IN ('pending','withheld','refused')",
  );
  return { targets, oldest: row === undefined ? null : integer(row, "oldest") };
}

async function readLeases(queue: Queue): Promise<Metrics["leases"]> {
  const [row] = await queue.read("SELECT count(run_id) AS held, count(*) AS known FROM merge_lease");
  const held = row === undefined ? 0 : requiredInteger(row, "held");
  return { held, free: row === undefined ? 0 : requiredInteger(row, "known") - held };
}

/** The sums of `n` by name. */
function tally(counted: readonly { readonly name: string; readonly n: number }[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { name, n } of counted) sums.set(name, (sums.get(name) ?? 0) + n);
  return sums;
}
