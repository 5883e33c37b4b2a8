import { basename, dirname } from "node:path";
import { visible } from "../core/describe.ts";
import { failed, isTrouble, type Trouble } from "../core/reasons.ts";
import { canonicalRole, isAgentBranchName, rolePlace } from "../core/roles.ts";
import { shortName } from "../core/target.ts";
import { worktreesSuffix } from "../core/worktreeNames.ts";
import { revList } from "../git/ancestry.ts";
import { headOf } from "../git/snapshot.ts";
import { branchesVisited } from "../git/worktrees.ts";
import type { App, Workplace } from "./context.ts";
import { type Found, rolesIn } from "./discover.ts";
import { fromWorktree, type Head, headAt, lostWorktree, shallow } from "./head.ts";
import { unreadable } from "./trouble.ts";

export type Gathered = { readonly heads: readonly Head[]; readonly warnings: readonly string[] };

/**
 * The heads of one project, in merge order, with everything looked at that could make landing them wrong: operations in progress,
 * uncommitted work, worktrees that are gone. One git process a worktree, one or two more for a separate clone.
 */
export async function gatherHeads(
  app: App,
  place: Workplace,
  found: Found,
  roles: readonly string[] | null,
): Promise<Gathered | Trouble> {
  const { snapshot } = place;
  if (snapshot.shallow) return shallow(snapshot.repository.topLevel ?? snapshot.repository.commonDir);
  const warnings: string[] = [];
  let heads: Head[] = [];
  if (found.sources.kind === "branch") {
    const branch = found.sources.branch.startsWith("refs/")
      ? found.sources.branch
      : `refs/heads/${found.sources.branch}`;
    const ref = snapshot.refs.get(branch);
    if (ref === undefined) return failed("no_worktree", `the branch ${visible(shortName(branch))} is gone.`);
    const role = shortName(branch);
    const worktree = snapshot.worktrees.find((tree) => tree.branch === branch && tree.present);
    if (worktree !== undefined && worktree !== snapshot.worktrees[0]) {
      const looked = await fromWorktree(app, place, role, worktree);
      if (isTrouble(looked)) return looked;
    }
    heads = [{ role, oid: ref.oid, worktree: null, branch, leftBehind: new Map(), committed: true, separate: false }];
  } else {
    const places =
      found.sources.kind === "worktree"
        ? [{ role: basename(found.sources.path), path: found.sources.path, hasGit: true }]
        : rolesIn(found.sources.directory);
    const wanted = roles === null ? null : new Set(roles.map(canonicalRole));
    for (const { role, path, hasGit } of places) {
      if (wanted !== null && !wanted.has(canonicalRole(role))) continue;
      if (!hasGit) {
        const lost = lostWorktree(place, path);
        if (lost !== null) return lost;
        warnings.push(`${role}/ is no worktree and was passed over`);
        continue;
      }
      const head = await headAt(app, place, role, path);
      if (isTrouble(head)) return head;
      if (head === null) warnings.push(`${role} has committed nothing`);
      else heads.push(head);
    }
    const gone = missingWorktree(place, found, wanted);
    if (gone !== null) return gone;
    if (places.length === 0 || (heads.length === 0 && warnings.every((text) => text.includes("passed over")))) {
      const where = found.sources.kind === "worktree" ? found.sources.path : found.sources.directory;
      return failed(
        "no_worktree",
        wanted === null ? `${visible(where)} holds no worktree.` : `none of those roles is in ${visible(where)}.`,
      );
    }
  }
  const sorted = await inMergeOrder(app, place, heads);
  if (isTrouble(sorted)) return sorted;
  return { heads: app.config.merge.heads === "newest" ? sorted.slice(-1) : sorted, warnings };
}

/** A worktree that the repository still lists under this directory, whose files are gone: part of the work would be left out in silence. */
function missingWorktree(place: Workplace, found: Found, wanted: ReadonlySet<string> | null): Trouble | null {
  if (found.sources.kind !== "agents") return null;
  const { directory } = found.sources;
  const gone = place.snapshot.worktrees.find(
    (tree) =>
      !tree.present &&
      dirname(tree.path) === directory &&
      (wanted === null || wanted.has(canonicalRole(basename(tree.path)))),
  );
  if (gone === undefined) return null;
  const oid = headOf(place.snapshot, gone);
  const at = gone.branch === null ? oid : `the branch ${shortName(gone.branch)}`;
  return failed(
    "no_worktree",
    `${visible(gone.path)} is gone but still registered, its commits are on ${visible(at ?? "no branch")}: restore it, or run git worktree prune and enqueue the branch with add --branch.`,
  );
}

async function inMergeOrder(app: App, place: Workplace, heads: readonly Head[]): Promise<Head[] | Trouble> {
  const newest = app.config.merge.heads === "newest";
  const unknown = heads.filter((head) => rolePlace(head.role) === rolePlace(""));
  const age = new Map<string, number>();
  if (newest ? heads.length > 1 : unknown.length > 1) {
    const byTime = await revList(
      app.git,
      place.scratch.gitDir,
      ["--no-walk=sorted"],
      heads.map((head) => head.oid),
    );
    if (!Array.isArray(byTime)) return unreadable("the agents' commits", byTime);
    for (const [index, oid] of byTime.entries()) age.set(oid, -index);
  }
  const older = (a: Head, b: Head) => (age.get(a.oid) ?? 0) - (age.get(b.oid) ?? 0);
  if (newest) return [...heads].sort(older);
  return [...heads].sort((a, b) => rolePlace(a.role) - rolePlace(b.role) || older(a, b) || (a.role < b.role ? -1 : 1));
}

/** Whether a local branch is an agent's: checked out or committed on in an agent's worktree, enqueued by hand, or named as agents' are. */
export function agentsBranches(place: Workplace): (branch: string) => boolean {
  const own = new Set(place.declaredBranches);
  for (const tree of place.snapshot.worktrees) {
    if (!dirname(tree.path).endsWith(worktreesSuffix)) continue;
    if (tree.branch !== null) own.add(tree.branch);
    for (const branch of branchesVisited(tree.gitDir).committed) own.add(branch);
  }
  return (branch) => own.has(branch) || isAgentBranchName(shortName(branch));
}
