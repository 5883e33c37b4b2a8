import type { Row } from "@libsql/client";
import { isPending } from "./conditions.ts";
import type { Queue } from "./database.ts";
import { generationColumns, generationOf } from "./generation.ts";
import type { Overridden } from "./overridden.ts";
import { newlyRecompleted, sweep } from "./recompleted.ts";
import { integer, requiredInteger, requiredText, selectColumns, text, value } from "./rows.ts";
import { type Standing, standingOf } from "./standing.ts";
import { parseCompletion } from "./times.ts";

/** A row worth a try. Paths are as they stand in the row: they may be null, absurd, or point nowhere. */
export type Candidate = {
  readonly id: number;
  readonly specPath: string | null;
  readonly projectPath: string | null;
  readonly status: string;
  readonly mergedStatus: string | null;
  /** 0 where it is not known */
  readonly priority: number;
  /** unix milliseconds */
  readonly completedAt: number | null;
  readonly generation: string;
  /** the first look at this completion, or at what somebody has put back by hand: nothing of before holds */
  readonly fresh: boolean;
  /** what we remember of this completion; null when fresh */
  readonly known: Known | null;
  /** where \`add` was told the work is; exactly one of the two is set */
  readonly source: { readonly worktree: string | null; readonly branch: string | null } | null;
  readonly tags: readonly string[];
};

/** A row of merge_project. Times are unix milliseconds. */
export type Known = {
  readonly state: string;
  readonly recordedStatus: string | null;
  readonly reason: string | null;
  readonly detail: string | null;
  readonly since: number;
  readonly judgedOn: string | null;
  /** transient failures in a row */
  readonly failures: number;
  readonly nextAttemptAt: number | null;
  /** only these agents' heads; null is all */
  readonly roles: readonly string[] | null;
  readonly attemptId: string | null;
};

/** A failed project, to be looked at again if what it was judged on has moved. */
export type SecondLook = Candidate & { readonly known: Known };

export type Candidates = {
  /** those that hold back for a while (known.nextAttemptAt) included; in the order in which they land */
  readonly candidates: readonly Candidate[];
  readonly secondLooks: readonly SecondLook[];
  /** every row we know was compared: write the time into merge_meta under lastSweepKey */
  readonly swept: boolean;
  /** after a sweep: rememberOverridden these, or a later completion will not be noticed */
  readonly overridden: readonly Overridden[];
};

/** merge_meta: when a sweep was last done, unix milliseconds. */
export const lastSweepKey = "last_sweep";
const sweepEveryMs = 3_600_000;

/**
 * Finds what is worth a try: what waits, what was completed again, and what failed. Reads only, in six queries on indexes
 * whose cost depends on what waits or failed and not on how long the history is; once an hour every row we know is compared.
 * @param now unix milliseconds
 */
export async function findCandidates(queue: Queue, now: number): Promise<Candidates> {
  const rows = await queue.read(`${selection(queue)} WHERE ${isPending}`);
  const failed = await queue.read(
    // The first term is that of the partial index, which SQLite does not see to follow from the second. What others failed has
    // no reason and is not looked at again: it is remembered for the day that it is completed again, and there may be thousands.
    `${selection(queue, "merge_project AS p CROSS JOIN project_queue AS q ON q.id = p.project_id")}
     WHERE p.state IN ('waiting','held','failed') AND p.state = 'failed' AND p.reason >= ''
       AND lower(status) = 'completed' AND merged_status = 'merge_failed'`,
  );
  const swept = await sweepIsDue(queue, now);
  const { recompleted, overridden } = swept ? await sweep(queue) : { recompleted: [], overridden: [] };
  const again = new Set([...(await newlyRecompleted(queue)), ...recompleted]);
  const reread = again.size === 0 ? [] : await readRows(queue, [...again]);

  const candidates = new Map<number, Candidate>();
  const secondLooks: SecondLook[] = [];
  for (const row of [...rows, ...failed, ...reread]) {
    const { standing, candidate } = judge(row);
    if (standing === "pending" || standing === "held") candidates.set(candidate.id, candidate);
    if (standing === "failed" && candidate.known !== null) secondLooks.push({ ...candidate, known: candidate.known });
  }
  return {
    candidates: [...candidates.values()].sort(inLandingOrder),
    secondLooks: secondLooks.sort(inLandingOrder),
    swept,
    overridden,
  };
}

/** High priority first, then the oldest completion, unknown ones last, then the lower id. */
export function inLandingOrder(
  a: Pick<Candidate, "priority" | "completedAt" | "id">,
  b: Pick<Candidate, "priority" | "completedAt" | "id">,
): number {
  const [first, second] = [a.completedAt ?? Number.MAX_SAFE_INTEGER, b.completedAt ?? Number.MAX_SAFE_INTEGER];
  return b.priority - a.priority || first - second || a.id - b.id;
}

/** One project as a candidate, and where it stands; null when there is no such row. */
export async function readCandidate(
  queue: Queue,
  id: number,
): Promise<{ readonly standing: Standing; readonly candidate: Candidate } | null> {
  const [row] = await readRows(queue, [id]);
  return row === undefined ? null : judge(row);
}

/** Whether the row and what we remember of it are still as they were when the candidate was read. */
export async function unchanged(queue: Queue, candidate: Candidate): Promise<boolean> {
  const [row] = await readRows(queue, [candidate.id]);
  if (row === undefined) return false;
  const now = judge(row).candidate;
  return (
    now.mergedStatus === candidate.mergedStatus &&
    now.generation === candidate.generation &&
    now.status === candidate.status &&
    now.known?.attemptId === candidate.known?.attemptId
  );
}

function readRows(queue: Queue, ids: readonly number[]): Promise<Row[]> {
  return queue.read(`${selection(queue)} WHERE q.id IN (SELECT value FROM json_each(?))`, [JSON.stringify(ids)]);
}

const leading = "project_queue AS q LEFT JOIN merge_project AS p ON p.project_id = q.id";

function selection(queue: Queue, from = leading): string {
  const own = ["id", "project_path", "status", "merged_status", "priority", ...generationColumns];
  return `SELECT ${selectColumns(queue.columns, "q", own)},
      p.generation, p.recorded_status, p.state, p.reason, p.detail, p.since, p.judged_on, p.failures, p.next_attempt_at,
      p.roles_json, p.attempt_id, s.project_id AS added, s.worktree, s.branch,
      (SELECT json_group_array(t.tag) FROM merge_project_tag AS t WHERE t.project_id = q.id) AS tags
    FROM ${from} LEFT JOIN merge_source AS s ON s.project_id = q.id`;
}

function judge(row: Row): { standing: Standing; candidate: Candidate } {
  const status = text(row, "status") ?? "";
  const mergedStatus = text(row, "merged_status");
  const generation = generationOf(row);
  const known = knownOf(row);
  const remembered = text(row, "generation");
  const memory =
    known === null || remembered === null
      ? null
      : { generation: remembered, recordedStatus: known.recordedStatus, state: known.state };
  const judged = standingOf({ status, mergedStatus, generation }, memory);
  const candidate = {
    id: requiredInteger(row, "id"),
    specPath: text(row, "spec_path"),
    projectPath: text(row, "project_path"),
    status,
    mergedStatus,
    priority: integer(row, "priority") ?? 0,
    completedAt: parseCompletion(value(row, "completed_at")),
    generation,
    fresh: !judged.remembered,
    known: judged.remembered ? known : null,
    source: value(row, "added") === null ? null : { worktree: text(row, "worktree"), branch: text(row, "branch") },
    tags: words(text(row, "tags")),
  };
  return { standing: judged.standing, candidate };
}

function knownOf(row: Row): Known | null {
  if (value(row, "state") === null) return null;
  const roles = text(row, "roles_json");
  return {
    state: requiredText(row, "state"),
    recordedStatus: text(row, "recorded_status"),
    reason: text(row, "reason"),
    detail: text(row, "detail"),
    since: requiredInteger(row, "since"),
    judgedOn: text(row, "judged_on"),
    failures: requiredInteger(row, "failures"),
    nextAttemptAt: integer(row, "next_attempt_at"),
    roles: roles === null ? null : words(roles),
    attemptId: text(row, "attempt_id"),
  };
}

/** A JSON list of strings, as we wrote it. */
function words(json: string | null): string[] {
  const list: unknown = json === null ? [] : JSON.parse(json);
  return Array.isArray(list) ? list.filter((word) => typeof word === "string") : [];
}

async function sweepIsDue(queue: Queue, now: number): Promise<boolean> {
  const [row] = await queue.read("SELECT value FROM merge_meta WHERE key = ?", [lastSweepKey]);
  const last = row === undefined ? null : integer(row, "value");
  // A time to come is a clock that was wrong when it was written.
  return last === null || last > now || now - last > sweepEveryMs;
}
