import type { Queue } from "./database.ts";
import { integer, requiredInteger, text } from "./rows.ts";

/** What `stats --by` tells of one project or one repository, in a period. Times are unix milliseconds. */
export type Group = {
  /** the number of a project, or the common git directory of a repository */
  readonly key: string;
  /** a project's name; null for a repository */
  readonly name: string | null;
  readonly merged: number;
  readonly failed: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  /** the reason of most of its failures */
  readonly topReason: string | null;
  /** what ended in each of `columns` equal parts of the period, oldest first */
  readonly history: readonly number[];
};

export type By = "project" | "repository";
export type Breakdown = { readonly by: By; readonly groups: readonly Group[]; readonly total: number };

/** Attempts that ended one way or the other, as statistics.ts counts them. Served by the index merge_attempt_finished. */
const ended = "finished_at >= ?1 AND outcome IN ('merged','already_merged','merge_failed')";

/**
 * The `most` projects or repositories with the most attempts since `since`, the busiest first. The details are read of those alone:
 * 0.3 s for 100,000 attempts at as many projects.
 */
export async function readBreakdown(
  queue: Queue,
  by: By,
  period: { readonly since: number; readonly now: number },
  most: number,
  columns: number,
): Promise<Breakdown> {
  const column = by === "project" ? "project_id" : "repository";
  const since = Math.trunc(period.since);
  // The + keeps SQLite from reading all of history in the order of another index instead of the period by its own.
  // Of the columns beside a max() SQLite takes the row that has it: the name is that of the newest attempt.
  const rows = await queue.read(
    `SELECT ${column} AS key, name, max(attempt_id) AS newest, count(*) OVER () AS total,
       count(*) FILTER (WHERE outcome <> 'merge_failed') AS merged, count(*) FILTER (WHERE outcome = 'merge_failed') AS failed
     FROM merge_attempt WHERE ${ended} AND ${column} IS NOT NULL GROUP BY +${column}
     ORDER BY count(*) DESC, failed DESC, ${column} LIMIT ?2`,
    [since, most],
  );
  const keys = JSON.stringify(rows.map((row) => (by === "project" ? requiredInteger(row, "key") : text(row, "key"))));
  const among = `${column} IN (SELECT value FROM json_each(?2))`;
  const times = await queue.read(
    `WITH landed AS (
       SELECT ${column} AS key, max(0, finished_at - completed_at) AS ms,
         row_number() OVER (PARTITION BY ${column} ORDER BY max(0, finished_at - completed_at)) AS rank,
         count(*) OVER (PARTITION BY ${column}) AS n
       FROM merge_attempt WHERE finished_at >= ?1 AND outcome = 'merged' AND completed_at IS NOT NULL AND ${among})
     SELECT key, max(ms) FILTER (WHERE rank = (n * 50 + 99) / 100) AS p50, max(ms) FILTER (WHERE rank = (n * 95 + 99) / 100) AS p95
     FROM landed GROUP BY key`,
    [since, keys],
  );
  const reasons = await queue.read(
    `SELECT ${column} AS key, coalesce(reason, 'unknown') AS reason, count(*) AS n FROM merge_attempt
     WHERE finished_at >= ?1 AND outcome = 'merge_failed' AND ${among} GROUP BY 1, 2 ORDER BY n, 2 DESC`,
    [since, keys],
  );
  const part = Math.max(1, Math.ceil((period.now - since + 1) / columns));
  const parts = await queue.read(
    `SELECT ${column} AS key, (finished_at - ?1) / ?3 AS part, count(*) AS n FROM merge_attempt
     WHERE ${ended} AND ${among} GROUP BY 1, 2`,
    [since, keys, part],
  );
  const keyOf = (row: (typeof rows)[number]): string => text(row, "key") ?? "";
  const timesOf = new Map(times.map((row) => [keyOf(row), row]));
  const topOf = new Map(reasons.map((row) => [keyOf(row), text(row, "reason")])); // the last of a key is its most frequent
  const groups = rows.map((row): Group => {
    const key = keyOf(row);
    const time = timesOf.get(key);
    const history = Array.from({ length: columns }, () => 0);
    for (const one of parts) if (keyOf(one) === key) history[requiredInteger(one, "part")] = requiredInteger(one, "n");
    return {
      key,
      name: by === "project" ? text(row, "name") : null,
      merged: requiredInteger(row, "merged"),
      failed: requiredInteger(row, "failed"),
      p50Ms: time === undefined ? null : integer(time, "p50"),
      p95Ms: time === undefined ? null : integer(time, "p95"),
      topReason: topOf.get(key) ?? null,
      history: history.slice(0, columns), // a clock that ran ahead
    };
  });
  const [first] = rows;
  return { by, groups, total: first === undefined ? 0 : requiredInteger(first, "total") };
}
