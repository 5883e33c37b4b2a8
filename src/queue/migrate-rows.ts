import type { Row } from "@libsql/client";
import { projectName } from "../core/describe.ts";
import { isPending } from "./conditions.ts";
import type { Transaction } from "./database.ts";
import type { Location } from "./location.ts";
import { integer, requiredInteger, safely, selectColumns, text, value } from "./rows.ts";
import { parseCompletion } from "./times.ts";
import { trouble } from "./trouble.ts";

/** "now": all that is completed; else unix milliseconds: what was completed before. */
export type Baseline = "now" | number;

/** Rows by status and merged_status as they are spelled; null is NULL. Largest first. */
export type Distribution = readonly {
  readonly status: string | null;
  readonly mergedStatus: string | null;
  readonly count: number;
}[];

/** A project that is going to land; completedAt in unix milliseconds, null if not known. */
export type Waiting = { readonly id: number; readonly name: string; readonly completedAt: number | null };

/** How many rows were marked; see Migration. */
export type Settled = { readonly backfilled: number; readonly skipped: number; readonly undated: number };

type All = (sql: string) => Promise<Row[]>;
type Columns = ReadonlySet<string>;

/** Counts the rows of project_queue. */
export async function distribution(all: All, columns: Columns): Promise<Distribution> {
  if (columns.size === 0) return [];
  const merged = columns.has("merged_status") ? "merged_status" : "NULL";
  // Grouped as stored and only then made safe to read: with 200,000 rows 36 ms on the index, 200 ms otherwise.
  const groups = `SELECT status, ${merged} AS merged_status, count(*) AS rows FROM project_queue GROUP BY 1, 2`;
  const rows = await all(
    `SELECT ${safely("status")} AS status, ${safely("merged_status")} AS merged_status, rows FROM (${groups})`,
  );
  return sorted(
    rows.map((row) => ({
      status: text(row, "status"),
      mergedStatus: text(row, "merged_status"),
      count: requiredInteger(row, "rows"),
    })),
  );
}

/** What a baseline means for a queue as it is: the rows to skip, null for all that wait; and those of unknown age. */
export type Cut = { readonly ids: readonly number[] | null; readonly undated: number };

/** Reads every row that waits, so do it before the write transaction and not in it. */
export async function cut(all: All, columns: Columns, baseline: Baseline): Promise<Cut> {
  if (baseline === "now") return { ids: null, undated: 0 };
  const waiting = await waitingRows(all, columns);
  return {
    ids: waiting.filter(({ completedAt }) => completedAt !== null && completedAt < baseline).map(({ id }) => id),
    undated: waiting.filter(({ completedAt }) => completedAt === null).length,
  };
}

/** Marks `skipped` what is to be skipped and still waits. */
export async function settle(tx: Transaction, { ids, undated }: Cut): Promise<Omit<Settled, "backfilled">> {
  const skip = `UPDATE project_queue SET merged_status = 'skipped' WHERE ${isPending}`;
  if (ids === null) return { skipped: await tx.run(skip), undated };
  const listed = `${skip} AND id IN (SELECT value FROM json_each(?))`;
  return { skipped: await tx.run(listed, [JSON.stringify(ids)]), undated };
}

const unmarked = `${isPending} AND merged_status IS NULL`;

/** Whether markPending would find anything; needs the column merged_status. */
export async function hasUnmarked(all: All): Promise<boolean> {
  return (await all(`SELECT 1 FROM project_queue WHERE ${unmarked} LIMIT 1`)).length > 0;
}

/** Marks `pending_merge` what is completed and says nothing; gives the number of rows. */
export async function markPending(tx: Transaction, place: Location): Promise<number> {
  const changed = await tx.run(`UPDATE project_queue SET merged_status = 'pending_merge' WHERE ${unmarked}`);
  // One layout has UNIQUE ... ON CONFLICT IGNORE, with which an UPDATE may leave rows out and say nothing.
  const [left] = await tx.all(`SELECT count(*) AS rows FROM project_queue WHERE ${unmarked}`);
  if (left !== undefined && requiredInteger(left, "rows") > 0) {
    throw trouble(
      `${requiredInteger(left, "rows")} rows of ${place.shown} could not be marked as pending_merge.`,
      "A constraint or trigger of project_queue ignores the change: look at it with sqlite3 and .schema project_queue.",
    );
  }
  return changed;
}

/** How many projects wait, and the oldest completion among them (a known time before an unknown one, then the lower id). */
export async function oldest(all: All, columns: Columns): Promise<{ willLand: number; oldest: Waiting | null }> {
  return oldestOf(await waitingRows(all, columns));
}

/** What marking would do to a queue that has not been touched. */
export async function foretell(
  all: All,
  columns: Columns,
  baseline: Baseline | null,
): Promise<Settled & { before: Distribution; after: Distribution; willLand: number; oldest: Waiting | null }> {
  const before = await distribution(all, columns);
  const waiting = await waitingRows(all, columns);
  const isOld = ({ completedAt }: Waiting): boolean =>
    baseline === "now" || (baseline !== null && completedAt !== null && completedAt < baseline);
  const staying = waiting.filter((row) => !isOld(row));
  const counts = new Map<string, { status: string | null; mergedStatus: string | null; count: number }>();
  const add = (status: string | null, mergedStatus: string | null, count: number): void => {
    const key = JSON.stringify([status, mergedStatus]);
    counts.set(key, { status, mergedStatus, count: count + (counts.get(key)?.count ?? 0) });
  };
  for (const { status, mergedStatus, count } of before) add(status, mergedStatus, count);
  for (const row of waiting) {
    add(row.status, row.mergedStatus, -1);
    add(row.status, isOld(row) ? "skipped" : "pending_merge", 1);
  }
  return {
    before,
    after: sorted([...counts.values()].filter(({ count }) => count > 0)),
    backfilled: staying.filter(({ mergedStatus }) => mergedStatus === null).length,
    skipped: waiting.length - staying.length,
    undated: typeof baseline === "number" ? waiting.filter(({ completedAt }) => completedAt === null).length : 0,
    ...oldestOf(staying),
  };
}

type WaitingRow = Waiting & { readonly status: string | null; readonly mergedStatus: string | null };

/** Page by page: in a file with a rollback journal nobody can commit while a query runs (200,000 rows at once: 1.5 s). */
async function waitingRows(all: All, columns: Columns): Promise<WaitingRow[]> {
  if (columns.size === 0) return [];
  const wanted = selectColumns(columns, "q", ["id", "spec_path", "status", "merged_status", "completed_at"]);
  const pending = columns.has("merged_status") ? isPending : "lower(status) = 'completed'";
  const found: WaitingRow[] = [];
  for (let after: number | null = null; ; ) {
    const above = after === null ? "" : `AND q.id > ${after}`;
    const rows: Row[] = await all(
      `SELECT ${wanted} FROM project_queue AS q WHERE ${pending} ${above} ORDER BY q.id LIMIT ${pageSize}`,
    );
    for (const row of rows) {
      const id = integer(row, "id");
      if (id === null) continue;
      found.push({
        id,
        name: projectName(id, text(row, "spec_path")),
        completedAt: parseCompletion(value(row, "completed_at")),
        status: text(row, "status"),
        mergedStatus: text(row, "merged_status"),
      });
    }
    const last = rows.at(-1);
    after = last === undefined ? null : integer(last, "id");
    if (after === null || rows.length < pageSize) return found;
  }
}

const pageSize = 10_000;

function oldestOf(waiting: readonly Waiting[]): { willLand: number; oldest: Waiting | null } {
  let first: Waiting | null = null;
  for (const row of waiting) {
    if (first === null || isOlder(row, first)) first = row;
  }
  if (first === null) return { willLand: 0, oldest: null };
  return { willLand: waiting.length, oldest: { id: first.id, name: first.name, completedAt: first.completedAt } };
}

function isOlder(a: Waiting, b: Waiting): boolean {
  if (a.completedAt === b.completedAt) return a.id < b.id;
  return a.completedAt !== null && (b.completedAt === null || a.completedAt < b.completedAt);
}

function sorted(counts: Distribution): Distribution {
  const key = (row: Distribution[number]): string => `${row.status ?? ""} ${row.mergedStatus ?? ""}`;
  return [...counts].sort((a, b) => b.count - a.count || (key(a) < key(b) ? -1 : 1));
}
