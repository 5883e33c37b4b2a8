import type { Row } from "@libsql/client";
import * as z from "zod/mini";
import { projectName } from "../core/describe.ts";
import type { Queue } from "./database.ts";
import { integer, requiredInteger, requiredText, selectColumns, text, value } from "./rows.ts";
import { parseCompletion } from "./times.ts";

/** A row that says merged. */
export type MergedRow = {
  readonly id: number;
  readonly name: string;
  readonly specPath: string | null;
  readonly projectPath: string | null;
  readonly priority: number;
  readonly tags: readonly string[];
  /** The landing that made it say so; null when it was somebody else who wrote it. */
  readonly landing: RecordedLanding | null;
};

/** What a landing's attempt says of itself. Times are unix milliseconds. */
export type RecordedLanding = {
  readonly attemptId: string;
  readonly landingId: string | null;
  readonly outcome: "merged" | "already_merged";
  readonly finishedAt: number;
  /** The common git directory. */
  readonly repository: string;
  /** Full name. */
  readonly target: string;
  readonly base: string | null;
  readonly mergeCommit: string | null;
  readonly heads: ReadonlyArray<{ readonly role: string; readonly oid: string }>;
  /** Full name. */
  readonly backupRef: string | null;
  /** Short name. */
  readonly tag: string | null;
  readonly push: string | null;
  readonly warnings: readonly string[];
  /** Null is a merge. */
  readonly strategy: string | null;
};

const heads = z.array(z.object({ role: z.string(), oid: z.string() }));
const strings = z.array(z.string());

/** Every row whose merged_status is `merged`, oldest id first; with `since` (unix milliseconds) those merged from then on. */
export async function readMergedRows(queue: Queue, since: number | null): Promise<MergedRow[]> {
  // Text sorts after all numbers, so a time that somebody wrote as text passes the condition and is read below.
  const rows = await queue.read(
    `SELECT ${selectColumns(queue.columns, "q", ["id", "spec_path", "project_path", "merged_at", "priority"])},
       (SELECT json_group_array(t.tag) FROM merge_project_tag AS t WHERE t.project_id = q.id) AS tags,
       a.attempt_id, a.landing_id, a.outcome, a.finished_at, a.repository, a.target, a.base, a.merge_commit, a.heads_json,
       a.backup_ref, a.tag, a.push, a.warnings_json, a.strategy
     FROM project_queue AS q
       LEFT JOIN merge_project AS p ON p.project_id = q.id AND p.state = 'merged'
       LEFT JOIN merge_attempt AS a ON a.attempt_id = p.attempt_id AND a.outcome IN ('merged','already_merged')
         AND a.repository IS NOT NULL AND a.target IS NOT NULL
     WHERE q.merged_status = 'merged' ${since === null ? "" : "AND q.merged_at >= ?"} ORDER BY q.id`,
    since === null ? [] : [Math.floor(since / 1000)],
  );
  const recent = (row: Row) => since === null || (parseCompletion(value(row, "merged_at")) ?? 0) >= since - 999;
  return rows.filter(recent).map((row) => {
    const specPath = text(row, "spec_path");
    const id = requiredInteger(row, "id");
    return {
      id,
      name: projectName(id, specPath),
      specPath,
      projectPath: text(row, "project_path"),
      priority: integer(row, "priority") ?? 0,
      tags: strings.parse(JSON.parse(requiredText(row, "tags"))),
      landing: text(row, "attempt_id") === null ? null : landingOf(row),
    };
  });
}

const landingOf = (row: Row): RecordedLanding => ({
  attemptId: requiredText(row, "attempt_id"),
  landingId: text(row, "landing_id"),
  outcome: requiredText(row, "outcome") === "merged" ? "merged" : "already_merged",
  finishedAt: integer(row, "finished_at") ?? 0,
  repository: requiredText(row, "repository"),
  target: requiredText(row, "target"),
  base: text(row, "base"),
  mergeCommit: text(row, "merge_commit"),
  heads: heads.parse(JSON.parse(requiredText(row, "heads_json"))),
  backupRef: text(row, "backup_ref"),
  tag: text(row, "tag"),
  push: text(row, "push"),
  warnings: strings.parse(JSON.parse(requiredText(row, "warnings_json"))),
  strategy: text(row, "strategy"),
});
