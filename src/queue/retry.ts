import { withoutOurError } from "./conditions.ts";
import type { Queue } from "./database.ts";
import { generationColumns, generationOf } from "./generation.ts";
import { integer, requiredInteger, selectColumns, text } from "./rows.ts";

/** What came of asking for a retry of one project. */
export type Retried =
  | { readonly id: number; readonly kind: "waiting"; readonly specPath: string | null }
  | { readonly id: number; readonly kind: "missing" }
  | { readonly id: number; readonly kind: "not_completed"; readonly status: string };

/**
 * Puts projects back in line: `pending_merge`, with failure, backoff and rejection forgotten; `roles` limits them to those agents'
 * heads (null: all); `alone` forgets what they were told to wait for. Null for `ids` means every failed one. All of them or, when one cannot be, none: the caller looks at the kinds.
 * @param now unix milliseconds
 */
export async function retry(
  queue: Queue,
  ids: readonly number[] | null,
  roles: readonly string[] | null,
  alone: boolean,
  now: number,
): Promise<Retried[]> {
  const select = `SELECT ${selectColumns(queue.columns, "q", ["id", "status", ...generationColumns])} FROM project_queue AS q`;
  return await queue.write(async (tx) => {
    const rows =
      ids === null
        ? await tx.all(
            `${select} WHERE q.merged_status = 'merge_failed' AND lower(q.status) = 'completed' ORDER BY q.id`,
          )
        : await tx.all(`${select} WHERE q.id IN (SELECT value FROM json_each(?))`, [JSON.stringify(ids)]);
    const byId = new Map(rows.map((row) => [requiredInteger(row, "id"), row]));
    const outcome = (ids ?? [...byId.keys()]).map((id): Retried => {
      const row = byId.get(id);
      if (row === undefined) return { id, kind: "missing" };
      const status = text(row, "status") ?? "NULL";
      return status.toLowerCase() === "completed"
        ? { id, kind: "waiting", specPath: text(row, "spec_path") }
        : { id, kind: "not_completed", status };
    });
    if (outcome.some((one) => one.kind !== "waiting")) return outcome;
    for (const row of byId.values()) {
      const id = integer(row, "id");
      // Who asks again wants its gates to be asked again: what they said against it is forgotten.
      await tx.run(
        `DELETE FROM merge_gate_verdict WHERE verdict != 'pass' AND tree IN (
           SELECT json_extract(g.value, '$.tree') FROM merge_project AS p JOIN merge_attempt AS a ON a.attempt_id = p.attempt_id,
             json_each(a.gates_json) AS g WHERE p.project_id = ?)`,
        [id],
      );
      await tx.run("DELETE FROM merge_approval WHERE project_id = ?", [id]);
      if (alone) await tx.run("DELETE FROM merge_dependency WHERE project_id = ?", [id]);
      await tx.run(
        `UPDATE project_queue SET merged_status = 'pending_merge', error_message = ${withoutOurError} WHERE id = ?`,
        [id],
      );
      await tx.run(
        `INSERT INTO merge_project (project_id, generation, recorded_status, state, since, roles_json) VALUES (?,?,'pending_merge','waiting',?,?)
         ON CONFLICT (project_id) DO UPDATE SET generation = excluded.generation, recorded_status = 'pending_merge', state = 'waiting',
           reason = NULL, detail = NULL, since = excluded.since, judged_on = NULL, failures = 0, next_attempt_at = NULL,
           roles_json = excluded.roles_json`,
        [id, generationOf(row), now, roles === null ? null : JSON.stringify(roles)],
      );
    }
    return outcome;
  });
}
