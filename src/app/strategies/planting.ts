import picomatch from "picomatch";
import { visible } from "../../core/describe.ts";
import { failed, held, isTrouble, type Trouble } from "../../core/reasons.ts";
import { shortName } from "../../core/target.ts";
import { listPaths } from "../../git/dirty.ts";
import { showPath } from "../../git/paths.ts";
import { type Change, putBack } from "../../git/trees.ts";
import type { Chain, Tip } from "../chain.ts";
import type { App, Workplace } from "../context.ts";
import type { Head } from "../head.ts";
import type { Work } from "../plan.ts";
import { unreadable } from "../trouble.ts";
import { untrustedConflict } from "../untrusted.ts";

/** One head of a project to be brought onto a tip. */
export type Planting = {
  readonly chain: Chain;
  readonly work: Work;
  readonly head: Head;
  /** All heads of the project that land, in their order. */
  readonly heads: readonly Head[];
  /** What the new commits follow on. */
  readonly from: Tip;
  /** What is merged onto: `from`, or that with reverted work of this project done again. */
  readonly onto: Tip;
};

/** What came of it: the new tip, what it changes from the old one on, and the paths (byte strings) that stayed the target's. */
export type Planted = {
  readonly tip: Tip;
  readonly changes: readonly Change[];
  readonly kept: readonly string[];
};

/** The merge of a head with a tip in memory: a tree, or the reason why there is none. */
export async function mergedTree({ chain, head, heads, from, onto }: Planting): Promise<string | Trouble> {
  const { app, place, merger, receiver } = chain;
  const result = await merger.merge(onto.seen, head.oid);
  if (result.kind === "clean") return result.tree;
  if (result.kind === "failed") return unreadable(`the merge of ${head.role}`, result.result);
  if (result.kind === "unrelated") {
    const target = visible(shortName(receiver.target));
    return failed("unrelated_histories", `${visible(head.role)}'s work shares no history with ${target}.`);
  }
  const paths = atOdds(app.config, result.paths);
  if (paths.length === 0) return result.tree;
  return (await untrustedConflict(app, place, from.tree, paths)) ?? (await conflict(chain, heads, head, paths));
}

/** A conflict, told with whom: the target, an agent of the same project, or a project that lands in the same run. */
async function conflict(chain: Chain, heads: readonly Head[], head: Head, paths: readonly string[]): Promise<Trouble> {
  const { merger, receiver, links } = chain;
  const isCleanOn = async (commit: string) => (await merger.merge(commit, head.oid)).kind === "clean";
  const before = heads.slice(0, heads.indexOf(head));
  const rivals = links.filter(({ step }) => step.changes.some((change) => paths.includes(change.path)));
  let against = shortName(receiver.target);
  if (before.length > 0 && (await isCleanOn(chain.tip.seen))) {
    against = before.map(({ role }) => role).join(" and ");
  } else if (rivals.length > 0 && (await isCleanOn(links[0]?.base.seen ?? receiver.base))) {
    const names = rivals.map(({ step: { work } }) => `project ${work.projectId} (${work.name})`);
    against = `${names.join(", ")}, which lands first,`;
  }
  const detail = `${visible(head.role)} conflicts with ${visible(against)} in ${visible(listPaths(paths))}.`;
  return failed("conflict", detail, { conflicts: paths.map(showPath) });
}

/** Those of the paths that conflict where it matters: of kept ones the target's side is taken anyway. */
export function atOdds(config: App["config"], paths: readonly string[]): string[] {
  const isKept = keptBy(config);
  return paths.filter((path) => !isKept(path));
}

/** Tells the paths (byte strings) that stay as the target has them. */
export function keptBy(config: App["config"]): (path: string) => boolean {
  const isKept = picomatch([...config.merge.keepTarget], { dot: true });
  return (path) => isKept(showPath(path));
}

/** A tree that follows on `before`, with the target's side of the agents' own files: absent stays absent. */
export async function keepTargets(
  chain: Pick<Chain, "differ"> & {
    readonly app: Pick<App, "git" | "config">;
    readonly place: Pick<Workplace, "scratch">;
  },
  before: string,
  tree: string,
): Promise<{ tree: string; changes: Change[]; kept: string[] } | Trouble> {
  const changes = await chain.differ.diff(before, tree);
  if (changes === null) return held("repository_busy", "git could not compare two trees.", { transient: true });
  const isKept = keptBy(chain.app.config);
  const kept = changes.filter(({ path }) => isKept(path));
  if (kept.length === 0) return { tree, changes, kept: [] };
  const settled = await putBack(chain.app.git, chain.place.scratch, tree, kept);
  if (typeof settled !== "string") return unreadable("a merged tree", settled);
  const rest = changes.filter((change) => !kept.includes(change));
  return { tree: settled, changes: rest, kept: kept.map(({ path }) => path) };
}

/** What a strategy makes of a tree: one commit that follows on `from`. */
export async function plant(
  planting: Planting,
  tree: string,
  commit: (tree: string) => Promise<string | Trouble>,
  seen: (tip: { commit: string; tree: string }) => string,
): Promise<Planted | Trouble> {
  const settled = await keepTargets(planting.chain, planting.from.tree, tree);
  if (isTrouble(settled)) return settled;
  const made = await commit(settled.tree);
  if (isTrouble(made)) return made;
  const tip = { commit: made, tree: settled.tree };
  return { tip: { ...tip, seen: seen(tip) }, changes: settled.changes, kept: settled.kept };
}
