import { rmSync } from "node:fs";
import { gitIn, mustGit } from "./git.ts";

/** What came of one merge. Paths are byte strings, in order; what gave way to a directory is `path~ours` or `path~<head>`. */
export type Outcome =
  | { readonly kind: "merged"; readonly tree: string }
  | { readonly kind: "up to date" }
  | { readonly kind: "conflict"; readonly paths: readonly string[] }
  | { readonly kind: "refused"; readonly why: string };

/** A target and what is merged into it, one after the other: full object ids. */
export type Merges = { readonly target: string; readonly heads: readonly string[] };

/**
 * What git itself makes of it: `git merge --no-ff` in a checkout of the target, head after head; a head that conflicts is taken back, and
 * the next one merges onto what was there before it. `refused` is also a git that died of it (2.39 does, of some double renames).
 */
export async function byGit(home: string, checkout: string, merges: Merges): Promise<Outcome[]> {
  const run = (...args: string[]) => mustGit(home, checkout, args);
  await run("checkout", "-q", "--force", "--detach", merges.target);
  const outcomes: Outcome[] = [];
  let before = merges.target;
  for (const head of merges.heads) {
    const merge = await gitIn(home, checkout, ["merge", "--no-ff", "--no-edit", "--no-stat", "-q", head]);
    if (merge.code === 0) {
      const [after = "", tree = ""] = (await run("rev-parse", "HEAD", "HEAD^{tree}")).split("\n");
      outcomes.push(after === before ? { kind: "up to date" } : { kind: "merged", tree });
      before = after;
      continue;
    }
    const unmerged = await gitIn(home, checkout, ["diff", "--name-only", "--diff-filter=U", "-z"]);
    const paths = unmerged.stdout
      .toString("latin1")
      .split("\0")
      .filter((path) => path !== "");
    const conflict = merge.code === 1 && paths.length > 0;
    outcomes.push(conflict ? { kind: "conflict", paths: bySide(paths, head) } : { kind: "refused", why: merge.stderr });
    // One that died has left its lock.
    if (merge.code === null) rmSync(await run("rev-parse", "--path-format=absolute", "--git-path", "index.lock"));
    await run("reset", "-q", "--hard", before);
  }
  return outcomes;
}

/**
 * Paths in order, each once, with one word for our side: git names what gives way to a directory after the sides, and ours is HEAD in a
 * checkout and a commit's id in memory.
 */
export function bySide(paths: readonly string[], head: string): string[] {
  const named = paths.map((path) =>
    path.replace(/~(?:HEAD|[0-9a-f]{40,64})(_\d+)?$/, (side, again = "") =>
      side.startsWith(`~${head}`) ? side : `~ours${again}`,
    ),
  );
  return [...new Set(named)].sort();
}
