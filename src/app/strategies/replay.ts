import { held, isTrouble, type Trouble } from "../../core/reasons.ts";
import { revList } from "../../git/ancestry.ts";
import { type Commit, readCommits } from "../../git/commits.ts";
import { lookUp } from "../../git/marked.ts";
import type { Chain } from "../chain.ts";
import { applied } from "../contained.ts";
import type { App, Workplace } from "../context.ts";
import { unreadable } from "../trouble.ts";
import { atOdds, keepTargets } from "./planting.ts";

/** As much of a chain as it takes to do commits again. */
export type Desk = Pick<Chain, "merger" | "differ"> & {
  readonly app: Pick<App, "git" | "config">;
  readonly place: Pick<Workplace, "scratch" | "snapshot">;
};

/** A commit done again, and the tree that it leads to. */
export type Replayed = { readonly commit: Commit; readonly tree: string };

/** What became of them: the last tree, and the paths (byte strings) that stayed the target's; or the one that conflicts, and where. */
export type Replay =
  | { readonly replayed: readonly Replayed[]; readonly tree: string; readonly kept: readonly string[] }
  | { readonly stuck: Commit; readonly onto: string; readonly paths: readonly string[] };

/**
 * Does commits again one after the other, in memory, the first on the tree `onto`: what each did to its first parent. Merge commits are
 * left out, and what comes to nothing is dropped.
 */
export async function replay(desk: Desk, commits: readonly Commit[], onto: string): Promise<Replay | Trouble> {
  const { app, place, merger } = desk;
  const trees = await parentTrees(desk, commits);
  if (isTrouble(trees)) return trees;
  let tree = onto;
  const replayed: Replayed[] = [];
  const kept = new Set<string>();
  for (const commit of commits) {
    const [parent, another] = commit.parents;
    if (another !== undefined) continue;
    const before = parent === undefined ? emptyTree(place.snapshot.sha256) : (trees.get(parent) ?? "");
    const result =
      before === tree
        ? { kind: "clean" as const, tree: commit.tree }
        : await applied(place, merger, tree, before, commit.tree);
    if (result.kind === "failed") return unreadable("the agents' commits", result.result);
    if (result.kind === "unrelated") return busy();
    const paths = result.kind === "clean" ? [] : atOdds(app.config, result.paths);
    if (paths.length > 0) return { stuck: commit, onto: tree, paths };
    const settled = await keepTargets(desk, tree, result.tree);
    if (isTrouble(settled)) return settled;
    for (const path of settled.kept) kept.add(path);
    if (settled.tree === tree) continue;
    tree = settled.tree;
    replayed.push({ commit, tree });
  }
  return { replayed, tree, kept: [...kept] };
}

/** The commits of `head` that a tip lacks, parents before children. `seen` is what git is asked about in the tip's place. */
export async function newCommits(
  { app, place }: Pick<Desk, "place"> & { readonly app: Pick<App, "git"> },
  head: string,
  seen: string,
): Promise<Commit[] | Trouble> {
  const { gitDir } = place.scratch;
  const oids = await revList(app.git, gitDir, ["--topo-order", "--reverse"], [head, `^${seen}`]);
  if (!Array.isArray(oids)) return unreadable("the agents' commits", oids);
  const commits = await readCommits(app.git, gitDir, oids);
  return Array.isArray(commits) ? commits : unreadable("the agents' commits", commits);
}

/** The trees of the first parents, by commit; one process for those that are no new commits themselves. */
async function parentTrees({ app, place }: Desk, commits: readonly Commit[]): Promise<Map<string, string> | Trouble> {
  const trees = new Map(commits.map(({ oid, tree }) => [oid, tree]));
  const others = [...new Set(commits.flatMap(({ parents }) => parents[0] ?? []))].filter((oid) => !trees.has(oid));
  const names = others.map((oid) => `${oid}^{tree}`);
  const found = await lookUp(app.git, place.scratch.gitDir, names);
  if (!Array.isArray(found)) return unreadable("the agents' commits", found);
  for (const [index, oid] of others.entries()) {
    const tree = found[index]?.oid;
    if (tree === undefined) return busy();
    trees.set(oid, tree);
  }
  return trees;
}

export const busy = (): Trouble =>
  held("repository_busy", "git could not read the agents' commits.", { transient: true });

/** The id of the empty tree, which git knows without its being stored (object-file.c, empty_tree_oid). */
const emptyTree = (sha256: boolean): string =>
  sha256
    ? "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
    : "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
