import * as z from "zod/mini";
import type { Approval } from "../core/obstacles.ts";
import type { Queue } from "./database.ts";
import { requiredInteger, requiredText, text } from "./rows.ts";

/** The heads that a person was shown. */
export type ShownHeads = ReadonlyArray<{ readonly role: string; readonly oid: string }>;

/** What people said of these projects, for the completion that they were looking at: a project completed again has nobody's word. */
export type Word = Approval & { readonly generation: string; readonly reason: string | null };

const shown = z.array(z.object({ role: z.string(), oid: z.string() }));

/** By project number; one query. */
export async function readApprovals(queue: Queue, ids: readonly number[]): Promise<Map<number, Word>> {
  const rows = await queue.read("SELECT * FROM merge_approval WHERE project_id IN (SELECT value FROM json_each(?))", [
    JSON.stringify(ids),
  ]);
  return new Map(
    rows.map((row) => [
      requiredInteger(row, "project_id"),
      {
        generation: requiredText(row, "generation"),
        verdict: requiredText(row, "verdict") === "approved" ? "approved" : "rejected",
        heads: shown.parse(JSON.parse(requiredText(row, "heads_json"))).map(({ oid }) => oid),
        by: requiredText(row, "decided_by"),
        at: requiredInteger(row, "decided_at"),
        reason: text(row, "reason"),
      },
    ]),
  );
}

/** The heads of every project that stands rejected, by its number: what goes on from them must not bring them in. */
export async function rejectedHeads(queue: Queue): Promise<Map<number, readonly string[]>> {
  const rows = await queue.read(
    // The first term is that of the partial index merge_project_open.
    `SELECT a.project_id, a.heads_json FROM merge_project AS p JOIN merge_approval AS a ON a.project_id = p.project_id
     WHERE p.state IN ('waiting','held','failed') AND p.state = 'failed' AND p.reason = 'rejected' AND a.verdict = 'rejected'`,
  );
  return new Map(
    rows.map((row) => [
      requiredInteger(row, "project_id"),
      shown.parse(JSON.parse(requiredText(row, "heads_json"))).map(({ oid }) => oid),
    ]),
  );
}

/** Writes down what somebody said. With a rejection the project fails at once; unless its row has changed meanwhile: then false. */
export async function decideProject(
  queue: Queue,
  project: { readonly id: number; readonly generation: string; readonly mergedStatus: string | null },
  word: { verdict: "approved" | "rejected"; heads: ShownHeads; by: string; at: number; reason: string | null },
): Promise<boolean> {
  return await queue.write(async (tx) => {
    const { id, generation, mergedStatus } = project;
    const same = await tx.all("SELECT 1 FROM project_queue WHERE id = ? AND merged_status IS ?", [id, mergedStatus]);
    if (same.length === 0) return false;
    await tx.run(
      `INSERT INTO merge_approval (project_id, generation, verdict, heads_json, decided_by, decided_at, reason) VALUES (?,?,?,?,?,?,?)
       ON CONFLICT (project_id) DO UPDATE SET generation = excluded.generation, verdict = excluded.verdict, heads_json = excluded.heads_json,
         decided_by = excluded.decided_by, decided_at = excluded.decided_at, reason = excluded.reason`,
      [id, generation, word.verdict, JSON.stringify(word.heads), word.by, word.at, word.reason],
    );
    if (word.verdict === "approved") return true;
    const detail = `${word.by}: ${word.reason}`;
    await tx.run("UPDATE project_queue SET merged_status = 'merge_failed', error_message = ? WHERE id = ?", [
      `Merge failed: rejected: ${detail}`,
      id,
    ]);
    await tx.run(
      `INSERT INTO merge_project (project_id, generation, recorded_status, state, reason, detail, since)
       VALUES (?,?,'merge_failed','failed','rejected',?,?)
       ON CONFLICT (project_id) DO UPDATE SET generation = excluded.generation, recorded_status = 'merge_failed', state = 'failed',
         reason = 'rejected', detail = excluded.detail, since = excluded.since, judged_on = NULL, failures = 0, next_attempt_at = NULL`,
      [id, generation, detail, word.at],
    );
    return true;
  });
}
