import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Repository } from "./repository.ts";

/** One working tree of a repository: the main one, or a linked one (git-worktree(1)). */
export type Worktree = {
  /** Real path, or the registered path when the directory is gone. */
  readonly path: string;
  /** Its own git directory: HEAD, index and operations in progress live here. */
  readonly gitDir: string;
  readonly present: boolean;
  /** Full name of the branch checked out, null when detached. */
  readonly branch: string | null;
  /** Object id when detached, null on a branch: the refs say where that is. */
  readonly detachedAt: string | null;
};

/**
 * All working trees of a repository, main one first, read from its administrative files: no git process, and nothing that an
 * agent's directory says about itself is believed.
 */
export function listWorktrees(repository: Repository, bare: boolean): Worktree[] {
  const { commonDir } = repository;
  const found: Worktree[] = [];
  if (!bare) {
    const path = basename(commonDir) === ".git" ? dirname(commonDir) : (repository.topLevel ?? commonDir);
    found.push({ path, gitDir: commonDir, present: true, ...readHead(commonDir) });
  }
  for (const id of entries(join(commonDir, "worktrees"))) {
    const gitDir = join(commonDir, "worktrees", id);
    const pointer = readText(join(gitDir, "gitdir"));
    if (pointer === null) continue;
    const registered = dirname(resolve(gitDir, pointer));
    const present = isDirectory(registered);
    found.push({ path: present ? realpathSync(registered) : registered, gitDir, present, ...readHead(gitDir) });
  }
  return found;
}

function readHead(gitDir: string): Pick<Worktree, "branch" | "detachedAt"> {
  const head = readText(join(gitDir, "HEAD"));
  if (head === null) return { branch: null, detachedAt: null };
  const ref = head.match(/^ref: *(refs\/.*)$/)?.[1];
  if (ref !== undefined) return { branch: ref, detachedAt: null };
  return { branch: null, detachedAt: /^[0-9a-f]{40,64}$/.test(head) ? head : null };
}

/** Files and directories whose presence means that somebody is in the middle of something (git-status(1), "in progress"). */
const operationMarks: readonly [file: string, operation: string][] = [
  ["rebase-merge", "a rebase"],
  ["rebase-apply", "a rebase or am"],
  ["MERGE_HEAD", "a merge"],
  ["CHERRY_PICK_HEAD", "a cherry-pick"],
  ["REVERT_HEAD", "a revert"],
  ["BISECT_LOG", "a bisect"],
  ["sequencer", "a cherry-pick or revert series"],
];

/** What is in progress in a working tree, in words; null when nothing is. A worktree stopped in mid-rebase looks clean and detached. */
export function operationInProgress(gitDir: string): string | null {
  for (const [file, operation] of operationMarks) if (existsSync(join(gitDir, file))) return operation;
  return null;
}

/** True when another git is writing this working tree's index now, or died doing so. */
export function indexLocked(gitDir: string): boolean {
  return existsSync(join(gitDir, "index.lock"));
}

/** The branch that a stopped rebase will come back to: it is checked out in all but name (for-each-ref shows none). */
export function branchUnderRebase(gitDir: string): string | null {
  for (const dir of ["rebase-merge", "rebase-apply"]) {
    const name = readText(join(gitDir, dir, "head-name"));
    if (name?.startsWith("refs/heads/")) return name;
  }
  return null;
}

/** Where this working tree's HEAD last was by its own doing: the newest entry of its reflog; null without one. */
export function lastHead(gitDir: string): string | null {
  return lastMove(gitDir)?.to ?? null;
}

/** The newest entry of a working tree's HEAD reflog; null without one. */
export function lastMove(gitDir: string): { from: string; to: string; reason: string } | null {
  const last = readText(join(gitDir, "logs", "HEAD"))
    ?.split("\n")
    .at(-1);
  const [, from, to, reason] = last?.match(/^(\S+) (\S+) [^\t]*\t(.*)$/) ?? [];
  return from === undefined || to === undefined ? null : { from, to, reason: reason ?? "" };
}

/**
 * The branches that this working tree has had checked out, full names, from its HEAD reflog ("checkout: moving from A to B").
 * `committed` holds those among them on which a commit was made here, `any` tells whether one was made at all; a worktree without a
 * reflog counts as one that did.
 */
export function branchesVisited(gitDir: string): { visited: Set<string>; committed: Set<string>; any: boolean } {
  const visited = new Set<string>();
  const committed = new Set<string>();
  let current: string | null = null;
  let before = false; // a commit before the first move: on the branch that it moved away from
  const reflog = readText(join(gitDir, "logs", "HEAD"));
  for (const line of (reflog ?? "").split("\n")) {
    const message = line.slice(line.indexOf("\t") + 1);
    const move = message.match(/^checkout: moving from (.+) to (.+)$/);
    if (move?.[1] !== undefined && move[2] !== undefined) {
      const from = `refs/heads/${move[1]}`;
      visited.add(from);
      if (current === null && before) committed.add(from);
      current = `refs/heads/${move[2]}`;
      visited.add(current);
    } else if (/^(commit|cherry-pick|rebase|am|merge|pull|revert)\b/.test(message)) {
      if (current === null) before = true;
      else committed.add(current);
    }
  }
  return { visited, committed, any: reflog === null || before || committed.size > 0 };
}

function entries(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch {
    return [];
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** A small administrative file's text without its last newline; null when it is not a regular file. */
function readText(file: string): string | null {
  try {
    return lstatSync(file).isFile() ? readFileSync(file, "utf8").replace(/\n+$/, "") : null;
  } catch {
    return null;
  }
}
