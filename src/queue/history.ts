import type { Row } from "@libsql/client";
import { projectName } from "../core/describe.ts";
import type { Queue } from "./database.ts";
import { integer, requiredInteger, requiredText, safely, text } from "./rows.ts";

/** What came to an end, for a timeline: landed or failed. Times are unix milliseconds. */
export type Ended = {
  readonly id: number;
  readonly name: string;
  readonly at: number;
  readonly outcome: "merged" | "already_merged" | "merge_failed";
  readonly reason: string | null;
  /** from completion to landing, if that is known */
  readonly timeToLandMs: number | null;
};

/** The newest `limit` attempts since `since` that landed or failed, newest first. */
export async function readEnded(queue: Queue, since: number, limit: number): Promise<Ended[]> {
  const spec = queue.columns.has("spec_path") ? safely("q.spec_path") : "NULL";
  const rows = await queue.read(
    `SELECT a.project_id, a.finished_at, a.outcome, a.reason, a.completed_at, ${spec} AS spec_path
     FROM merge_attempt AS a LEFT JOIN project_queue AS q ON q.id = a.project_id
     WHERE a.finished_at >= ? AND a.outcome IN ('merged','already_merged','merge_failed')
     ORDER BY a.finished_at DESC LIMIT ?`,
    [Math.trunc(since), limit],
  );
  return rows.map((row) => {
    const id = requiredInteger(row, "project_id");
    const at = requiredInteger(row, "finished_at");
    const completed = integer(row, "completed_at");
    const outcome = outcomeOf(row);
    const timeToLandMs = completed === null || outcome !== "merged" ? null : Math.max(0, at - completed);
    return {
      id,
      name: projectName(id, text(row, "spec_path")),
      at,
      outcome,
      reason: text(row, "reason"),
      timeToLandMs,
    };
  });
}

function outcomeOf(row: Row): Ended["outcome"] {
  const word = requiredText(row, "outcome");
  if (word === "merged" || word === "already_merged" || word === "merge_failed") return word;
  throw new Error(`unexpected outcome ${word}`);
}
