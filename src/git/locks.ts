import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { userOf } from "./orphans.ts";

/*
 * git guards each file that it changes by a `<file>.lock` beside it (gitrepository-layout(5); lockfile.h), and one that is killed leaves
 * it behind: everybody's next git then refuses. Measured by killing git at each of its system calls: besides the lock of the ref itself,
 * every ref that a transaction merely verifies is locked, packed-refs when it deletes, and a fast-forward locks ORIG_HEAD, index, HEAD.
 */

/** The lock files of refs. A transaction that deletes one locks packed-refs too, and may leave the new one half-written. */
export function locksOfRefs(commonDir: string, refs: Iterable<string>): string[] {
  const own = [...new Set(refs)].map((ref) => join(commonDir, `${ref}.lock`));
  return [...own, join(commonDir, "packed-refs.lock"), join(commonDir, "packed-refs.new")];
}

/** The lock files of a fast-forward in a working tree, its branch's own aside. */
export function locksOfCheckout(gitDir: string): string[] {
  return ["ORIG_HEAD.lock", "index.lock", "HEAD.lock"].map((name) => join(gitDir, name));
}

/** The lock files there are on refs that nobody but this program names. */
export function locksOnOwnRefs(commonDir: string): string[] {
  const below = (dir: string, mine: RegExp, recursive = false) => {
    const path = join(commonDir, dir);
    if (!existsSync(path)) return [];
    const names = readdirSync(path, { recursive, encoding: "utf8" });
    return names.filter((name) => mine.test(name)).map((name) => join(path, name));
  };
  return [
    ...below("refs/heads", /^backup-before-merge-.*\.lock$/),
    ...below("refs/tags", /^integration-.*\.lock$/),
    ...below("refs/orchestrator", /\.lock$/, true),
  ];
}

/** File systems keep times coarser than our clock. Milliseconds. */
const coarseness = 2000;

/**
 * Removes those of `files` that a killed git of ours has left. The caller has seen to it that no process of ours lives; here it is seen
 * that each is younger than `since` (unix milliseconds), when ours began, and that nobody is using it: no process has it open, no git
 * works in `dirs`. Null when none is left, else why one was left alone.
 */
export function removeStaleLocks(files: readonly string[], since: number, dirs: readonly string[]): string | null {
  const found = files.filter((file) => existsSync(file));
  if (found.length === 0) return null;
  const user = userOf(found, dirs);
  if (user !== null) return `${user.command} (process ${user.pid}) is at work there`;
  for (const file of found) {
    try {
      if (statSync(file).mtimeMs < since - coarseness) return `${file} is in the way, and older than what we did there`;
      rmSync(file);
    } catch (error) {
      if (existsSync(file)) return `${file} could not be removed: ${error instanceof Error ? error.message : error}`;
    }
  }
  return null;
}
