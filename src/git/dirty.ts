import { existsSync } from "node:fs";
import { join } from "node:path";
import { showPath } from "./paths.ts";
import { type GitContext, type GitResult, git } from "./process.ts";
import { gitDirOf } from "./repository.ts";
import { borrowObjects, type Scratch, standIn } from "./scratch.ts";

/** One uncommitted change: `untracked`, or anything else that a commit would take or miss. */
export type Uncommitted = { readonly path: string; readonly kind: "changed" | "untracked" };

/** A working tree to look at: where its files are, its own git directory (for the index), the commit it stands on. */
export type LookedAt = { readonly path: string; readonly gitDir: string; readonly head: string };

/**
 * The uncommitted changes of a working tree, ignored files aside, or the failing result. git looks through a stand-in
 * directory: neither the worktree's `.git` nor its repository's configuration is believed, nothing in it is written.
 * With `untracked` the submodules that are checked out are looked into as well, each in the same way: git itself would run a status
 * inside them, under their own configuration.
 */
export async function uncommittedIn(
  context: GitContext,
  scratch: Scratch,
  tree: LookedAt,
  untracked: boolean,
): Promise<Uncommitted[] | GitResult> {
  const result = await git(context, {
    gitDir: standIn(scratch, tree.head, tree.gitDir),
    workTree: tree.path,
    env: { GIT_INDEX_FILE: `${tree.gitDir}/index` },
    args: [
      "status",
      "--porcelain=v2",
      "-z",
      untracked ? "--untracked-files=all" : "--untracked-files=no",
      "--ignore-submodules=dirty",
      "--no-renames",
    ],
  });
  if (result.code !== 0) return result;
  const found = parseStatus(result.stdout.toString("latin1"));
  if (!untracked || !existsSync(join(tree.path, ".gitmodules"))) return found;
  const inside = await uncommittedInSubmodules(context, scratch, tree);
  return Array.isArray(inside) ? [...found, ...inside] : inside;
}

/** One that stands on another commit than the index says is `changed` already; so the commit to compare with is the index's. */
async function uncommittedInSubmodules(
  context: GitContext,
  scratch: Scratch,
  tree: LookedAt,
): Promise<Uncommitted[] | GitResult> {
  const list = await git(context, {
    gitDir: standIn(scratch, tree.head, tree.gitDir),
    workTree: tree.path,
    env: { GIT_INDEX_FILE: `${tree.gitDir}/index` },
    args: ["ls-files", "--stage", "-z"],
  });
  if (list.code !== 0) return list;
  const found: Uncommitted[] = [];
  for (const entry of list.stdout.toString("latin1").split("\0")) {
    const [, head, path] = entry.match(/^160000 ([0-9a-f]+) 0\t(.*)$/s) ?? [];
    if (head === undefined || path === undefined) continue;
    const directory = join(tree.path, showPath(path));
    const gitDir = gitDirOf(directory);
    if (gitDir === null) continue; // not checked out
    borrowObjects(scratch, join(gitDir, "objects"));
    const inside = await uncommittedIn(context, scratch, { path: directory, gitDir, head }, true);
    if (!Array.isArray(inside)) return inside;
    found.push(...inside.map((one) => ({ ...one, path: `${path}/${one.path}` })));
  }
  return found;
}

// git-status(1), "Porcelain Format Version 2": the path is the last field; a space separates, and a path may hold spaces.
function parseStatus(text: string): Uncommitted[] {
  return text.split("\0").flatMap((entry): Uncommitted[] => {
    switch (entry[0]) {
      case "1":
        return [{ path: entry.split(" ").slice(8).join(" "), kind: "changed" }];
      case "u":
        return [{ path: entry.split(" ").slice(10).join(" "), kind: "changed" }];
      case "?":
        return [{ path: entry.slice(2), kind: "untracked" }];
      default:
        return [];
    }
  });
}

/** Paths for people: the first few, and how many more. */
export function listPaths(paths: readonly string[], most = 5): string {
  const shown = paths.slice(0, most).map(showPath).join(", ");
  return paths.length > most ? `${shown} and ${paths.length - most} more` : shown;
}
