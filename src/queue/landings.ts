import type { Queue } from "./database.ts";
import type { LandingRefs } from "./journal.ts";
import { requiredText, text } from "./rows.ts";

/**
 * What a project's landings in one repository brought, oldest first, one a head: the commits before and after, `<id>^1` for the first
 * parent of a merge. From the journal and not from the refs that prove them, which are removed after `[backup] keep`.
 */
export async function landedBefore(
  queue: Queue,
  projectId: number,
  repository: string,
): Promise<{ before: string; after: string }[]> {
  const rows = await queue.read(
    `SELECT a.merge_commit, l.plan_json FROM merge_attempt AS a LEFT JOIN merge_landing AS l ON l.landing_id = a.landing_id
     WHERE a.project_id = ? AND a.repository = ? AND a.outcome = 'merged' AND a.merge_commit IS NOT NULL ORDER BY a.attempt_id`,
    [projectId, repository],
  );
  return rows.flatMap((row) => {
    const merge = requiredText(row, "merge_commit");
    // Written by intend() above. A row that landed together with another has that one's merges.
    const proofs: LandingRefs["proofs"] = JSON.parse(text(row, "plan_json") ?? "null")?.refs.proofs ?? [];
    const last = proofs.find(({ oid }) => oid === merge);
    const heads = proofs.filter(({ ref }) => last !== undefined && ref.startsWith(`${last.ref}.`));
    const all = last === undefined ? [{ oid: merge, before: undefined }] : [...heads, last];
    return all.map(({ oid, before = `${oid}^1` }) => ({ before, after: oid }));
  });
}

/** The last commits of all landings in a repository that left the head no ancestor of the target: squashed, rebased. */
export async function retoldIn(queue: Queue, repository: string): Promise<string[]> {
  const rows = await queue.read(
    `SELECT DISTINCT merge_commit FROM merge_attempt WHERE repository = ? AND strategy IN ('squash','rebase') AND merge_commit IS NOT NULL`,
    [repository],
  );
  return rows.map((row) => requiredText(row, "merge_commit"));
}
