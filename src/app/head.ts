import { accessSync, constants, lstatSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import picomatch from "picomatch";
import { count, visible } from "../core/describe.ts";
import { failed, held, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { listPaths, uncommittedIn } from "../git/dirty.ts";
import { showPath } from "../git/paths.ts";
import { borrowObjects } from "../git/scratch.ts";
import { headOf, readSnapshot } from "../git/snapshot.ts";
import { branchesVisited, indexLocked, lastHead, operationInProgress, type Worktree } from "../git/worktrees.ts";
import type { App, Workplace } from "./context.ts";
import { unreadable } from "./trouble.ts";

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

/** A directory without a readable .git that may hold work all the same: leaving it out in silence would lose it. */
export function lostWorktree(place: Workplace, path: string): Trouble | null {
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
export async function headAt(app: App, place: Workplace, role: string, path: string): Promise<Head | null | Trouble> {
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

export async function fromWorktree(
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

export function shallow(path: string): Trouble {
  return failed(
    "shallow_repository",
    `${visible(path)} is a shallow clone, so git cannot see where the histories meet: run git fetch --unshallow there, then retry.`,
  );
}
