import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import picomatch from "picomatch";
import { visible } from "../core/describe.ts";
import { backupRef, mergeMessage, syncMessage, tagMessage, tagName } from "../core/messages.ts";
import { failed, held, isTrouble, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { pathsInTheWay } from "../git/checkout.ts";
import { listPaths } from "../git/dirty.ts";
import { type Merger, openMerger } from "../git/merge.ts";
import { type Stamp, writeCommit, writeTag } from "../git/objects.ts";
import { showPath } from "../git/paths.ts";
import { type Change, copyAttributes, type Differ, openDiffer, putBack } from "../git/trees.ts";
import { containment, past } from "./contained.ts";
import type { App, Workplace } from "./context.ts";
import { type Receiver, treeOf } from "./receiver.ts";
import { type Head, unreadable } from "./sources.ts";
import { untrusted } from "./untrusted.ts";

/** A project whose heads are known and may land. */
export type Work = {
  readonly projectId: number;
  readonly name: string;
  readonly attemptId: string;
  readonly heads: readonly Head[];
  readonly warnings: readonly string[];
};

/** One project's part of a landing. */
export type Step = {
  readonly work: Work;
  /** The target as it is just before this project. */
  readonly base: string;
  readonly mergeCommit: string;
  readonly tree: string;
  /** All merge commits made for it, one a head; none when it lands together with an earlier step (same work). */
  readonly commits: readonly string[];
  readonly backupRef: string | null;
  readonly tag: { readonly name: string; readonly oid: string } | null;
  /** What it changes, from `base` on. */
  readonly changes: readonly Change[];
  readonly warnings: readonly string[];
};

/** What to do to one target: pure data, the same for `run` and `--dry-run`. */
export type Plan = {
  readonly receiver: Receiver;
  readonly steps: readonly Step[];
  /** The merge that takes in the remote, when that went its own way. */
  readonly sync: string | null;
  readonly tip: string;
  readonly tipTree: string;
  readonly out: ReadonlyMap<number, Trouble>;
  /** Projects whose work is in the target already; the commit that brought it, where known. */
  readonly already: ReadonlyMap<number, { readonly mergeCommit: string | null; readonly warnings: readonly string[] }>;
};

/**
 * Chains the works onto the target, in memory: each merges onto the tip that the one before it made. A conflict, or a change that the
 * user's checkout stands in the way of, takes only its own project out. A Trouble when the target itself cannot move.
 */
export async function makePlan(
  app: App,
  place: Workplace,
  receiver: Receiver,
  works: readonly Work[],
): Promise<Plan | Trouble> {
  const out = new Map<number, Trouble>();
  for (;;) {
    const plan = await chain(
      app,
      place,
      receiver,
      works.filter((work) => !out.has(work.projectId)),
    );
    if (isTrouble(plan)) return plan;
    const blocked = await blockedSteps(app, place, plan);
    if (isTrouble(blocked)) return blocked;
    const suspect = await untrusted(app, place, plan);
    if (isTrouble(suspect)) return suspect;
    for (const [id, trouble] of [...blocked, ...suspect]) out.set(id, trouble);
    if (blocked.size + suspect.size === 0) return { ...plan, out: new Map([...plan.out, ...out]) };
  }
}

type Tip = { commit: string; tree: string };

async function chain(app: App, place: Workplace, receiver: Receiver, works: readonly Work[]): Promise<Plan | Trouble> {
  const at = app.now();
  const stamp = stampOf(place, at);
  const differ = openDiffer(app.git, place.scratch);
  let attributes = receiver.checkout?.path ?? null;
  const open: { merger: Merger | null } = { merger: null };
  const steps: Step[] = [];
  const out = new Map<number, Trouble>();
  const already = new Map<number, { mergeCommit: string | null; warnings: readonly string[] }>();
  let tip: Tip = { commit: receiver.base, tree: receiver.baseTree };
  let sync: string | null = null;
  const heads = works.reduce((sum, work) => sum + work.heads.length, 0);
  // Attributes decide how files merge, and only the target's are right. A checkout has them; else they are copied from the tree, and
  // again whenever a step changed them.
  const mergerFor = async (): Promise<Merger | Trouble> => {
    if (open.merger !== null) return open.merger;
    if (attributes === null) {
      attributes = mkdtempSync(join(place.scratch.cwd, "attributes-"));
      const failure = await copyAttributes(app.git, place.scratch, tip.tree, attributes);
      if (failure !== null) return unreadable("the target's attributes", failure);
    }
    open.merger = openMerger(app.git, place.scratch, attributes, heads);
    return open.merger;
  };
  const moveTo = async (next: Tip, changes: readonly Change[]) => {
    tip = next;
    if (changes.some(({ path }) => path === ".gitattributes" || path.endsWith("/.gitattributes"))) {
      await open.merger?.close();
      open.merger = null;
      attributes = null;
    }
  };
  try {
    if (receiver.base !== receiver.old) attributes = null;
    if (receiver.takeIn !== null && receiver.remote !== null) {
      const taken = await takeIn(app, place, receiver, await mergerFor(), stamp, receiver.takeIn, receiver.remote.name);
      if (isTrouble(taken)) return taken;
      sync = taken.commit;
      await moveTo(taken, (await differ.diff(receiver.baseTree, taken.tree)) ?? []);
    }
    for (const work of works) {
      app.progress(`merging ${work.name}`);
      const done = await mergeProject(app, place, await mergerFor(), differ, tip, work, stamp, receiver, steps);
      if (isTrouble(done)) out.set(work.projectId, done);
      else if ("already" in done) already.set(work.projectId, done.already);
      else {
        const own = done.commits.length > 0;
        const before = tip.commit;
        const named = freeTime(place, work.projectId, at);
        const tag = own && app.config.tag.mode !== "off" ? makeTag(place, work, done.tip.commit, stamp, named) : null;
        const twin = own ? null : sameWork(steps, work);
        steps.push({
          work,
          base: before,
          mergeCommit: twin?.mergeCommit ?? done.tip.commit,
          tree: done.tip.tree,
          commits: done.commits,
          backupRef: own ? backupRef(named, work.projectId) : (twin?.backupRef ?? null),
          tag: own ? tag : (twin?.tag ?? null),
          changes: done.changes,
          warnings: [...work.warnings, ...done.warnings],
        });
        await moveTo(done.tip, done.changes);
      }
    }
  } finally {
    await open.merger?.close();
    await differ.close();
  }
  return { receiver, steps, sync, tip: tip.commit, tipTree: tip.tree, out, already };
}

type Merged = { tip: Tip; commits: string[]; changes: Change[]; warnings: string[] };

/** Merges all heads of one project onto the tip, or none. */
async function mergeProject(
  app: App,
  place: Workplace,
  merger: Merger | Trouble,
  differ: Differ,
  start: Tip,
  work: Work,
  stamp: Stamp,
  receiver: Receiver,
  earlier: readonly Step[],
): Promise<Merged | { already: { mergeCommit: string | null; warnings: readonly string[] } } | Trouble> {
  if (isTrouble(merger)) return merger;
  const { objects } = place.scratch;
  const { sha256 } = place.snapshot;
  const inside = await containment(app, place, start.commit, work);
  if (isTrouble(inside)) return inside;
  const merged: Merged = { tip: start, commits: [], changes: [], warnings: [] };
  const add = async (head: Head, tree: string): Promise<Trouble | null> => {
    const settled = await keepTargets(app, place, differ, merged.tip.tree, tree);
    if (isTrouble(settled)) return settled;
    const message = mergeMessage({
      role: head.role,
      name: work.name,
      projectId: work.projectId,
      attemptId: work.attemptId,
    });
    const commit = writeCommit(objects, sha256, {
      tree: settled.tree,
      parents: [merged.tip.commit, head.oid],
      stamp,
      message,
    });
    merged.commits.push(commit);
    merged.changes.push(...settled.changes);
    if (settled.kept.length > 0)
      merged.warnings.push(
        `the target's ${visible(listPaths(settled.kept))} was kept (${visible(head.role)} had its own)`,
      );
    merged.tip = { commit, tree: settled.tree };
    return null;
  };
  for (const head of inside.landing) {
    const result = await merger.merge(merged.tip.commit, head.oid);
    if (result.kind === "failed") return unreadable(`the merge of ${head.role}`, result.result);
    if (result.kind === "unrelated") {
      return failed(
        "unrelated_histories",
        `${visible(head.role)}'s work shares no history with ${shortName(receiver.target)}.`,
      );
    }
    if (result.kind === "conflict") {
      const kept = picomatch([...app.config.merge.keepTarget], { dot: true });
      const paths = result.paths.filter((path) => !kept(showPath(path)));
      if (paths.length > 0) return await conflict(merger, receiver, merged.tip.commit, head, paths, earlier);
    } else if (result.tree === merged.tip.tree && inside.unsure) {
      const sure = await containment(app, place, merged.tip.commit, work, true);
      if (isTrouble(sure)) return sure;
      if (sure.landing.length === 0) return await contained(app, place, merger, merged, work, receiver, earlier, add);
    }
    const trouble = await add(head, result.tree);
    if (trouble !== null) return trouble;
  }
  if (inside.landing.length === 0) return await contained(app, place, merger, merged, work, receiver, earlier, add);
  return merged;
}

/** Every head is in the tip: landed earlier, or by an earlier project of this very chain, or landed and then reverted. */
async function contained(
  app: App,
  place: Workplace,
  merger: Merger,
  merged: Merged,
  work: Work,
  receiver: Receiver,
  earlier: readonly Step[],
  add: (head: Head, tree: string) => Promise<Trouble | null>,
): Promise<Merged | { already: { mergeCommit: string | null; warnings: readonly string[] } } | Trouble> {
  if (earlier.length > 0) {
    const base = await containment(app, place, receiver.base, work, true);
    if (isTrouble(base)) return base;
    if (base.landing.length > 0) return merged; // rides on an earlier step
  }
  const history = await past(app, place, merger, merged.tip, work);
  if (isTrouble(history)) return history;
  if ("again" in history) {
    const trouble = await add(history.again.head, history.again.tree);
    if (trouble !== null) return trouble;
    merged.warnings.push("it had been reverted: its changes are brought back");
    return merged;
  }
  return { already: { mergeCommit: history.mergeCommit, warnings: [...work.warnings, ...history.warnings] } };
}

/** A conflict, told with whom: the target, or a project that lands in the same run. */
async function conflict(
  merger: Merger,
  receiver: Receiver,
  tip: string,
  head: Head,
  paths: readonly string[],
  earlier: readonly Step[],
): Promise<Trouble> {
  let against = shortName(receiver.target);
  if (tip !== receiver.base && earlier.length > 0) {
    const alone = await merger.merge(receiver.base, head.oid);
    if (alone.kind === "clean") {
      const others = earlier.filter((step) => step.changes.some((change) => paths.includes(change.path)));
      if (others.length > 0)
        against = others
          .map((step) => `project ${step.work.projectId} (${step.work.name}), which lands first`)
          .join(", ");
    }
  }
  return failed(
    "conflict",
    `${visible(head.role)} conflicts with ${visible(against)} in ${visible(listPaths(paths))}.`,
    {
      conflicts: paths.map(showPath),
    },
  );
}

/** In a merged tree the target's side of the agents' own files wins: absent stays absent. */
async function keepTargets(
  app: App,
  place: Workplace,
  differ: Differ,
  before: string,
  tree: string,
): Promise<{ tree: string; changes: Change[]; kept: string[] } | Trouble> {
  const changes = await differ.diff(before, tree);
  if (changes === null) return held("repository_busy", "git could not compare two trees.", { transient: true });
  const isKept = picomatch([...app.config.merge.keepTarget], { dot: true });
  const kept = changes.filter((change) => isKept(showPath(change.path)));
  if (kept.length === 0) return { tree, changes, kept: [] };
  const settled = await putBack(app.git, place.scratch, tree, kept);
  if (typeof settled !== "string") return unreadable("a merged tree", settled);
  return {
    tree: settled,
    changes: changes.filter((change) => !kept.includes(change)),
    kept: kept.map(({ path }) => path),
  };
}

async function takeIn(
  app: App,
  place: Workplace,
  receiver: Receiver,
  merger: Merger | Trouble,
  stamp: Stamp,
  remoteTip: string,
  remoteName: string,
): Promise<Tip | Trouble> {
  if (isTrouble(merger)) return merger;
  const branch = shortName(receiver.target);
  const result = await merger.merge(receiver.base, remoteTip);
  if (result.kind === "failed") return unreadable("the remote's commits", result.result);
  if (result.kind !== "clean") {
    const where = result.kind === "conflict" ? ` in ${visible(listPaths(result.paths))}` : "";
    return held(
      "target_diverged",
      `${visible(branch)} and ${visible(remoteName)}/${visible(branch)} conflict${where}: merge them by hand.`,
    );
  }
  const commit = writeCommit(place.scratch.objects, place.snapshot.sha256, {
    tree: result.tree,
    parents: [receiver.base, remoteTip],
    stamp,
    message: syncMessage(remoteName, branch),
  });
  app.log.debug(`took in ${remoteName}/${branch}`);
  return { commit, tree: result.tree };
}

/** The steps that the user's checkout stands in the way of, each with its paths. */
async function blockedSteps(app: App, place: Workplace, plan: Plan): Promise<Map<number, Trouble> | Trouble> {
  const { receiver, steps } = plan;
  const blocked = new Map<number, Trouble>();
  if (receiver.checkout === null || plan.tip === receiver.old) return blocked;
  // What lies on disk is the old tip's version, so for a path that several steps change the first change tells its old side.
  const first = new Map<string, Change>();
  const taken = await remoteChanges(app, place, plan);
  if (isTrouble(taken)) return taken;
  for (const change of [...taken, ...steps.flatMap((step) => step.changes)])
    if (!first.has(change.path)) first.set(change.path, change);
  const paths = await pathsInTheWay(app.git, place.scratch, receiver.checkout, place.snapshot.sha256, [
    ...first.values(),
  ]);
  if (!Array.isArray(paths)) return unreadable(receiver.checkout.path, paths);
  const set = new Set(paths);
  const fromRemote = taken.filter((change) => set.has(change.path)).map((change) => change.path);
  if (fromRemote.length > 0) return inTheWay(receiver.checkout.path, fromRemote);
  for (const step of steps) {
    const own = [...new Set(step.changes.map((change) => change.path).filter((path) => set.has(path)))];
    if (own.length > 0) blocked.set(step.work.projectId, inTheWay(receiver.checkout.path, own));
  }
  return blocked;
}

export function inTheWay(checkout: string, paths: readonly string[]): Trouble {
  const where = paths.length === 0 ? "" : `: ${visible(listPaths(paths))}`;
  return held(
    "dirty_target",
    `local files in ${visible(checkout)} are in the way${where}. Commit, stash or move them.`,
  );
}

/** What taking in the remote changes in the checkout. */
async function remoteChanges(app: App, place: Workplace, plan: Plan): Promise<Change[] | Trouble> {
  const { receiver } = plan;
  const first = plan.steps[0];
  const start = first?.base ?? plan.tip;
  if (start === receiver.old) return [];
  const differ = openDiffer(app.git, place.scratch);
  try {
    const tree = start === receiver.base ? receiver.baseTree : await syncTree(app, place, start);
    const changes = tree === null ? null : await differ.diff(receiver.oldTree, tree);
    return changes ?? held("repository_busy", "git could not compare two trees.", { transient: true });
  } finally {
    await differ.close();
  }
}

async function syncTree(app: App, place: Workplace, commit: string): Promise<string | null> {
  const tree = await treeOf(app, place, commit);
  return typeof tree === "string" ? tree : null;
}

/** An earlier step with the very same heads: several rows for one piece of work land once and all record that landing. */
function sameWork(steps: readonly Step[], work: Work): Step | null {
  const key = (of: Work) =>
    of.heads
      .map((head) => head.oid)
      .sort()
      .join();
  return steps.find((step) => key(step.work) === key(work)) ?? steps.at(-1) ?? null;
}

function makeTag(
  place: Workplace,
  work: Work,
  commit: string,
  stamp: Stamp,
  at: number,
): { name: string; oid: string } {
  const name = tagName(at, work.projectId);
  const roles = work.heads.map((head) => head.role);
  const message = tagMessage({ name: work.name, projectId: work.projectId, attemptId: work.attemptId, roles });
  return { name, oid: writeTag(place.scratch.objects, place.snapshot.sha256, { name, commit, stamp, message }) };
}

/** The time that a project's refs are named after: now, or the next second when it has landed in this one already. */
function freeTime(place: Workplace, projectId: number, at: number): number {
  let time = at;
  while (place.snapshot.refs.has(backupRef(time, projectId))) time += 1000;
  return time;
}

function stampOf(place: Workplace, at: number): Stamp {
  const { name, email } = place.snapshot.identity ?? {
    name: "orchestrator-merge",
    email: "orchestrator-merge@localhost",
  };
  return { name, email, seconds: Math.floor(at / 1000) };
}
