import type { InValue } from "@libsql/client";
import { generationOf } from "../../src/queue/generation.ts";
import { now, sql } from "./queueDb.ts";

/** A row of merge_project for a project of the queue, of its generation as it is now unless `generation` says otherwise. */
export async function remember(
  path: string,
  id: number,
  state: string,
  more: Record<string, InValue> = {},
): Promise<void> {
  const [row] = await sql(path, "SELECT spec_path, started_at, completed_at FROM project_queue WHERE id = ?", [id]);
  if (row === undefined) throw new Error(`no project ${id} to remember`);
  await insert(path, "merge_project", { project_id: id, generation: generationOf(row), state, since: now, ...more });
}

/** A finished attempt; `A<id>` unless `attempt_id` says otherwise. */
export async function attempt(
  path: string,
  id: number,
  outcome: string,
  more: Record<string, InValue> = {},
): Promise<void> {
  const attempted = { attempt_id: `A${id}`, project_id: id, name: `project_${id}`, run_id: "run" };
  await insert(path, "merge_attempt", { ...attempted, started_at: now - 2000, finished_at: now, outcome, ...more });
}

/** One row into any table. */
export async function insert(path: string, table: string, values: Record<string, InValue>): Promise<void> {
  const names = Object.keys(values);
  const marks = names.map(() => "?").join(", ");
  await sql(path, `INSERT INTO ${table} (${names.join(", ")}) VALUES (${marks})`, Object.values(values));
}
