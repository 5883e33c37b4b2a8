import { createHash } from "node:crypto";
import { lstatSync, readFileSync, readlinkSync, rmSync, statSync, unlinkSync } from "node:fs";
import type { LookedAt } from "./dirty.ts";
import { pathIn } from "./paths.ts";
import { type GitContext, type GitResult, git } from "./process.ts";
import type { Change } from "./trees.ts";

/**
 * Puts a working tree back to where it was before a killed `git merge --ff-only`, whose index never changed. Each changed path is one of:
 * the old version (left alone), the new one or the beginning of it (git was writing it: put back), or something else, which is the
 * user's and is left alone; the paths of that last kind are given back. The failing result when git fails.
 *
 * Tested by killing git at every file-changing system call; a mode-only change that was half applied is the case that random kills missed.
 */
export async function putCheckoutBack(
  context: GitContext,
  tree: LookedAt,
  sha256: boolean,
  changes: readonly Change[],
): Promise<string[] | GitResult> {
  const users: string[] = [];
  const restore: string[] = [];
  const hash = (content: Buffer) =>
    createHash(sha256 ? "sha256" : "sha1")
      .update(`blob ${content.length}\0`)
      .update(content)
      .digest("hex");
  for (const change of changes) {
    if (change.oldMode === "160000" || change.newMode === "160000") continue;
    const found = contentAt(tree.path, change.path);
    const absent = change.oldMode === "000000";
    if (found === null) {
      if (!absent) restore.push(change.path);
      continue;
    }
    if (found === "other") {
      users.push(change.path);
      continue;
    }
    const oid = hash(found.content);
    if (!absent && oid === change.oldOid && sameMode(found.mode, change.oldMode)) continue;
    const halfMode = !absent && oid === change.oldOid && sameMode(found.mode, change.newMode);
    const isNew =
      change.newMode !== "000000" &&
      (oid === change.newOid || (await isBeginning(context, tree, change.newOid, found.content)));
    if (!halfMode && !isNew) users.push(change.path);
    else if (absent) unlinkSync(pathIn(tree.path, change.path));
    else restore.push(change.path);
  }
  if (restore.length > 0) {
    const result = await git(context, {
      gitDir: tree.gitDir,
      workTree: tree.path,
      cwd: tree.path,
      args: ["checkout-index", "--force", "-q", "-z", "--stdin"],
      input: Buffer.from(restore.map((path) => `${path}\0`).join(""), "latin1"),
    });
    if (result.code !== 0) return result;
  }
  return users;
}

/**
 * Removes lock files that a killed git of ours has left. One may be ours only when it is younger than the landing it belongs to; the
 * caller has seen to it that no process of that run lives, and that no other git is at work there. Gives back those that stay.
 */
export function removeStaleLocks(files: readonly string[], landingCreatedAt: number): string[] {
  return files.filter((file) => {
    try {
      // File systems keep times coarser than our clock.
      if (statSync(file).mtimeMs < landingCreatedAt - 2000) return true;
      rmSync(file);
    } catch {
      // not there
    }
    return false;
  });
}

/** Whether the index of a working tree holds the new side of all `changes`: then git died after the files, before the ref. */
export async function indexArrived(
  context: GitContext,
  tree: LookedAt,
  tip: string,
  changes: readonly Change[],
): Promise<boolean | GitResult> {
  const result = await git(context, {
    gitDir: tree.gitDir,
    workTree: tree.path,
    args: ["diff-index", "--cached", "--name-only", "-z", "--no-renames", "--ignore-submodules=none", tip],
  });
  if (result.code !== 0) return result;
  const differing = new Set(result.stdout.toString("latin1").split("\0"));
  return !changes.some((change) => differing.has(change.path));
}

async function isBeginning(context: GitContext, tree: LookedAt, oid: string, content: Buffer): Promise<boolean> {
  const blob = await git(context, { gitDir: tree.gitDir, args: ["cat-file", "blob", oid] });
  return (
    blob.code === 0 && content.length < blob.stdout.length && blob.stdout.subarray(0, content.length).equals(content)
  );
}

function contentAt(root: string, path: string): { content: Buffer; mode: string } | "other" | null {
  try {
    const file = pathIn(root, path);
    const stat = lstatSync(file);
    if (stat.isSymbolicLink()) return { content: readlinkSync(file, { encoding: "buffer" }), mode: "120000" };
    if (!stat.isFile()) return "other";
    return { content: readFileSync(file), mode: (stat.mode & 0o100) === 0 ? "100644" : "100755" };
  } catch {
    return null;
  }
}

function sameMode(found: string, wanted: string): boolean {
  return found === wanted || (found === "100644" && wanted === "100664");
}
