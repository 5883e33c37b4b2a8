import type { Row } from "@libsql/client";
import * as z from "zod/mini";
import { projectName } from "../core/describe.ts";
import { type AttemptFacts, factsOf } from "./attempts.ts";
import type { Queue } from "./database.ts";
import { integer, requiredInteger, requiredText, safely, text } from "./rows.ts";

/** One finished or unfinished try at a project, with all that is known of it. Times are unix milliseconds. */
export type PastAttempt = AttemptFacts & {
  readonly attemptId: string;
  readonly finishedAt: number | null;
  /** null while it runs, or when it was killed */
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly detail: string | null;
  /** full ref name */
  readonly target: string | null;
  readonly mergeCommit: string | null;
  readonly backupRef: string | null;
  readonly tag: string | null;
  readonly push: string | null;
  readonly gates: readonly Gate[];
  /** when its landing was begun, after merge and checks, and when it was recorded */
  readonly landingAt: number | null;
  readonly recordedAt: number | null;
};

type Gate = z.infer<typeof gate>;
const gate = z.object({ name: z.string(), verdict: z.string(), durationMs: z.nullish(z.number()) });

/** Of a long output the end is kept, where the error is. */
const longestOutput = 64_000;

/** The attempts at a project, newest first, at most `limit`. */
export async function readPastAttempts(queue: Queue, projectId: number, limit: number): Promise<PastAttempt[]> {
  const rows = await queue.read(
    `SELECT a.attempt_id, a.started_at, a.finished_at, a.outcome, a.reason, a.detail, a.target, a.base, a.merge_commit, a.backup_ref,
       a.tag, a.push, a.heads_json, a.conflicts_json, a.warnings_json, a.gates_json, substr(a.output, -${longestOutput}) AS output,
       l.created_at AS landing_at, l.closed_at AS recorded_at
     FROM merge_attempt AS a LEFT JOIN merge_landing AS l ON l.landing_id = a.landing_id
     WHERE a.project_id = ? ORDER BY a.attempt_id DESC LIMIT ?`,
    [projectId, limit],
  );
  return rows.map((row) => ({
    ...factsOf(row),
    attemptId: requiredText(row, "attempt_id"),
    finishedAt: integer(row, "finished_at"),
    outcome: text(row, "outcome"),
    reason: text(row, "reason"),
    detail: text(row, "detail"),
    target: text(row, "target"),
    mergeCommit: text(row, "merge_commit"),
    backupRef: text(row, "backup_ref"),
    tag: text(row, "tag"),
    push: text(row, "push"),
    gates: z.array(gate).parse(JSON.parse(text(row, "gates_json") ?? "[]")),
    landingAt: integer(row, "landing_at"),
    recordedAt: integer(row, "recorded_at"),
  }));
}

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
