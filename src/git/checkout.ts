import { createHash } from "node:crypto";
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { type LookedAt, uncommittedIn } from "./dirty.ts";
import { pathIn } from "./paths.ts";
import { type GitContext, type GitResult, git } from "./process.ts";
import type { Scratch } from "./scratch.ts";
import type { Change } from "./trees.ts";

/** A file larger than this is not hashed here; git is asked instead. Bytes. */
const hashLimit = 8 * 1024 * 1024;

/**
 * Which of `changes` cannot be brought into a working tree without touching something of the user's: an edit, a deletion, a file
 * in the way, ignored ones included (`git merge` overwrites those; measured: a user's `.env` was lost).
 *
 * Only the changed paths are looked at, not the whole tree: a `git status` of 20,000 files costs 70 ms, this costs a stat and a hash a
 * path. A path whose bytes are not plainly the old ones (an edit, or a line-ending or LFS conversion) is put to git.
 */
export async function pathsInTheWay(
  context: GitContext,
  scratch: Scratch,
  tree: LookedAt,
  sha256: boolean,
  changes: readonly Change[],
): Promise<string[] | GitResult> {
  const blocked: string[] = [];
  const doubtful: string[] = [];
  const leaving = new Set(changes.filter((change) => change.newMode === "000000").map((change) => change.path));
  for (const change of changes) {
    if (change.oldMode === "160000" || change.newMode === "160000") continue; // a submodule's directory is not touched by a merge
    if (change.oldMode === "000000") {
      if (occupied(tree.path, change.path, leaving)) blocked.push(change.path);
    } else {
      // What is not there may be deleted, or left out by a sparse checkout: git tells.
      if (compare(tree.path, change, sha256) !== "same") doubtful.push(change.path);
    }
  }
  if (doubtful.length > 0) {
    const dirty = await uncommittedIn(context, scratch, tree, false);
    if (!Array.isArray(dirty)) return dirty;
    const changed = new Set(dirty.map((entry) => entry.path));
    blocked.push(...doubtful.filter((path) => changed.has(path)));
  }
  return blocked;
}

/** What reflogs say of a fast-forward of ours, before a colon. */
export const reflogAction = "orchestrator-merge";

/** Brings the checked-out branch of a working tree forward to `tip`, a descendant. Null when done, git's refusal otherwise. */
export async function fastForward(context: GitContext, tree: LookedAt, tip: string): Promise<GitResult | null> {
  const result = await git(context, {
    gitDir: tree.gitDir,
    workTree: tree.path,
    cwd: tree.path,
    // The rest undoes what merge.* and branch.<name>.mergeOptions may say: a stash of the user's edits above all.
    args: [
      "merge",
      "--ff-only",
      "--no-overwrite-ignore",
      "--no-autostash",
      "--no-squash",
      "--commit",
      "--no-verify-signatures",
      "--no-stat",
      "-q",
      tip,
    ],
    env: { GIT_OPTIONAL_LOCKS: "1", GIT_REFLOG_ACTION: reflogAction },
  });
  return result.code === 0 ? null : result;
}

/**
 * Those of `changes` that git may have had in mind when it refused to bring a working tree forward, for a person to look at: what
 * differs from HEAD in the index or on disk, or else what is marked assume-unchanged or skip-worktree (no status shows that).
 */
export async function pathsRefused(
  context: GitContext,
  scratch: Scratch,
  tree: LookedAt,
  changes: readonly Change[],
): Promise<string[]> {
  const changed = new Set(changes.map((change) => change.path));
  const dirty = await uncommittedIn(context, scratch, tree, false);
  const paths = Array.isArray(dirty) ? dirty.map((entry) => entry.path).filter((path) => changed.has(path)) : [];
  if (paths.length > 0) return paths;
  const listed = await git(context, { gitDir: tree.gitDir, args: ["ls-files", "-v", "-z"] });
  // git-ls-files(1), -t and -v: "S" is skip-worktree, a small letter assume-unchanged; then a space and the path.
  const marked = listed.stdout
    .toString("latin1")
    .split("\0")
    .filter((line) => /^[Sa-z] /.test(line));
  return marked.map((line) => line.slice(2)).filter((path) => changed.has(path));
}

/** Something that is not ours stands where a new path must go: a file there, or a file where a directory must be. */
function occupied(root: string, path: string, leaving: ReadonlySet<string>): boolean {
  const parts = path.split("/");
  for (let depth = 1; depth <= parts.length; depth++) {
    const part = parts.slice(0, depth).join("/");
    const stat = lstatOf(root, part);
    if (stat === null) return false;
    if (depth === parts.length) return !leaving.has(part) && !(stat.isDirectory() && leavesUnder(leaving, part));
    if (!stat.isDirectory()) return !leaving.has(part);
  }
  return false;
}

function leavesUnder(leaving: ReadonlySet<string>, dir: string): boolean {
  for (const path of leaving) if (path.startsWith(`${dir}/`)) return true;
  return false;
}

function compare(root: string, change: Change, sha256: boolean): "same" | "gone" | "differs" {
  const stat = lstatOf(root, change.path);
  if (stat === null) return "gone";
  const link = change.oldMode === "120000";
  if (link ? !stat.isSymbolicLink() : !stat.isFile() || stat.size > hashLimit) return "differs";
  if (!link && (change.oldMode === "100755") !== ((stat.mode & 0o100) !== 0)) return "differs";
  const file = pathIn(root, change.path);
  const content = link ? readlinkSync(file, { encoding: "buffer" }) : readFileSync(file);
  const hash = createHash(sha256 ? "sha256" : "sha1")
    .update(`blob ${content.length}\0`)
    .update(content)
    .digest("hex");
  return hash === change.oldOid ? "same" : "differs";
}

function lstatOf(root: string, path: string) {
  try {
    return lstatSync(pathIn(root, path));
  } catch {
    return null;
  }
}
