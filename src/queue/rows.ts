import type { Row, Value } from "@libsql/client";
import { trouble } from "./trouble.ts";

/**
 * Typed access to a row by column name. SQLite columns hold whatever was written, and live queues hold numbers as text
 * and the reverse, so these convert what converts without loss; a column that the query did not name reads as null.
 */

/** The value as it is stored, blobs read as UTF-8; null also when the row has no such column. */
export function value(row: Row, column: string): Exclude<Value, ArrayBuffer> {
  const stored = Object.hasOwn(row, column) ? (row[column] ?? null) : null;
  return stored instanceof ArrayBuffer ? new TextDecoder().decode(stored) : stored;
}

/** Text as it is, a number in decimal, a blob read as UTF-8; null for NULL. */
export function text(row: Row, column: string): string | null {
  const stored = value(row, column);
  return stored === null ? null : String(stored);
}

/** A whole number (a fraction is cut off, numeric text is read); null for NULL and whatever is no safe integer. */
export function integer(row: Row, column: string): number | null {
  const stored = value(row, column);
  if (stored === null) return null;
  if (typeof stored === "string" && stored.trim() === "") return null;
  const whole = Math.trunc(Number(stored));
  return Number.isSafeInteger(whole) ? whole : null;
}

/** For columns that are never NULL in our own tables; throws a plain Error (a bug) when it is. */
export function requiredText(row: Row, column: string): string {
  const found = text(row, column);
  if (found === null) throw new Error(`column ${column} has no text`);
  return found;
}

/**
 * For columns that are never NULL in our own tables, and for the id of a queue row; throws a plain Error (a bug) when it is, and
 * UserError(3) for a number that JavaScript cannot tell from its neighbours.
 */
export function requiredInteger(row: Row, column: string): number {
  const found = integer(row, column);
  if (found !== null) return found;
  const stored = value(row, column);
  if (typeof stored === "bigint") return safeId(stored);
  throw new Error(`column ${column} has no whole number`);
}

/** The id of a queue row as a number; throws UserError(3) beyond 2^53, where it would name several rows. */
export function safeId(id: number | bigint): number {
  if (Number.isSafeInteger(Number(id))) return Number(id);
  throw trouble(
    `the queue has a project with the number ${id}, which is beyond ${Number.MAX_SAFE_INTEGER}: it cannot be told from its neighbours.`,
    "Give that row a smaller id; in sqlite3: UPDATE project_queue SET id = (SELECT coalesce(max(id), 0) + 1 FROM project_queue WHERE id < 9e15) WHERE id > 9e15;",
  );
}

/**
 * The select list for columns of project_queue: `a, b` as they are named, NULL for those that this database lacks.
 * Use it for every column that others write. Their text goes through a blob, because libsql aborts the whole process
 * (a Rust panic, seen with 0.9.30) on TEXT that is not UTF-8, such as a path from an old file system.
 * @param available Queue.columns
 * @param table the alias of project_queue in the query
 */
export function selectColumns(available: ReadonlySet<string>, table: string, names: readonly string[]): string {
  return names.map((name) => `${available.has(name) ? safely(`${table}."${name}"`) : "NULL"} AS "${name}"`).join(", ");
}

/** A SQL expression whose text is handed over as a blob; see selectColumns. */
export function safely(expression: string): string {
  return `CASE typeof(${expression}) WHEN 'text' THEN CAST(${expression} AS BLOB) ELSE ${expression} END`;
}
