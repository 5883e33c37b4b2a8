import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { visible } from "../core/describe.ts";
import { backupRef, syncMessage, tagMessage, tagName } from "../core/messages.ts";
import { held, isTrouble, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { listPaths } from "../git/dirty.ts";
import { type Merger, openMerger } from "../git/merge.ts";
import { type Stamp, tagBody, writeCommit, writeTag } from "../git/objects.ts";
import { type Change, copyAttributes, type Differ, openDiffer } from "../git/trees.ts";
import { retoldIn } from "../queue/landings.ts";
import { type Absorption, absorbed, seenWith } from "./absorbed.ts";
import type { App, Workplace } from "./context.ts";
import { type Merged, mergeProject } from "./mergeProject.ts";
import { type Already, leftBehind, type Plan, type Step, type Work, waitsForAny } from "./plan.ts";
import type { Receiver } from "./receiver.ts";
import { unreadable } from "./trouble.ts";

/** A commit and its tree: where a chain has got to. */
export type Tip = {
  readonly commit: string;
  readonly tree: string;
  /** What git is asked about in its place, and what is merged onto: it has the heads that landed squashed or rebased too (absorbed.ts). */
  readonly seen: string;
};

/** A project that was brought in, between two tips. */
type Link = { readonly step: Step; readonly base: Tip; readonly tip: Tip };

/** What the links of a chain share. */
export type Chain = {
  readonly app: App;
  readonly place: Workplace;
  readonly receiver: Receiver;
  readonly stamp: Stamp;
  readonly differ: Differ;
  readonly merger: Merger;
  readonly tip: Tip;
  readonly links: readonly Link[];
  /** What of the heads was in the target already when the chain began. */
  readonly absorption: Absorption;
};

/** Merges the works one after the other onto the receiver, in the scratch. What cannot be merged is left out. */
export async function chain(
  app: App,
  place: Workplace,
  receiver: Receiver,
  works: readonly Work[],
): Promise<Plan | Trouble> {
  const at = app.now();
  const stamp = stampOf(place, at);
  const differ = openDiffer(app.git, place.scratch);
  const expected = works.reduce((sum, work) => sum + work.heads.length, 0);
  const checkout = receiver.base === receiver.old ? (receiver.checkout?.path ?? null) : null;
  const mergers = attributedMergers(app, place, checkout, expected);
  const links: Link[] = [];
  const out = new Map<number, Trouble>();
  const already = new Map<number, Already>();
  let tip: Tip = { commit: receiver.base, tree: receiver.baseTree, seen: receiver.base };
  let sync: string | null = null;
  try {
    if (receiver.takeIn !== null) {
      const taken = await takeIn(app, place, receiver, await mergers.at(tip), stamp, receiver.takeIn);
      if (isTrouble(taken)) return taken;
      sync = taken.commit;
      await mergers.moved((await differ.diff(tip.tree, taken.tree)) ?? []);
      tip = taken;
    }
    const startTree = tip.tree;
    const absorption = await absorbedIn(app, place, tip, works, mergers.at);
    if (isTrouble(absorption)) return absorption;
    const heads = absorption.standing.map(({ head }) => head);
    tip = { ...tip, seen: seenWith(place, tip, heads) };
    for (const [index, work] of works.entries()) {
      if (waitsForAny(work, out)) {
        out.set(work.projectId, leftBehind(work, out));
        continue;
      }
      app.progress(`merging ${work.name}${works.length > 1 ? ` (${index + 1} of ${works.length})` : ""}`);
      const merger = await mergers.at(tip);
      if (isTrouble(merger)) return merger;
      const done = await mergeProject({ app, place, receiver, stamp, differ, merger, tip, links, absorption }, work);
      if (isTrouble(done)) out.set(work.projectId, done);
      else if ("already" in done) already.set(work.projectId, done.already);
      else {
        links.push({ step: stepOf(app, place, stamp, at, tip, work, done), base: tip, tip: done.tip });
        await mergers.moved(done.changes);
        tip = done.tip;
      }
    }
    const steps = links.map(({ step }) => step);
    return { receiver, steps, sync, startTree, tip: tip.commit, tipTree: tip.tree, out, already };
  } finally {
    await mergers.close();
    await differ.close();
  }
}

/**
 * What of the works' heads the target has absorbed. Nobody is asked where nobody squashes or rebases: reading the target's history
 * costs two processes.
 */
async function absorbedIn(
  app: App,
  place: Workplace,
  tip: Tip,
  works: readonly Work[],
  mergerAt: (tip: Tip) => Promise<Merger | Trouble>,
): Promise<Absorption | Trouble> {
  const heads = works.flatMap((work) => work.heads.map(({ oid }) => oid));
  const known = heads.length === 0 ? [] : await retoldIn(app.queue, place.snapshot.repository.commonDir);
  if (known.length === 0 && works.every(({ strategy }) => strategy === "merge" || strategy === "ff")) {
    return { standing: [], undone: [] };
  }
  const merger = await mergerAt(tip);
  return isTrouble(merger) ? merger : await absorbed(app, place, merger, tip, heads, known);
}

/**
 * A merger that always goes by the tip's attributes: only the target's are right. A `checkout` of the first tip has them; else they are
 * copied from the tree, and again whenever a step has changed them.
 */
export function attributedMergers(
  app: Pick<App, "git">,
  place: Pick<Workplace, "scratch">,
  checkout: string | null,
  expected: number,
) {
  let merger: Merger | null = null;
  let directory = checkout;
  const close = async () => {
    await merger?.close();
    merger = null;
  };
  return {
    async at(tip: Pick<Tip, "tree">): Promise<Merger | Trouble> {
      if (merger !== null) return merger;
      if (directory === null) {
        directory = mkdtempSync(join(place.scratch.cwd, "attributes-"));
        const failure = await copyAttributes(app.git, place.scratch, tip.tree, directory);
        if (failure !== null) return unreadable("the target's attributes", failure);
      }
      merger = openMerger(app.git, place.scratch, directory, expected);
      return merger;
    },
    async moved(changes: readonly Change[]) {
      if (!changes.some(({ path }) => path === ".gitattributes" || path.endsWith("/.gitattributes"))) return;
      await close();
      directory = null;
    },
    close,
  };
}

function stepOf(app: App, place: Workplace, stamp: Stamp, at: number, base: Tip, work: Work, done: Merged): Step {
  const common = {
    work,
    base: base.commit,
    tree: done.tip.tree,
    brought: done.brought,
    changes: done.changes,
    warnings: [...work.warnings, ...done.warnings],
    gates: [],
  };
  if (done.ridesOn !== undefined) {
    const { mergeCommit, backupRef: backup, tag } = done.ridesOn;
    return { ...common, mergeCommit, backupRef: backup, tag };
  }
  const time = freeTime(place, work.projectId, at);
  return {
    ...common,
    mergeCommit: done.tip.commit,
    backupRef: backupRef(time, work.projectId),
    tag: app.config.tag.mode === "off" ? null : makeTag(place, work, done.tip.commit, stamp, time),
  };
}

/** Merges a remote that went its own way into the target. */
async function takeIn(
  app: App,
  place: Workplace,
  receiver: Receiver,
  merger: Merger | Trouble,
  stamp: Stamp,
  remoteTip: string,
): Promise<Tip | Trouble> {
  if (isTrouble(merger)) return merger;
  const branch = shortName(receiver.target);
  const remote = receiver.remote?.name ?? "";
  const result = await merger.merge(receiver.base, remoteTip);
  if (result.kind === "failed") return unreadable("the remote's commits", result.result);
  if (result.kind !== "clean") {
    const where = result.kind === "conflict" ? ` in ${visible(listPaths(result.paths))}` : "";
    return held(
      "target_diverged",
      `${visible(branch)} and ${visible(remote)}/${visible(branch)} conflict${where}: merge them by hand.`,
    );
  }
  const commit = writeCommit(place.scratch.objects, place.snapshot.sha256, {
    tree: result.tree,
    parents: [receiver.base, remoteTip],
    stamp,
    message: syncMessage(remote, branch),
  });
  app.log.debug(`took in ${remote}/${branch}`);
  return { commit, tree: result.tree, seen: commit };
}

function makeTag(place: Workplace, work: Work, commit: string, stamp: Stamp, time: number): NonNullable<Step["tag"]> {
  const name = tagName(time, work.projectId);
  const roles = work.heads.map((head) => head.role);
  const message = tagMessage({ name: work.name, projectId: work.projectId, attemptId: work.attemptId, roles });
  const body = tagBody({ name, commit, stamp, message });
  return { name, oid: writeTag(place.scratch.objects, place.snapshot.sha256, body), body };
}

/** The time that a project's refs are named after: now, or the next second when it has landed in this one already. */
function freeTime(place: Workplace, projectId: number, at: number): number {
  let time = at;
  const taken = (ref: string) => place.snapshot.refs.has(ref);
  while (taken(backupRef(time, projectId)) || taken(`refs/tags/${tagName(time, projectId)}`)) time += 1000;
  return time;
}

function stampOf(place: Workplace, at: number): Stamp {
  const nobody = { name: "orchestrator-merge", email: "orchestrator-merge@localhost" };
  return { ...(place.snapshot.identity ?? nobody), seconds: Math.floor(at / 1000) };
}
