import picomatch from "picomatch";
import { visible } from "../core/describe.ts";
import { mergeMessage } from "../core/messages.ts";
import { failed, held, isTrouble, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { isAncestor } from "../git/ancestry.ts";
import { listPaths } from "../git/dirty.ts";
import { writeCommit } from "../git/objects.ts";
import { showPath } from "../git/paths.ts";
import { type Change, putBack } from "../git/trees.ts";
import type { Chain, Tip } from "./chain.ts";
import { broughtBack, containment, isReverted, past } from "./contained.ts";
import type { App, Workplace } from "./context.ts";
import type { Head } from "./head.ts";
import type { Already, Step, Work } from "./plan.ts";
import { unreadable } from "./trouble.ts";
import { untrustedConflict } from "./untrusted.ts";

/** One project merged onto a tip: a commit a head; none when an earlier project of the chain has brought its work. */
export type Merged = {
  readonly tip: Tip;
  readonly commits: readonly string[];
  readonly changes: readonly Change[];
  readonly warnings: readonly string[];
  /** The earlier step that brings all of it, where nothing is left to merge. */
  readonly ridesOn?: Step;
};

/** As much of a chain as it takes to do something again. */
type Links = Pick<Chain, "merger" | "stamp" | "tip"> & {
  readonly app: Pick<App, "git">;
  readonly place: Pick<Workplace, "scratch" | "snapshot">;
};

/** Merges all heads of one project onto the chain's tip, or none. */
export async function mergeProject(
  chain: Chain,
  work: Work,
): Promise<Merged | { readonly already: Already } | Trouble> {
  const { app, place, merger } = chain;
  const inside = await containment(app, place, chain.tip.commit, work);
  if (isTrouble(inside)) return inside;
  const start = await restored(chain, work);
  if (isTrouble(start)) return start;
  let merged: Merged = {
    tip: chain.tip,
    commits: [],
    changes: [],
    warnings: start === chain.tip ? [] : ["it had been reverted: its changes are brought back"],
  };
  for (const head of inside.landing) {
    const onto = merged.commits.length === 0 ? start : merged.tip;
    const result = await merger.merge(onto.commit, head.oid);
    if (result.kind === "failed") return unreadable(`the merge of ${head.role}`, result.result);
    if (result.kind === "unrelated") {
      const target = visible(shortName(chain.receiver.target));
      return failed("unrelated_histories", `${visible(head.role)}'s work shares no history with ${target}.`);
    }
    if (result.kind === "conflict") {
      const isKept = keptBy(app.config);
      const paths = result.paths.filter((path) => !isKept(path));
      if (paths.length > 0) {
        const suspect = await untrustedConflict(app, place, merged.tip.tree, paths);
        return suspect ?? (await conflict(chain, inside.landing, head, paths));
      }
    } else if (result.tree === onto.tree && inside.unsure) {
      const sure = await containment(app, place, merged.tip.commit, work, true);
      if (isTrouble(sure)) return sure;
      if (sure.landing.length === 0) return await contained(chain, work);
    }
    const next = await addMerge(chain, work, merged, head, result.tree);
    if (isTrouble(next)) return next;
    merged = next;
  }
  return inside.landing.length === 0 ? await contained(chain, work) : merged;
}

/**
 * The tip, with what earlier landings of this project brought and somebody has reverted since done again. A head that goes on from there
 * carries only its newer commits into a merge: git takes the older ones for landed, and they would stay out in silence. Where there is
 * nothing to restore, the chain's own tip.
 */
export async function restored(chain: Links, work: Pick<Work, "earlier">): Promise<Tip | Trouble> {
  const { app, place, merger, stamp } = chain;
  let tree = chain.tip.tree;
  for (const landing of work.earlier) {
    const inside = await isAncestor(app.git, place.scratch.gitDir, landing, chain.tip.commit);
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
    parents: [chain.tip.commit],
    stamp,
    message,
  });
  return { commit, tree };
}

/** Makes the merge commit of one head, with the target's side of the agents' own files. */
async function addMerge(chain: Chain, work: Work, merged: Merged, head: Head, tree: string): Promise<Merged | Trouble> {
  const { place, stamp } = chain;
  const settled = await keepTargets(chain, merged.tip.tree, tree);
  if (isTrouble(settled)) return settled;
  const { projectId, attemptId, name } = work;
  const commit = writeCommit(place.scratch.objects, place.snapshot.sha256, {
    tree: settled.tree,
    parents: [merged.tip.commit, head.oid],
    stamp,
    message: mergeMessage({ role: head.role, name, projectId, attemptId }),
  });
  const kept = visible(listPaths(settled.kept));
  return {
    tip: { commit, tree: settled.tree },
    commits: [...merged.commits, commit],
    changes: [...merged.changes, ...settled.changes],
    warnings:
      settled.kept.length === 0
        ? merged.warnings
        : [...merged.warnings, `the target's ${kept} was kept (${visible(head.role)} had its own)`],
  };
}

/** Every head is in the tip: landed earlier, or by an earlier project of this very chain, or landed and then reverted. */
async function contained(chain: Chain, work: Work): Promise<Merged | { readonly already: Already } | Trouble> {
  const { app, place, merger, tip } = chain;
  const nothing: Merged = { tip, commits: [], changes: [], warnings: [] };
  const [first] = chain.steps;
  if (first !== undefined) {
    const before = await containment(app, place, first.base, work, true);
    if (isTrouble(before)) return before;
    for (const step of before.landing.length === 0 ? [] : chain.steps) {
      const left = await containment(app, place, step.mergeCommit, work, true);
      if (isTrouble(left)) return left;
      if (left.landing.length === 0) return { ...nothing, ridesOn: step };
    }
  }
  const history = await past(app, place, merger, tip, work);
  if (isTrouble(history)) return history;
  let merged = nothing;
  for (const { head, brought } of history.reverted) {
    const result = await broughtBack(app, place, merger, merged.tip, brought);
    if (result?.kind === "conflict") {
      const where = visible(listPaths(result.paths));
      const detail = `${visible(head.role)}'s work landed and was reverted; bringing it back conflicts in ${where}.`;
      return failed("conflict", detail, { conflicts: result.paths.map(showPath) });
    }
    if (result?.kind !== "clean") return held("repository_busy", "git could not read a landing.", { transient: true });
    if (result.tree === merged.tip.tree) continue; // somebody has brought it back already
    const again = await addMerge(chain, work, merged, head, result.tree);
    if (isTrouble(again)) return again;
    merged = again;
  }
  if (merged.commits.length === 0) {
    return { already: { mergeCommit: history.mergeCommit, warnings: [...work.warnings, ...history.warnings] } };
  }
  return { ...merged, warnings: [...merged.warnings, "it had been reverted: its changes are brought back"] };
}

/** A conflict, told with whom: the target, an agent of the same project, or a project that lands in the same run. */
async function conflict(chain: Chain, heads: readonly Head[], head: Head, paths: readonly string[]): Promise<Trouble> {
  const { merger, receiver, steps } = chain;
  const isCleanOn = async (commit: string) => (await merger.merge(commit, head.oid)).kind === "clean";
  const before = heads.slice(0, heads.indexOf(head));
  const rivals = steps.filter((step) => step.changes.some((change) => paths.includes(change.path)));
  let against = shortName(receiver.target);
  if (before.length > 0 && (await isCleanOn(chain.tip.commit))) {
    against = before.map(({ role }) => role).join(" and ");
  } else if (rivals.length > 0 && (await isCleanOn(receiver.base))) {
    const names = rivals.map(({ work }) => `project ${work.projectId} (${work.name})`);
    against = `${names.join(", ")}, which lands first,`;
  }
  const detail = `${visible(head.role)} conflicts with ${visible(against)} in ${visible(listPaths(paths))}.`;
  return failed("conflict", detail, { conflicts: paths.map(showPath) });
}

/** Tells the paths (byte strings) that stay as the target has them. */
export function keptBy(config: App["config"]): (path: string) => boolean {
  const isKept = picomatch([...config.merge.keepTarget], { dot: true });
  return (path) => isKept(showPath(path));
}

/** In a merged tree the target's side of the agents' own files wins: absent stays absent. */
async function keepTargets(
  chain: Chain,
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
