import { accessSync, constants, lstatSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import picomatch from "picomatch";
import { count, visible } from "../core/describe.ts";
import { refusal } from "../core/errors.ts";
import { failed, held, isTrouble, type Trouble } from "../core/reasons.ts";
import { canonicalRole, isAgentBranchName, rolePlace } from "../core/roles.ts";
import { shortName } from "../core/target.ts";
import { worktreesSuffix } from "../core/worktreeNames.ts";
import { revList } from "../git/ancestry.ts";
import { listPaths, uncommittedIn } from "../git/dirty.ts";
import { showPath } from "../git/paths.ts";
import type { GitResult } from "../git/process.ts";
import { lastWords } from "../git/remote.ts";
import { borrowObjects } from "../git/scratch.ts";
import { headOf, readSnapshot } from "../git/snapshot.ts";
import { branchesVisited, indexLocked, lastHead, operationInProgress, type Worktree } from "../git/worktrees.ts";
import type { App, Workplace } from "./context.ts";
import { type Found, rolesIn } from "./discover.ts";

/** One agent's finished work. */
export type Head = {
  readonly role: string;
  readonly oid: string;
  readonly worktree: string | null;
  /** Full name, null when detached. */
  readonly branch: string | null;
  /** Branches that this worktree has had checked out, still there, with their ids: work may have been left on them. */
  readonly leftBehind: ReadonlyMap<string, string>;
  /** False when the worktree's own reflog shows that nothing was ever committed in it; true also when it cannot tell. */
  readonly committed: boolean;
  /** True when it lives in a clone of its own: its branch is not the repository's. */
  readonly separate: boolean;
};

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

/** A directory without a readable .git that may hold work all the same: leaving it out in silence would lose it. */
function lostWorktree(place: Workplace, path: string): Trouble | null {
  if (path.includes("\ufffd")) {
    return failed("no_worktree", `the name of ${visible(path)} is not UTF-8: rename it (git worktree move).`);
  }
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
  } catch {
    return failed("no_worktree", `${visible(path)} cannot be read: see to its permissions.`);
  }
  if (!place.snapshot.worktrees.some((tree) => tree.path === path)) return null;
  return failed(
    "no_worktree",
    `${visible(path)} is a registered worktree, but its .git file is gone: git worktree repair.`,
  );
}

/** What is at `path`: a linked worktree that the repository itself has on its list, or a clone of its own. */
async function headAt(app: App, place: Workplace, role: string, path: string): Promise<Head | null | Trouble> {
  let real: string;
  try {
    real = realpathSync(path);
    const dotGit = lstatSync(join(real, ".git"));
    if (dotGit.isDirectory()) {
      if (realpathSync(join(real, ".git")) === place.snapshot.repository.commonDir) {
        return failed("no_worktree", `${visible(path)} is the project's own directory, not an agent's worktree.`);
      }
      return await fromClone(app, place, role, real);
    }
  } catch {
    return failed("no_worktree", `${visible(path)} is no worktree.`);
  }
  const worktree = place.snapshot.worktrees.find((tree) => tree.path === real && tree.present);
  if (worktree === undefined) {
    return failed(
      "no_worktree",
      `${visible(path)} is not on the repository's list of worktrees (git worktree list; git worktree repair).`,
    );
  }
  return await fromWorktree(app, place, role, worktree);
}

async function fromWorktree(
  app: App,
  place: Workplace,
  role: string,
  worktree: Worktree,
): Promise<Head | null | Trouble> {
  const { snapshot } = place;
  const operation = operationInProgress(worktree.gitDir);
  if (operation !== null) return held("worktree_active", `${visible(role)} is in the middle of ${operation}.`);
  if (indexLocked(worktree.gitDir)) {
    return held(
      "worktree_active",
      `another git is at work in ${visible(worktree.path)} (or died there and left ${visible(worktree.gitDir)}/index.lock).`,
    );
  }
  const oid = headOf(snapshot, worktree);
  if (oid === null) return headless(app, role, worktree);
  const dirty = await dirtiness(app, place, role, worktree.path, worktree.gitDir, oid);
  if (dirty !== null) return dirty;
  const { visited, any } = branchesVisited(worktree.gitDir);
  return {
    role,
    oid,
    worktree: worktree.path,
    branch: worktree.branch,
    leftBehind: new Map(
      [...visited].flatMap((name) => {
        const ref = snapshot.refs.get(name);
        return ref === undefined || name === worktree.branch ? [] : [[name, ref.oid] as const];
      }),
    ),
    committed: any,
    separate: false,
  };
}

/** A worktree whose HEAD leads to no commit: nothing was ever committed there, or something was and cannot be found. */
function headless(app: App, role: string, worktree: Worktree): Trouble | null {
  const { path, branch, gitDir } = worktree;
  if (branch === null)
    return failed("no_worktree", `the HEAD of ${visible(path)} cannot be read (${visible(gitDir)}/HEAD).`);
  if (app.config.merge.uncommitted === "ignore") return null;
  const aside = picomatch([".git", ".claude", ...app.config.merge.ignoreUncommitted, ...app.config.merge.keepTarget], {
    dot: true,
  });
  const files = readdirSync(path).filter((name) => !aside(name));
  if (files.length === 0) return null;
  const some = visible(files.slice(0, 5).join(", "));
  return lastHead(gitDir) === null
    ? held("dirty_source", `${visible(role)} has committed nothing, but has files: ${some}.`)
    : failed(
        "ambiguous_worktree",
        `${visible(role)} is on the branch ${visible(shortName(branch))}, which has no commit (any more), but has files: ${some}. Check out what is to land.`,
      );
}

async function fromClone(app: App, place: Workplace, role: string, path: string): Promise<Head | null | Trouble> {
  const gitDir = join(path, ".git");
  const clone = await readSnapshot(app.git, { commonDir: gitDir, topLevel: path });
  if ("transcript" in clone) return unreadable(path, clone);
  if (clone.sha256 !== place.snapshot.sha256) {
    return failed("unrelated_histories", `${visible(path)} uses another object format than the project.`);
  }
  if (clone.shallow) return shallow(path);
  const main = clone.worktrees[0];
  const operation = operationInProgress(gitDir);
  if (operation !== null) return held("worktree_active", `${visible(role)} is in the middle of ${operation}.`);
  if (indexLocked(gitDir)) return held("worktree_active", `another git is at work in ${visible(path)}.`);
  const oid = main === undefined ? null : headOf(clone, main);
  if (main === undefined) return null;
  if (oid === null) return headless(app, role, main);
  borrowObjects(place.scratch, join(gitDir, "objects"));
  place.borrowed = true;
  const dirty = await dirtiness(app, place, role, path, gitDir, oid);
  if (dirty !== null) return dirty;
  const { visited } = branchesVisited(gitDir);
  const leftBehind = [...visited].flatMap((name) => {
    const ref = clone.refs.get(name);
    return ref === undefined || name === main.branch ? [] : [[name, ref.oid] as const];
  });
  return {
    role,
    oid,
    worktree: path,
    branch: main.branch,
    leftBehind: new Map(leftBehind),
    committed: true,
    separate: true,
  };
}

async function dirtiness(
  app: App,
  place: Workplace,
  role: string,
  path: string,
  gitDir: string,
  head: string,
): Promise<Trouble | null> {
  if (app.config.merge.uncommitted === "ignore") return null;
  const found = await uncommittedIn(app.git, place.scratch, { path, gitDir, head }, true);
  if (!Array.isArray(found)) return unreadable(path, found);
  const aside = picomatch([...app.config.merge.ignoreUncommitted, ...app.config.merge.keepTarget], { dot: true });
  const paths = found.map((entry) => entry.path).filter((changed) => !aside(showPath(changed)));
  if (paths.length === 0) return null;
  const what = count(paths.length, "uncommitted change");
  return held("dirty_source", `${visible(role)} has ${what}: ${visible(listPaths(paths))}.`);
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

function shallow(path: string): Trouble {
  return failed(
    "shallow_repository",
    `${visible(path)} is a shallow clone, so git cannot see where the histories meet: run git fetch --unshallow there, then retry.`,
  );
}

/** git itself failed: not the project's fault, so it is looked at again, more and more rarely. */
export function unreadable(what: string, result: GitResult): Trouble {
  if (result.timedOut)
    return failed("timeout", `git did not answer in time for ${visible(what)}.`, { output: result.transcript });
  return held("repository_busy", `git could not read ${visible(what)}: ${visible(lastWords(result))}`, {
    output: result.transcript,
    transient: true,
  });
}

/** A disk or directory that refused is trouble like any other, and likely to pass. Throws on what is no such refusal. */
export function refused(error: unknown): Trouble {
  const said = refusal(error);
  if (said === null) throw error;
  return held("repository_busy", `${visible(said)}.`, { transient: true });
}
