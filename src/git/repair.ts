import { createHash } from "node:crypto";
import { lstatSync, readFileSync, readlinkSync, rmdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LookedAt } from "./dirty.ts";
import { pathIn, showPath } from "./paths.ts";
import { type GitContext, type GitResult, git } from "./process.ts";
import type { Change } from "./trees.ts";

/** What a path's content is compared by. */
export type Standards = {
  readonly sha256: boolean;
  /** core.filemode: false where the file system keeps no executable bit. */
  readonly fileMode: boolean;
  /** Directories with the attributes of the old and of the new tree: what lies on disk may be converted (line ends, LFS). */
  readonly attributes: () => Promise<{ readonly before: string; readonly after: string } | GitResult>;
};

/**
 * Puts a working tree back to where it was before a killed `git merge --ff-only`, whose index never changed. Each changed path is one of:
 * the old version (left alone), the new one or the beginning of it (git was writing it: put back), or something else, which is the
 * user's and is left alone; the paths of that last kind are given back. The failing result when git fails.
 *
 * The caller has seen that the index holds the old side of all `changes`: what is put back comes from there. Tested by killing git at
 * every file-changing system call; a mode-only change that was half applied, and a file that becomes a directory, are what random
 * kills missed.
 */
export async function putCheckoutBack(
  context: GitContext,
  tree: LookedAt,
  standards: Standards,
  changes: readonly Change[],
): Promise<string[] | GitResult> {
  const users: string[] = [];
  const restore: string[] = [];
  const note = join(tree.gitDir, "orchestrator-merge-restores");
  const begun = restoresIn(note);
  for (const change of changes) {
    if (change.oldMode === "160000" || change.newMode === "160000") continue;
    const absent = change.oldMode === "000000";
    const found = contentAt(tree.path, change.path);
    if (found === "directory" && absent) continue; // what is in it is judged path by path
    if (found === null || found === "directory") {
      if (!absent) restore.push(change.path);
      else removeEmptyParents(tree.path, change.path);
      continue;
    }
    const ours = begun.has(restoreOf(change));
    const whose = found === "other" ? "user's" : await judge(context, tree, standards, change, found, ours);
    if (typeof whose !== "string") return whose;
    if (whose === "user's") users.push(change.path);
    else if (whose === "git's" && absent) {
      unlinkSync(pathIn(tree.path, change.path));
      removeEmptyParents(tree.path, change.path);
    } else if (whose === "git's") restore.push(change.path);
  }
  // `checkout-index --force` removes whatever is in the way, whole directories included (entry.c, remove_subtree): only what is free.
  const free = restore.filter((path) => isFree(tree.path, path));
  users.push(...restore.filter((path) => !free.includes(path)));
  if (free.length > 0) {
    noteRestores(
      note,
      changes.filter(({ path }) => free.includes(path)),
    );
    // With the stat data (--index): where line ends are converted, git takes another size than the index's for a change.
    const result = await git(context, {
      gitDir: tree.gitDir,
      workTree: tree.path,
      cwd: tree.path,
      args: ["checkout-index", "--force", "--index", "-q", "-z", "--stdin"],
      input: Buffer.from(free.map((path) => `${path}\0`).join(""), "latin1"),
    });
    if (result.code !== 0) {
      await removeBeginnings(context, tree, standards, changes, free);
      return result;
    }
  }
  rmSync(note, { force: true });
  return users;
}

/** Which versions of which paths a put-back has begun to write: killed in it, the beginning of the old version is there, and ours. */
const restoreOf = ({ oldOid, path }: Change): string => `${oldOid} ${path}`;

function restoresIn(note: string): Set<string> {
  try {
    return new Set(readFileSync(note, "latin1").split("\0"));
  } catch {
    return new Set();
  }
}

function noteRestores(note: string, changes: readonly Change[]): void {
  try {
    writeFileSync(note, changes.map(restoreOf).join("\0"), "latin1");
  } catch {
    // a full disk: what fails then is seen to below
  }
}

/**
 * What a `checkout-index` that failed (a full disk) has written the beginning of would be taken for the user's by the next to look: it is
 * removed, for all of `paths` was ours a moment ago, and what is missing is put back.
 */
async function removeBeginnings(
  context: GitContext,
  tree: LookedAt,
  standards: Standards,
  changes: readonly Change[],
  paths: readonly string[],
): Promise<void> {
  for (const change of changes) {
    const found = paths.includes(change.path) ? contentAt(tree.path, change.path) : null;
    if (found === null || typeof found === "string") continue;
    if ((await judge(context, tree, standards, change, found)) === "user's") unlinkSync(pathIn(tree.path, change.path));
  }
}

/** Those of `changes` whose entry in the index of a working tree is not the one of `commit`. The failing result when git fails. */
export async function stagedOtherwise(
  context: GitContext,
  tree: LookedAt,
  commit: string,
  changes: readonly Change[],
): Promise<Change[] | GitResult> {
  const result = await git(context, {
    gitDir: tree.gitDir,
    workTree: tree.path,
    args: ["diff-index", "--cached", "--name-only", "-z", "--no-renames", "--ignore-submodules=none", commit],
  });
  if (result.code !== 0) return result;
  const differing = new Set(result.stdout.toString("latin1").split("\0"));
  return changes.filter((change) => differing.has(change.path));
}

/**
 * Brings index and files from `tip` to the commit that a working tree stands on, keeping what differs from `tip` in either: git's own
 * two-way merge (git-read-tree(1), "Two Tree Merge"). It refuses as a whole where that cannot be, and overwrites an ignored file where
 * one is to come, which is looked for here first. Whether it was done.
 */
export async function switchFiles(
  context: GitContext,
  tree: LookedAt,
  tip: string,
  changes: readonly Change[],
): Promise<boolean> {
  const inTheWay = ({ newMode, path }: Change) => {
    const found = newMode === "000000" ? contentAt(tree.path, path) : null;
    return found !== null && found !== "directory";
  };
  if (changes.some(inTheWay)) return false;
  const run = (args: string[]) =>
    git(context, { gitDir: tree.gitDir, workTree: tree.path, cwd: tree.path, args, env: { GIT_OPTIONAL_LOCKS: "1" } });
  // It takes a file whose times alone have changed for an edited one.
  await run(["update-index", "-q", "--refresh"]);
  return (await run(["read-tree", "-m", "-u", tip, tree.head])).code === 0;
}

type Content = { readonly content: Buffer; readonly mode: string };

/** Whose a file on disk is: the old version, something that git was writing, or the user's. */
async function judge(
  context: GitContext,
  tree: LookedAt,
  standards: Standards,
  change: Change,
  found: Content,
  restoring = false,
): Promise<"old" | "git's" | "user's" | GitResult> {
  const modeIs = (mode: string) =>
    found.mode === mode || (!standards.fileMode && found.mode !== "120000" && mode !== "120000");
  const oid = createHash(standards.sha256 ? "sha256" : "sha1")
    .update(`blob ${found.content.length}\0`)
    .update(found.content)
    .digest("hex");
  const verdict = (isOld: boolean, isNew: boolean) => {
    if (isOld && modeIs(plain(change.oldMode))) return "old";
    if (isOld && modeIs(plain(change.newMode))) return "git's"; // the mode alone has changed so far
    return isNew ? "git's" : null;
  };
  const blob = async (id: string, mode: string, attributes: string | null) => {
    if (mode === "000000") return null;
    const converted = attributes !== null && mode !== "120000";
    const result = await git(context, {
      gitDir: tree.gitDir,
      ...(converted ? { workTree: attributes, cwd: attributes, env: { GIT_INDEX_FILE: `${attributes}/none` } } : {}),
      args: converted ? ["cat-file", "--filters", `--path=${showPath(change.path)}`, id] : ["cat-file", "blob", id],
    });
    return result.code === 0 ? result.stdout : null;
  };
  const isBeginning = (of: Buffer | null) => of?.subarray(0, found.content.length).equals(found.content) ?? false;
  const known = verdict(oid === change.oldOid, oid === change.newOid);
  if (known !== null) return known;
  if (isBeginning(await blob(change.newOid, change.newMode, null))) return "git's";
  if (restoring && isBeginning(await blob(change.oldOid, change.oldMode, null))) return "git's";
  if (found.mode === "120000") return "user's";
  const attributes = await standards.attributes();
  if ("code" in attributes) return attributes;
  const before = await blob(change.oldOid, change.oldMode, attributes.before);
  const after = await blob(change.newOid, change.newMode, attributes.after);
  // Written once more even if it is the old version: the index may not have its size, and git takes another size for a change.
  const isOld = (before?.equals(found.content) ?? false) && verdict(true, false) !== null;
  return isOld || isBeginning(after) || (restoring && isBeginning(before)) ? "git's" : "user's";
}

/** git writes two modes for files whatever an old tree says (100664). */
const plain = (mode: string): string => (mode === "120000" || mode === "100755" ? mode : "100644");

/** What is at a path; null when nothing is, as when a directory above it is none, or a link that leads elsewhere. */
function contentAt(root: string, path: string): Content | "directory" | "other" | null {
  try {
    if (!directoriesAbove(path).every((dir) => lstatSync(pathIn(root, dir)).isDirectory())) return null;
    const file = pathIn(root, path);
    const stat = lstatSync(file);
    if (stat.isSymbolicLink()) return { content: readlinkSync(file, { encoding: "buffer" }), mode: "120000" };
    if (stat.isDirectory()) return "directory";
    if (!stat.isFile()) return "other";
    return { content: readFileSync(file), mode: (stat.mode & 0o100) === 0 ? "100644" : "100755" };
  } catch {
    return null;
  }
}

/** Whether a file can be written at a path without removing anything else: a file of its own may be there, a directory may not. */
function isFree(root: string, path: string): boolean {
  const at = (relative: string) => lstatSync(pathIn(root, relative), { throwIfNoEntry: false });
  for (const dir of directoriesAbove(path)) {
    const stat = at(dir);
    if (stat === undefined) return true;
    if (!stat.isDirectory()) return false;
  }
  return at(path)?.isDirectory() !== true;
}

/** Removes the directories above a path that hold nothing, as git does when it removes a file. */
function removeEmptyParents(root: string, path: string): void {
  for (const dir of directoriesAbove(path).reverse()) {
    try {
      rmdirSync(pathIn(root, dir));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) return;
    }
  }
}

/** The directories that a path is in, the outermost first. */
function directoriesAbove(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}
