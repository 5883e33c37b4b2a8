import type { Row } from "@libsql/client";
import { value } from "./rows.ts";

/** The columns that generationOf reads. */
export const generationColumns = ["spec_path", "started_at", "completed_at"] as const;

/**
 * Which completion of a queue row this is: a string made of spec_path, started_at and completed_at as they are stored.
 * The scheduler re-queues a row without touching merged_status, so a changed generation is the only sign that the
 * project was completed again. INTEGER 600 and REAL 600.0 give one string (a column's affinity turns one into the
 * other when a table is rebuilt); numbers, text and NULL stay apart. A column that is absent counts as NULL.
 * It is made here and never in SQL, because SQLite and JavaScript print fractions differently.
 */
export function generationOf(row: Row): string {
  return `[${generationColumns.map((column) => printed(value(row, column))).join(",")}]`;
}

function printed(stored: string | number | bigint | null): string {
  if (typeof stored === "bigint") return stored.toString();
  // JSON knows no infinity: 9e999 is one in SQLite, and must not look like NULL.
  if (typeof stored === "number" && !Number.isFinite(stored)) return JSON.stringify({ real: String(stored) });
  return JSON.stringify(stored);
}
