import { visible } from "../core/describe.ts";
import { held, isTrouble, type Trouble } from "../core/reasons.ts";
import type { Gate, RuleSettings, Strategy } from "../core/rules.ts";
import type { GateRecord } from "../core/verdicts.ts";
import { pathsInTheWay } from "../git/checkout.ts";
import { listPaths } from "../git/dirty.ts";
import { type Change, openDiffer } from "../git/trees.ts";
import { chain } from "./chain.ts";
import type { Brought } from "./contained.ts";
import type { App, Workplace } from "./context.ts";
import type { Head } from "./head.ts";
import type { Receiver } from "./receiver.ts";
import { unreadable } from "./trouble.ts";
import { untrusted } from "./untrusted.ts";

/** A project whose heads are known and may land. */
export type Work = {
  readonly projectId: number;
  readonly name: string;
  readonly attemptId: string;
  readonly heads: readonly Head[];
  readonly warnings: readonly string[];
  /** What this project's landings brought before, oldest first. */
  readonly earlier: readonly Brought[];
  readonly strategy: Strategy;
  /** What its merged result must pass, in this order. */
  readonly gates: readonly Gate[];
  /** When it may land: asked again once the plan is made, for gates take their time. */
  readonly when: Pick<RuleSettings, "window" | "freeze">;
  /** Projects of the same run that must land before it, by number. */
  readonly after: readonly number[];
};

/** One project's part of a landing. */
export type Step = {
  readonly work: Work;
  /** The target as it is just before this project. */
  readonly base: string;
  /** The last commit of it. */
  readonly mergeCommit: string;
  readonly tree: string;
  /** What each head brought; none when it lands together with an earlier step (same work). */
  readonly brought: readonly Brought[];
  readonly backupRef: string | null;
  readonly tag: { readonly name: string; readonly oid: string; readonly body: string } | null;
  /** What it changes, from `base` on. */
  readonly changes: readonly Change[];
  readonly warnings: readonly string[];
  /** What gates said of it. */
  readonly gates: readonly GateRecord[];
};

/** Work that the target has already: the commit that brought it, where known. */
export type Already = { readonly mergeCommit: string | null; readonly warnings: readonly string[] };

/** What to do to one target: pure data, the same for `run` and `--dry-run`. */
export type Plan = {
  readonly receiver: Receiver;
  readonly steps: readonly Step[];
  /** The merge that takes in the remote, when that went its own way. */
  readonly sync: string | null;
  /** The tree that the first step starts from: the target's, with what the remote had more. */
  readonly startTree: string;
  readonly tip: string;
  readonly tipTree: string;
  readonly out: ReadonlyMap<number, Trouble>;
  readonly already: ReadonlyMap<number, Already>;
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
    for (const work of works)
      if (!out.has(work.projectId) && waitsForAny(work, out)) out.set(work.projectId, leftBehind(work, out));
    const rest = works.filter((work) => !out.has(work.projectId));
    const plan = await chain(app, place, receiver, rest);
    if (isTrouble(plan)) return plan;
    const blocked = await blockedSteps(app, place, plan);
    if (isTrouble(blocked)) return blocked;
    const suspect = await untrusted(app, place, plan);
    if (isTrouble(suspect)) return suspect;
    for (const [id, trouble] of [...blocked, ...suspect]) out.set(id, trouble);
    if (blocked.size + suspect.size === 0) return { ...plan, out: new Map([...plan.out, ...out]) };
  }
}

/** Whether one of those that must land before it is out. */
export function waitsForAny(work: Work, out: ReadonlyMap<number, unknown>): boolean {
  return work.after.some((id) => out.has(id));
}

/** What becomes of one when another that it waits for is out. */
export function leftBehind(work: Work, out: ReadonlyMap<number, Trouble>): Trouble {
  const said = work.after.flatMap((id) => {
    const trouble = out.get(id);
    return trouble === undefined
      ? []
      : [`project ${id} (${trouble.outcome === "held" ? "held" : "failed"}: ${trouble.reason})`];
  });
  return held("blocked_by_dependency", `waits for ${said.join(", ")}.`);
}

/** The steps that the user's checkout stands in the way of, each with its paths. */
export async function blockedSteps(app: App, place: Workplace, plan: Plan): Promise<Map<number, Trouble> | Trouble> {
  const { receiver, steps } = plan;
  const blocked = new Map<number, Trouble>();
  if (receiver.checkout === null || plan.tip === receiver.old) return blocked;
  const taken = await remoteChanges(app, place, plan);
  if (isTrouble(taken)) return taken;
  // What lies on disk is the old tip's version and becomes the new tip's: of a path that several steps change, the old side of the
  // first change and the new side of the last. (With the first alone, a file that one step edits and the next makes a directory of
  // looked like a stranger's in the way.)
  const whole = new Map<string, Change>();
  for (const { path, ...change } of [...taken, ...steps.flatMap((step) => step.changes)]) {
    const { oldMode, oldOid } = whole.get(path) ?? change;
    whole.set(path, { ...change, path, oldMode, oldOid });
  }
  const changes = [...whole.values()];
  const paths = await pathsInTheWay(app.git, place.scratch, receiver.checkout, place.snapshot.sha256, changes);
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
  const differ = openDiffer(app.git, place.scratch);
  const changes = await differ.diff(plan.receiver.oldTree, plan.startTree);
  await differ.close();
  return changes ?? held("repository_busy", "git could not compare two trees.", { transient: true });
}
