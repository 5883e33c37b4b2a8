import type { Row } from "@libsql/client";
import { projectName } from "../core/describe.ts";
import type { Queue } from "./database.ts";
import { generationOf } from "./generation.ts";
import { integer, requiredInteger, requiredText, selectColumns, text, value } from "./rows.ts";
import type { Memory, RowState, Standing } from "./standing.ts";
import { standingOf } from "./standing.ts";
import { parseCompletion } from "./times.ts";

/** One project as a person sees it. Times are unix milliseconds; null is not known, or not so. */
export type Project = {
  readonly id: number;
  readonly name: string;
  readonly specPath: string | null;
  readonly projectPath: string | null;
  readonly status: string | null;
  readonly standing: Standing;
  /** completed again after it had an outcome: what the row still says is of the completion before, and is not told here */
  readonly again: boolean;
  readonly mergedStatus: string | null;
  readonly mergedAt: number | null;
  readonly completedAt: number | null;
  readonly priority: number | null;
  readonly tags: readonly string[];
  readonly reason: string | null;
  readonly detail: string | null;
  /** when it came to stand where it stands, if that was our doing */
  readonly since: number | null;
  readonly nextAttemptAt: number | null;
  /** tries in all, those of completions before included */
  readonly attempts: number;
  /** the newest attempt, if it speaks of the row as it is now */
  readonly attempt: Attempt | null;
};

export type Attempt = {
  readonly attemptId: string;
  readonly finishedAt: number | null;
  /** full ref name */
  readonly target: string | null;
  readonly mergeCommit: string | null;
  readonly backupRef: string | null;
  readonly tag: string | null;
  readonly push: string | null;
  readonly pushDetail: string | null;
  readonly pushNextAt: number | null;
};

/** What rowState and memoryOf read: columns of project_queue as `q` and of merge_project as `p`. */
export function stateColumns(queue: Queue): string {
  const columns = ["id", "status", "merged_status", "merged_at", "spec_path", "started_at", "completed_at", "priority"];
  return `${selectColumns(queue.columns, "q", columns)}, p.generation AS p_generation, p.recorded_status AS p_recorded, p.state AS p_state, p.since AS p_since`;
}

export const rowState = (row: Row): RowState => ({
  status: text(row, "status"),
  mergedStatus: text(row, "merged_status"),
  generation: generationOf(row),
});

export function memoryOf(row: Row): Memory {
  const generation = text(row, "p_generation");
  if (generation === null) return null;
  return { generation, recordedStatus: text(row, "p_recorded"), state: requiredText(row, "p_state") };
}

export const completedAt = (row: Row): number | null => parseCompletion(value(row, "completed_at"));
const mergedAt = (row: Row): number | null => parseCompletion(value(row, "merged_at"));

/** Projects read at once: two statements a page, and any SQLite takes 999 arguments. */
const pageSize = 500;

/** The projects of these ids, in their order; an id that is gone by now is left out. */
export async function readProjects(queue: Queue, ids: readonly number[]): Promise<Project[]> {
  const projects: Project[] = [];
  for (let start = 0; start < ids.length; start += pageSize) {
    const page = ids.slice(start, start + pageSize);
    const marks = page.map(() => "?").join(",");
    const rows = new Map(
      (await queue.read(projectSql(queue, marks), page)).map((row) => [requiredInteger(row, "id"), row]),
    );
    const tags = new Map<number, string[]>();
    const tagSql = `SELECT project_id, tag FROM merge_project_tag WHERE project_id IN (${marks}) ORDER BY project_id, tag`;
    for (const row of await queue.read(tagSql, page)) {
      const id = requiredInteger(row, "project_id");
      tags.set(id, [...(tags.get(id) ?? []), requiredText(row, "tag")]);
    }
    for (const id of page) {
      const row = rows.get(id);
      if (row !== undefined) projects.push(projectOf(row, id, tags.get(id) ?? []));
    }
  }
  return projects;
}

const projectSql = (queue: Queue, marks: string): string => `
  SELECT ${stateColumns(queue)}, ${selectColumns(queue.columns, "q", ["project_path", "error_message"])},
    p.reason AS p_reason, p.detail AS p_detail, p.next_attempt_at AS p_next, a.attempt_id, a.finished_at, a.target, a.merge_commit,
    a.backup_ref, a.tag, a.push, u.detail AS push_detail, u.next_at AS push_next,
    (SELECT count(*) FROM merge_attempt t WHERE t.project_id = q.id) AS attempts
  FROM project_queue q
    LEFT JOIN merge_project p ON p.project_id = q.id
    LEFT JOIN merge_attempt a ON a.attempt_id = p.attempt_id
    LEFT JOIN merge_push u ON u.repository = a.repository AND u.target = a.target AND u.state = a.push
  WHERE q.id IN (${marks})`;

function projectOf(row: Row, id: number, tags: readonly string[]): Project {
  const state = rowState(row);
  const { standing, remembered, again } = standingOf(state, memoryOf(row));
  const specPath = text(row, "spec_path");
  const told = remembered
    ? { reason: text(row, "p_reason"), detail: text(row, "p_detail") }
    : { reason: null, detail: null };
  const failure = standing === "failed" && told.reason === null ? readFailure(text(row, "error_message")) : told;
  const landed = standing === "merged" || standing === "rolled_back" || standing === "not_completed";
  return {
    id,
    name: projectName(id, specPath),
    specPath,
    projectPath: text(row, "project_path"),
    status: state.status,
    standing,
    again,
    mergedStatus: again ? "pending_merge" : state.mergedStatus,
    mergedAt: landed ? mergedAt(row) : null,
    completedAt: completedAt(row),
    priority: integer(row, "priority"),
    tags,
    ...failure,
    since: remembered ? integer(row, "p_since") : null,
    nextAttemptAt: remembered ? integer(row, "p_next") : null,
    attempts: requiredInteger(row, "attempts"),
    attempt: remembered ? attemptOf(row) : null,
  };
}

function attemptOf(row: Row): Attempt | null {
  const attemptId = text(row, "attempt_id");
  if (attemptId === null) return null;
  return {
    attemptId,
    finishedAt: integer(row, "finished_at"),
    target: text(row, "target"),
    mergeCommit: text(row, "merge_commit"),
    backupRef: text(row, "backup_ref"),
    tag: text(row, "tag"),
    push: text(row, "push"),
    pushDetail: text(row, "push_detail"),
    pushNextAt: integer(row, "push_next"),
  };
}

/** What error_message tells of a failure that our tables do not know: `Merge failed: <reason>: <detail>` is our own form. */
function readFailure(message: string | null): { reason: string | null; detail: string | null } {
  const ours = /^Merge failed: ([a-z_]+)(?:: (.*))?$/s.exec(message ?? "");
  return ours === null ? { reason: null, detail: message } : { reason: ours[1] ?? null, detail: ours[2] ?? null };
}
