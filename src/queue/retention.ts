import type { Row } from "@libsql/client";
import type { Queue } from "./database.ts";
import { demandLease, type Lease } from "./leases.ts";
import { integer, requiredText, text } from "./rows.ts";

/** One landing that is long over, and the refs that it made. */
export type PastLanding = {
  readonly landingId: string;
  /** Full name. */
  readonly target: string;
  readonly backups: readonly RecordedRef[];
  readonly proofs: readonly RecordedRef[];
  readonly attempts: readonly PastAttempt[];
  /** Whether the target as a whole owes its remote something now. */
  readonly owed: boolean;
};

export type RecordedRef = { readonly ref: string; readonly oid: string };

/** What one project makes of a landing. */
export type PastAttempt = {
  readonly attemptId: string;
  readonly mergeCommit: string | null;
  readonly backupRef: string | null;
  /** Its commits are still owed to the remote. */
  readonly owed: boolean;
  readonly rolledBack: boolean;
};

const isOwed = "IN ('pending','withheld','refused')";

/**
 * The landings recorded in this repository before `before` (unix milliseconds) that any of these attempts, projects or landings belong
 * to. The ids come from the refs that are there, so the cost depends on those and not on how long the history is: all on indexes.
 */
export async function pastLandings(
  queue: Queue,
  repository: string,
  ids: { readonly attemptsOrLandings: readonly string[]; readonly projects: readonly number[] },
  before: number,
): Promise<PastLanding[]> {
  const known = `SELECT landing_id FROM merge_attempt WHERE attempt_id IN (SELECT value FROM json_each(?1))
    UNION SELECT landing_id FROM merge_attempt WHERE project_id IN (SELECT value FROM json_each(?2))
    UNION SELECT value FROM json_each(?1)`;
  const landings = await queue.read(
    `SELECT l.landing_id, l.target, l.plan_json,
       (SELECT u.state FROM merge_push AS u WHERE u.repository = l.repository AND u.target = l.target) ${isOwed} AS owed
     FROM merge_landing AS l WHERE l.landing_id IN (${known})
       AND l.repository = ?3 AND l.state = 'recorded' AND l.closed_at < ?4 ORDER BY l.landing_id`,
    [JSON.stringify(ids.attemptsOrLandings), JSON.stringify(ids.projects), repository, before],
  );
  if (landings.length === 0) return [];
  const attempts = await queue.read(
    `SELECT a.landing_id, a.attempt_id, a.merge_commit, a.backup_ref, a.push ${isOwed} AS owed,
       p.state = 'rolled_back' OR q.merged_status = 'rolled_back' AS rolled_back
     FROM merge_attempt AS a LEFT JOIN merge_project AS p ON p.project_id = a.project_id
       LEFT JOIN project_queue AS q ON q.id = a.project_id
     WHERE a.landing_id IN (SELECT value FROM json_each(?))`,
    [JSON.stringify(landings.map((row) => requiredText(row, "landing_id")))],
  );
  return landings.map((row) => {
    const landingId = requiredText(row, "landing_id");
    // Written by intend(): what else stands there is a bug and throws.
    const { refs } = JSON.parse(requiredText(row, "plan_json"));
    return {
      landingId,
      target: requiredText(row, "target"),
      backups: refs.backups,
      proofs: refs.proofs,
      attempts: attempts.filter((one) => requiredText(one, "landing_id") === landingId).map(attemptOf),
      owed: integer(row, "owed") === 1,
    };
  });
}

const attemptOf = (row: Row): PastAttempt => ({
  attemptId: requiredText(row, "attempt_id"),
  mergeCommit: text(row, "merge_commit"),
  backupRef: text(row, "backup_ref"),
  owed: integer(row, "owed") === 1,
  rolledBack: integer(row, "rolled_back") === 1,
});

/** Backup branches are gone: no attempt names them any more. */
export async function forgetBackups(queue: Queue, lease: Lease, refs: readonly string[]): Promise<void> {
  await queue.write(async (tx) => {
    await demandLease(tx, lease);
    // By project, whose number is in the name: there is no index on backup_ref. Rows that share a landing share its branch.
    await tx.run(
      `UPDATE merge_attempt SET backup_ref = NULL WHERE repository = ?1 AND backup_ref IN (SELECT value FROM json_each(?2))
         AND landing_id IN (SELECT landing_id FROM merge_attempt WHERE project_id IN (SELECT value FROM json_each(?3)))`,
      [lease.repository, JSON.stringify(refs), JSON.stringify(refs.map(projectOfBackup))],
    );
  });
}

/** The number of the project that a backup branch was made for; null for a branch whose name is not of that shape. */
export function projectOfBackup(ref: string): number | null {
  const project = /^refs\/heads\/backup-before-merge-\d{8}-\d{6}-p(\d{1,15})$/.exec(ref)?.[1];
  return project === undefined ? null : Number(project);
}
