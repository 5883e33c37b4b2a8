import { showPath } from "./paths.ts";
import { type GitContext, type GitResult, git } from "./process.ts";
import { type Scratch, standIn } from "./scratch.ts";

/** One uncommitted change: `untracked`, or anything else that a commit would take or miss. */
export type Uncommitted = { readonly path: string; readonly kind: "changed" | "untracked" };

/** A working tree to look at: where its files are, its own git directory (for the index), the commit it stands on. */
export type LookedAt = { readonly path: string; readonly gitDir: string; readonly head: string };

/**
 * The uncommitted changes of a working tree, ignored files aside, or the failing result. git looks through a stand-in
 * directory: neither the worktree's `.git` nor its repository's configuration is believed, nothing in it is written.
 * A submodule counts as changed when it stands on another commit; what is uncommitted inside it is not seen.
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
  return result.code === 0 ? parseStatus(result.stdout.toString("latin1")) : result;
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
