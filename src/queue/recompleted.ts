import type { Row } from "@libsql/client";
import { isSettled } from "./conditions.ts";
import type { Queue } from "./database.ts";
import { generationColumns, generationOf } from "./generation.ts";
import { type Overridden, readOverridden } from "./overridden.ts";
import { requiredInteger, selectColumns, text } from "./rows.ts";
import { standingOf } from "./standing.ts";

/**
 * Ranges of completed_at, each in order of time (SQLite sorts numbers before text): unix seconds, unix seconds as text (they
 * begin with 1 until 2033), and civil time. No bound looks like a number, or a column with numeric affinity would make it one.
 */
const kindsOfTime = ["completed_at < ''", "completed_at >= '' AND completed_at < '2-'", "completed_at >= '2-'"];

const page = 64;
const sweepPage = 2000;
/** Most rows of others that one sweep tells of: they are remembered in one transaction (200,000 set by hand: an hour for each of these). */
const mostOverridden = 20_000;

/**
 * Ids of rows that were completed again after they had an outcome. They are the newest completions, so each kind of
 * time is read from its newest end, page by page, until a page holds none: three pages of an index, however long the history.
 */
export async function newlyRecompleted(queue: Queue): Promise<number[]> {
  if (!queue.columns.has("completed_at")) return [];
  const found: number[] = [];
  for (const kind of kindsOfTime) {
    let after: number | null = null;
    for (;;) {
      const rows: Row[] = await queue.read(pageSql(queue, kind, after !== null), after === null ? [] : [after]);
      const changed = rows.filter(isRecompleted).map((row) => requiredInteger(row, "id"));
      found.push(...changed);
      const last = rows.at(-1);
      if (changed.length === 0 || rows.length < page || last === undefined) break;
      after = requiredInteger(last, "id");
    }
  }
  return found;
}

/** The page below a row is found by asking for that row's time again: no value makes the round trip through JavaScript. */
function pageSql(queue: Queue, kind: string, below: boolean): string {
  const bound = "(SELECT completed_at FROM project_queue WHERE id = ?1)";
  const rest = below ? `AND completed_at <= ${bound} AND (completed_at < ${bound} OR id < ?1)` : "";
  return `SELECT ${stateColumns(queue)} FROM project_queue AS q LEFT JOIN merge_project AS p ON p.project_id = q.id
    WHERE ${isSettled} AND ${kind} ${rest} ORDER BY q.completed_at DESC, q.id DESC LIMIT ${page}`;
}

/**
 * Compares every project that we remember with its row: what newlyRecompleted misses (several kinds of time in one column,
 * clocks that went back, a row whose only change is started_at); and tells what somebody else has settled since.
 */
export async function sweep(queue: Queue): Promise<{ recompleted: number[]; overridden: Overridden[] }> {
  const recompleted: number[] = [];
  for (let after: number | null = null; ; ) {
    const rows: Row[] = await queue.read(
      `SELECT ${stateColumns(queue)}, p.project_id FROM merge_project AS p CROSS JOIN project_queue AS q ON q.id = p.project_id
       WHERE ${isSettled} AND p.recorded_status = merged_status AND (${suspects(queue)})
         ${after === null ? "" : "AND p.project_id > ?1"}
       ORDER BY p.project_id LIMIT ${sweepPage}`,
      after === null ? [] : [after],
    );
    recompleted.push(...rows.filter(isRecompleted).map((row) => requiredInteger(row, "id")));
    const last = rows.at(-1);
    if (last === undefined || rows.length < sweepPage) break;
    after = requiredInteger(last, "project_id");
  }
  return { recompleted, overridden: await readOverridden(queue, { after: null, most: mostOverridden }) };
}

/**
 * SQL cannot make a generation but it can read one: this leaves to JavaScript only rows that look changed, which for 133,000
 * rows takes 0.2 s instead of 4.3 s. Where SQLite reads a fraction differently, one row too many is looked at.
 */
function suspects(queue: Queue): string {
  const changed = generationColumns.map(
    (name, index) =>
      `json_extract(p.generation, '$[${index}]') IS NOT ${queue.columns.has(name) ? `q.${name}` : "NULL"}`,
  );
  return changed.join(" OR ");
}

function stateColumns(queue: Queue): string {
  const columns = selectColumns(queue.columns, "q", ["id", "status", "merged_status", ...generationColumns]);
  return `${columns}, p.generation, p.recorded_status, p.state`;
}

function isRecompleted(row: Row): boolean {
  const generation = text(row, "generation");
  const state = text(row, "state");
  // Settled by somebody else since the last sweep: there is nothing to compare with yet.
  if (generation === null || state === null) return false;
  const now = { status: text(row, "status"), mergedStatus: text(row, "merged_status"), generation: generationOf(row) };
  return standingOf(now, { generation, recordedStatus: text(row, "recorded_status"), state }).again;
}
