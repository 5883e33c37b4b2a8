import type { Row } from "@libsql/client";
import * as z from "zod/mini";
import type { Queue } from "./database.ts";
import { integer, requiredText, text } from "./rows.ts";

/** What one attempt knows beyond its outcome. Times are unix milliseconds. */
export type AttemptFacts = {
  readonly startedAt: number | null;
  readonly base: string | null;
  readonly heads: readonly Head[];
  readonly conflicts: readonly string[];
  readonly warnings: readonly string[];
  /** everything that the failing command said */
  readonly output: string | null;
};

export type Head = z.infer<typeof head>;

const head = z.object({
  role: z.string(),
  oid: z.string(),
  worktree: z.nullish(z.string()),
  branch: z.nullish(z.string()),
});
const strings = z.array(z.string());

type Gate = z.infer<typeof gate>;
const gate = z.object({
  name: z.string(),
  verdict: z.string(),
  durationMs: z.nullish(z.number()),
  outputFile: z.nullish(z.string()),
});

/** The facts of an attempt; undefined when there is none of that id. */
export async function readAttemptFacts(queue: Queue, attemptId: string): Promise<AttemptFacts | undefined> {
  const [row] = await queue.read(`SELECT ${factColumns} FROM merge_attempt AS a WHERE attempt_id = ?`, [attemptId]);
  return row === undefined ? undefined : factsOf(row);
}

const factColumns = "started_at, a.base, heads_json, conflicts_json, warnings_json, output";

/** The facts in a row of merge_attempt, of the columns that the query named. */
function factsOf(row: Row): AttemptFacts {
  const json = (column: string): unknown => JSON.parse(text(row, column) ?? "[]");
  return {
    startedAt: integer(row, "started_at"),
    base: text(row, "base"),
    heads: z.array(head).parse(json("heads_json")),
    conflicts: strings.parse(json("conflicts_json")),
    warnings: strings.parse(json("warnings_json")),
    output: text(row, "output"),
  };
}

/** One try at a project, as it was written down. */
export type PastAttempt = AttemptFacts & {
  readonly attemptId: string;
  readonly runId: string;
  readonly name: string;
  readonly finishedAt: number | null;
  /** null: it did not end, its run was killed or is at work */
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly detail: string | null;
  readonly repository: string | null;
  /** full ref name */
  readonly target: string | null;
  readonly strategy: string;
  readonly mergeCommit: string | null;
  readonly backupRef: string | null;
  readonly tag: string | null;
  readonly push: string | null;
  readonly gates: readonly Gate[];
  /** when its landing was begun, after merge and checks, and when it was recorded */
  readonly landingAt: number | null;
  readonly recordedAt: number | null;
};

/** The newest `most` attempts of a project, oldest first. */
export async function readAttempts(queue: Queue, projectId: number, most: number): Promise<PastAttempt[]> {
  const rows = await queue.read(
    `SELECT attempt_id, a.run_id, name, finished_at, outcome, reason, detail, a.repository, a.target, strategy, merge_commit, backup_ref, tag,
       push, gates_json, ${factColumns}, l.created_at AS landing_at, l.closed_at AS recorded_at
     FROM merge_attempt AS a LEFT JOIN merge_landing AS l ON l.landing_id = a.landing_id
     WHERE project_id = ? ORDER BY attempt_id DESC LIMIT ?`,
    [projectId, most],
  );
  return rows.reverse().map((row) => ({
    ...factsOf(row),
    attemptId: requiredText(row, "attempt_id"),
    runId: requiredText(row, "run_id"),
    name: requiredText(row, "name"),
    finishedAt: integer(row, "finished_at"),
    outcome: text(row, "outcome"),
    reason: text(row, "reason"),
    detail: text(row, "detail"),
    repository: text(row, "repository"),
    target: text(row, "target"),
    strategy: text(row, "strategy") ?? "merge",
    mergeCommit: text(row, "merge_commit"),
    backupRef: text(row, "backup_ref"),
    tag: text(row, "tag"),
    push: text(row, "push"),
    gates: z.array(gate).parse(JSON.parse(text(row, "gates_json") ?? "[]")),
    landingAt: integer(row, "landing_at"),
    recordedAt: integer(row, "recorded_at"),
  }));
}
