import type { GateRecord } from "../core/verdicts.ts";
import { withoutOurError } from "./conditions.ts";
import type { Queue } from "./database.ts";
import type { Landed } from "./journal.ts";
import { type Outbox, postMiss } from "./outbox.ts";
import { gatesJson } from "./verdicts.ts";

/** A project that did not land, and what to remember of it. */
export type Miss = {
  readonly projectId: number;
  readonly name: string;
  readonly generation: string;
  readonly mergedStatus: string | null;
  readonly outcome: "merge_failed" | "held";
  readonly reason: string;
  readonly detail: string;
  readonly judgedOn: string | null;
  readonly failures: number;
  readonly nextAttemptAt: number | null;
  readonly roles: readonly string[] | null;
  /** False when it says what the last one said: nobody is told again. */
  readonly news: boolean;
  /** The attempt to write down; null when nothing is new about this miss. */
  readonly attempt: {
    readonly attemptId: string;
    readonly startedAt: number;
    readonly repository: string | null;
    readonly target: string | null;
    readonly conflicts: readonly string[];
    readonly heads: Landed["heads"];
    readonly output: string | null;
    readonly gates: readonly GateRecord[];
  } | null;
};

const stillSays = "SELECT 1 FROM project_queue WHERE id = ? AND merged_status IS ?";

/**
 * Writes down projects that failed or are held, where the row still says what it said when it was read: another value there is
 * somebody's wish, or the landing of another run, and it wins.
 */
export async function recordMisses(
  queue: Queue,
  runId: string,
  misses: readonly Miss[],
  now: number,
  outbox: Outbox | null,
): Promise<void> {
  if (misses.length === 0) return;
  await queue.write(async (tx) => {
    for (const miss of misses) {
      const status = miss.outcome === "merge_failed" ? "merge_failed" : "pending_merge";
      const keep = miss.outcome === "held" && (miss.mergedStatus === null || miss.mergedStatus === "pending_merge");
      if (!keep) {
        const changed = await tx.run(
          `UPDATE project_queue SET merged_status = ?, error_message = coalesce(?, ${withoutOurError}) WHERE id = ? AND merged_status IS ?`,
          [
            status,
            miss.outcome === "merge_failed" ? `Merge failed: ${miss.reason}: ${miss.detail}` : null,
            miss.projectId,
            miss.mergedStatus,
          ],
        );
        if (changed === 0) continue;
      } else if ((await tx.all(stillSays, [miss.projectId, miss.mergedStatus])).length === 0) continue;
      await tx.run(
        `INSERT INTO merge_project (project_id, generation, recorded_status, state, reason, detail, since, judged_on, failures,
           next_attempt_at, roles_json, attempt_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)
         ON CONFLICT (project_id) DO UPDATE SET generation = excluded.generation, recorded_status = excluded.recorded_status,
           since = CASE WHEN merge_project.state IS excluded.state AND merge_project.reason IS excluded.reason
             AND merge_project.generation IS excluded.generation THEN merge_project.since ELSE excluded.since END,
           state = excluded.state, reason = excluded.reason, detail = excluded.detail, judged_on = excluded.judged_on,
           failures = excluded.failures, next_attempt_at = excluded.next_attempt_at, roles_json = excluded.roles_json,
           attempt_id = coalesce(excluded.attempt_id, merge_project.attempt_id)`,
        [
          miss.projectId,
          miss.generation,
          keep ? miss.mergedStatus : status,
          miss.outcome === "merge_failed" ? "failed" : "held",
          miss.reason,
          miss.detail,
          now,
          miss.judgedOn,
          miss.failures,
          miss.nextAttemptAt,
          miss.roles === null ? null : JSON.stringify(miss.roles),
          miss.attempt?.attemptId ?? null,
        ],
      );
      await postMiss(tx, outbox, miss, now);
      if (miss.attempt === null) continue;
      await tx.run(
        `INSERT INTO merge_attempt (attempt_id, project_id, name, run_id, started_at, finished_at, outcome, reason, detail, repository,
           target, heads_json, conflicts_json, output, gates_json) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
        [
          miss.attempt.attemptId,
          miss.projectId,
          miss.name,
          runId,
          miss.attempt.startedAt,
          now,
          miss.outcome,
          miss.reason,
          miss.detail,
          miss.attempt.repository,
          miss.attempt.target,
          JSON.stringify(miss.attempt.heads),
          JSON.stringify(miss.attempt.conflicts),
          miss.attempt.output,
          gatesJson(miss.attempt.gates),
        ],
      );
    }
  });
}
