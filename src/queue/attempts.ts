import * as z from "zod/mini";
import type { Queue } from "./database.ts";
import { integer, requiredInteger, requiredText, text } from "./rows.ts";

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

/** The facts of an attempt; undefined when there is none of that id. */
export async function readAttemptFacts(queue: Queue, attemptId: string): Promise<AttemptFacts | undefined> {
  const [row] = await queue.read(
    "SELECT started_at, base, heads_json, conflicts_json, warnings_json, output FROM merge_attempt WHERE attempt_id = ?",
    [attemptId],
  );
  if (row === undefined) return undefined;
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

/** One attempt as a line of a project's story. Times are unix milliseconds, refs full names. */
export type AttemptRecord = {
  readonly attemptId: string;
  readonly runId: string;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly detail: string | null;
  readonly target: string | null;
  readonly strategy: string;
  readonly mergeCommit: string | null;
  readonly backupRef: string | null;
  readonly tag: string | null;
  readonly push: string | null;
  readonly heads: readonly Head[];
  readonly conflicts: readonly string[];
  readonly warnings: readonly string[];
  readonly output: string | null;
};

/** Every attempt at a project, oldest first; those of completions before included. */
export async function readAttempts(queue: Queue, projectId: number): Promise<AttemptRecord[]> {
  const rows = await queue.read("SELECT * FROM merge_attempt WHERE project_id = ? ORDER BY attempt_id", [projectId]);
  return rows.map((row) => {
    const json = (column: string): unknown => JSON.parse(text(row, column) ?? "[]");
    return {
      attemptId: requiredText(row, "attempt_id"),
      runId: requiredText(row, "run_id"),
      startedAt: requiredInteger(row, "started_at"),
      finishedAt: integer(row, "finished_at"),
      outcome: text(row, "outcome"),
      reason: text(row, "reason"),
      detail: text(row, "detail"),
      target: text(row, "target"),
      strategy: text(row, "strategy") ?? "merge",
      mergeCommit: text(row, "merge_commit"),
      backupRef: text(row, "backup_ref"),
      tag: text(row, "tag"),
      push: text(row, "push"),
      heads: z.array(head).parse(json("heads_json")),
      conflicts: strings.parse(json("conflicts_json")),
      warnings: strings.parse(json("warnings_json")),
      output: text(row, "output"),
    };
  });
}
