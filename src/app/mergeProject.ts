import { visible } from "../core/describe.ts";
import { failed, held, isTrouble, type Trouble } from "../core/reasons.ts";
import { isAncestor } from "../git/ancestry.ts";
import { listPaths } from "../git/dirty.ts";
import { writeCommit } from "../git/objects.ts";
import { showPath } from "../git/paths.ts";
import type { Change } from "../git/trees.ts";
import type { Chain, Tip } from "./chain.ts";
import { type Brought, broughtBack, containment, isReverted, past } from "./contained.ts";
import type { App, Workplace } from "./context.ts";
import type { Head } from "./head.ts";
import type { Already, Step, Work } from "./plan.ts";
import { plantAgain, strategyOf } from "./strategies/kinds.ts";
import { mergedTree, type Planted, type Planting } from "./strategies/planting.ts";

/** One project brought onto a tip, head by head; nothing brought when an earlier project of the chain has brought its work. */
export type Merged = {
  readonly tip: Tip;
  readonly brought: readonly Brought[];
  readonly changes: readonly Change[];
  readonly warnings: readonly string[];
  /** The earlier step that brings all of it, where nothing is left to merge. */
  readonly ridesOn?: Step;
};

/** As much of a chain as it takes to do something again. */
type Links = Pick<Chain, "merger" | "stamp" | "tip" | "absorption"> & {
  readonly app: Pick<App, "git">;
  readonly place: Pick<Workplace, "scratch" | "snapshot">;
};

const again = "it had been reverted: its changes are brought back";

/** Brings all heads of one project onto the chain's tip, by its strategy, or none. */
export async function mergeProject(
  chain: Chain,
  work: Work,
): Promise<Merged | { readonly already: Already } | Trouble> {
  const { app, place } = chain;
  const strategy = strategyOf(work.strategy);
  const inside = await containment(app, place, chain.tip.seen, work, !strategy.merges);
  if (isTrouble(inside)) return inside;
  const start = await restored(chain, work);
  if (isTrouble(start)) return start;
  if (inside.landing.length === 0) return await contained(chain, work, start);
  const isAgain = start !== chain.tip || landsAgain(chain, work);
  let merged: Merged = { tip: chain.tip, brought: [], changes: [], warnings: isAgain ? [again] : [] };
  for (const head of inside.landing) {
    const onto = merged.brought.length === 0 ? start : merged.tip;
    const planting: Planting = { chain, work, head, heads: inside.landing, from: merged.tip, onto };
    let planted: Planted | Trouble;
    if (strategy.merges) {
      const tree = await mergedTree(planting);
      if (isTrouble(tree)) return tree;
      if (tree === onto.tree && inside.unsure) {
        const sure = await containment(app, place, merged.tip.seen, work, true);
        if (isTrouble(sure)) return sure;
        if (sure.landing.length === 0) return await contained(chain, work, start);
      }
      planted = await strategy.plant(planting, tree);
    } else planted = await strategy.plant(planting);
    if (isTrouble(planted)) return planted;
    merged = withHead(merged, head, planted);
  }
  return merged;
}

/** Whether work of this project had landed squashed or rebased and was reverted: it then lands like anything new. */
function landsAgain({ absorption: { undone } }: Chain, work: Work): boolean {
  return undone.some(
    ({ head, after }) => work.heads.some(({ oid }) => oid === head) || work.earlier.some((one) => one.after === after),
  );
}

function withHead(merged: Merged, head: Head, planted: Planted): Merged {
  const kept = visible(listPaths(planted.kept));
  return {
    tip: planted.tip,
    brought: [...merged.brought, { before: merged.tip.commit, after: planted.tip.commit }],
    changes: [...merged.changes, ...planted.changes],
    warnings:
      planted.kept.length === 0
        ? merged.warnings
        : [...merged.warnings, `the target's ${kept} was kept (${visible(head.role)} had its own)`],
  };
}

/**
 * The tip, with what earlier landings of this project brought and somebody has reverted since done again. A head that goes on from there
 * carries only its newer commits into a merge: git takes the older ones for landed, and they would stay out in silence. Where there is
 * nothing to restore, the chain's own tip.
 */
export async function restored(chain: Links, work: Pick<Work, "earlier">): Promise<Tip | Trouble> {
  const { app, place, merger, stamp, absorption } = chain;
  let tree = chain.tip.tree;
  for (const landing of work.earlier) {
    if (absorption.undone.some(({ after }) => after === landing.after)) continue; // not taken for landed: it merges like anything new
    const inside = await isAncestor(app.git, place.scratch.gitDir, landing.after, chain.tip.commit);
    if (inside !== true) continue; // gone with a reset: its commits merge like any others
    const undone = await isReverted(app, place, merger, chain.tip, landing);
    if (isTrouble(undone)) return undone;
    if (!undone) continue;
    const result = await broughtBack(app, place, merger, { tree }, landing);
    if (result?.kind === "clean") tree = result.tree;
    else if (result?.kind === "conflict") {
      const where = visible(listPaths(result.paths));
      const detail = `what it landed before was reverted; bringing it back conflicts in ${where}.`;
      return failed("conflict", detail, { conflicts: result.paths.map(showPath) });
    }
  }
  if (tree === chain.tip.tree) return chain.tip;
  const message = "What was reverted, done again: only to merge onto\n";
  const commit = writeCommit(place.scratch.objects, place.snapshot.sha256, {
    tree,
    parents: [chain.tip.seen],
    stamp,
    message,
  });
  return { commit, tree, seen: commit };
}

/** Every head is in the tip: landed earlier, or by an earlier project of this very chain, or landed and then reverted. */
async function contained(
  chain: Chain,
  work: Work,
  start: Tip,
): Promise<Merged | { readonly already: Already } | Trouble> {
  const { app, place, merger, tip, links, absorption } = chain;
  const nothing: Merged = { tip, brought: [], changes: [], warnings: [] };
  const [first] = links;
  if (first !== undefined) {
    const before = await containment(app, place, first.base.seen, work, true);
    if (isTrouble(before)) return before;
    for (const { step, tip: after } of before.landing.length === 0 ? [] : links) {
      const left = await containment(app, place, after.seen, work, true);
      if (isTrouble(left)) return left;
      if (left.landing.length === 0) return { ...nothing, ridesOn: step };
    }
  }
  const history = await past(app, place, merger, tip, work, absorption.standing);
  if (isTrouble(history)) return history;
  let merged = nothing;
  const plantOn = async (head: Head, tree: string) => {
    if (tree === merged.tip.tree) return null; // somebody has brought it back already
    const planting = { chain, work, head, heads: [head], from: merged.tip, onto: merged.tip };
    const planted = await plantAgain(planting, tree);
    if (isTrouble(planted)) return planted;
    merged = withHead(merged, head, planted);
    return null;
  };
  for (const { head, brought } of history.reverted) {
    const result = await broughtBack(app, place, merger, merged.tip, brought);
    if (result?.kind === "conflict") {
      const where = visible(listPaths(result.paths));
      const detail = `${visible(head.role)}'s work landed and was reverted; bringing it back conflicts in ${where}.`;
      return failed("conflict", detail, { conflicts: result.paths.map(showPath) });
    }
    if (result?.kind !== "clean") return held("repository_busy", "git could not read a landing.", { transient: true });
    const trouble = await plantOn(head, result.tree);
    if (trouble !== null) return trouble;
  }
  const last = work.heads.at(-1);
  // What no merge commit tells of (a fast-forward, a landing that a later one of this project goes on from), the queue remembers.
  if (history.reverted.length === 0 && last !== undefined) {
    const trouble = await plantOn(last, start.tree);
    if (trouble !== null) return trouble;
  }
  if (merged.brought.length === 0) {
    return { already: { mergeCommit: history.mergeCommit, warnings: [...work.warnings, ...history.warnings] } };
  }
  return { ...merged, warnings: [...merged.warnings, again] };
}
