import { pathsInTheWay } from "./checkout.ts";
import { type LookedAt, uncommittedIn } from "./dirty.ts";
import { type GitContext, type GitResult, git } from "./process.ts";
import { type Scratch, standIn } from "./scratch.ts";
import { openDiffer } from "./trees.ts";
import { lastHead } from "./worktrees.ts";

/** How far back a checkout may have fallen. Commits. */
const reach = 1000;

export type CatchUp = "in step" | "brought forward" | "own work";

/**
 * A checkout whose branch was moved under it (an agent committed to the same branch from another worktree) looks like one with
 * everything of the newer commits deleted: the next commit made there would revert them. Its own HEAD reflog gives it away: the last
 * entry is not where the branch is. It is brought forward only when its index
 * equals an older commit of the branch exactly and its files equal the index; anything else is `own work` and is left alone.
 * The failing result when git fails.
 */
export async function catchUp(
  context: GitContext,
  scratch: Scratch,
  tree: LookedAt,
  sha256: boolean,
  dryRun: boolean,
): Promise<CatchUp | GitResult> {
  const indexFile = { GIT_INDEX_FILE: `${tree.gitDir}/index` };
  const seen = lastHead(tree.gitDir);
  if (seen === null || seen === tree.head) return "in step";
  const gitDir = standIn(scratch, tree.head, tree.gitDir);
  const written = await git(context, { gitDir, env: indexFile, args: ["write-tree"] });
  if (written.code !== 0) return "own work"; // an unmerged or half-written index is somebody's
  const index = written.stdout.toString().trim();
  const history = await git(context, {
    gitDir: scratch.gitDir,
    args: ["log", "--first-parent", `--max-count=${reach}`, "--format=%H %T", tree.head],
  });
  if (history.code !== 0) return history;
  const commits = history.stdout
    .toString()
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  const [, headTree = ""] = commits[0] ?? [];
  if (index === headTree) return "in step";
  const older = commits.find(([, oldTree]) => oldTree === index)?.[0];
  if (older === undefined) return "own work";
  const changed = await uncommittedIn(context, scratch, { ...tree, head: older }, false);
  if (!Array.isArray(changed)) return changed;
  if (changed.length > 0) return "own work";
  const differ = openDiffer(context, scratch);
  const changes = await differ.diff(index, headTree);
  await differ.close();
  if (changes === null) return "own work";
  const blocked = await pathsInTheWay(context, scratch, { ...tree, head: older }, sha256, changes);
  if (!Array.isArray(blocked)) return blocked;
  if (blocked.length > 0) return "own work";
  if (dryRun) return "brought forward";
  // Two-tree read-tree keeps what differs from the first tree and refuses what it cannot keep (git-read-tree(1), "Two Tree Merge").
  const moved = await git(context, {
    gitDir: tree.gitDir,
    workTree: tree.path,
    cwd: tree.path,
    args: ["read-tree", "-m", "-u", older, tree.head],
  });
  return moved.code === 0 ? "brought forward" : moved;
}
