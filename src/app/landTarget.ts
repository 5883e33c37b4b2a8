import { visible } from "../core/describe.ts";
import { held, isTrouble, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { catchUp } from "../git/catchUp.ts";
import { type Landed, recordAlready } from "../queue/journal.ts";
import type { PushState } from "../queue/pushes.ts";
import { ambiguousTargets } from "./ambiguous.ts";
import { notNow } from "./choose.ts";
import { type App, inCheckout, type Workplace } from "./context.ts";
import { makeGatedPlan } from "./gated.ts";
import { intentOf, type LandedDetails, landedOf } from "./intent.ts";
import { land, uninterrupted } from "./land.ts";
import { leftBehind, type Plan, type Work, waitsForAny } from "./plan.ts";
import type { TagRef } from "./push.ts";
import type { Owed } from "./pushOwed.ts";
import { type Receiver, readReceiver } from "./receiver.ts";
import { refused, unreadable } from "./trouble.ts";
import type { Visit } from "./visit.ts";

/** What came of all the works for one target of one repository. */
export type TargetOutcome = {
  /** Full name; null when no target could be found. */
  readonly target: string | null;
  /** Where the target stands now; null when it did not move. */
  readonly tip: string | null;
  readonly landed: readonly Landed[];
  readonly missed: ReadonlyArray<{ readonly work: Work; readonly trouble: Trouble }>;
  /** The push of what landed, in one word, as far as it can be foreseen; null when nothing could be looked at. */
  readonly pushState: PushState | null;
  /** What there is to push, for pushLanded; null when nothing is. */
  readonly owed: Owed | null;
  readonly warnings: readonly string[];
};

/** Plans and lands everything that goes to one target. In a dry run it plans, and `landed` is what would land. */
export async function landTarget(
  app: App,
  visit: Visit,
  goal: { readonly target: string; readonly push: "auto" | "off" },
  works: readonly Work[],
  details: LandedDetails,
): Promise<TargetOutcome> {
  const receiver = await readReceiver(app, visit.place, goal.target, goal.push);
  if (isTrouble(receiver)) return outcomeOf(works, receiver);
  const ambiguous = await ambiguousTargets(app, visit.place, receiver, works);
  if (isTrouble(ambiguous)) return { ...outcomeOf(works, ambiguous), target: receiver.target };
  const progress: Progress = { landed: [], missed: [], tags: [], receiver };
  for (const [work, trouble] of ambiguous) progress.missed.push({ work, trouble });
  await landBatch(
    app,
    visit,
    works.filter((work) => !ambiguous.has(work)),
    details,
    progress,
  );
  const moved = progress.receiver.old !== receiver.old;
  const { landed, missed, tags } = progress;
  const { state } = receiver.push;
  const pushes = moved && visit.lease !== null && state !== "none" && state !== "off";
  return {
    target: receiver.target,
    tip: moved ? progress.receiver.old : null,
    landed,
    missed,
    pushState: state === "owed" ? "pending" : state,
    owed: pushes ? { receiver: progress.receiver, tags } : null,
    warnings: receiver.warnings,
  };
}

/** Nothing landed, all for the same reason. */
export function outcomeOf(works: readonly Work[], trouble: Trouble): TargetOutcome {
  return {
    target: null,
    tip: null,
    landed: [],
    missed: works.map((work) => ({ work, trouble })),
    pushState: null,
    owed: null,
    warnings: [],
  };
}

/** Where a target stands while its works land, and what came of them so far. */
type Progress = {
  landed: Landed[];
  missed: { work: Work; trouble: Trouble }[];
  tags: TagRef[];
  receiver: Receiver;
};

async function landBatch(
  app: App,
  visit: Visit,
  given: readonly Work[],
  details: LandedDetails,
  progress: Progress,
): Promise<void> {
  const { place, lease } = visit;
  const miss = (some: readonly Work[], trouble: Trouble) =>
    progress.missed.push(...some.map((work) => ({ work, trouble })));
  const out = new Map(progress.missed.map(({ work, trouble }) => [work.projectId, trouble]));
  for (const work of given) {
    if (!waitsForAny(work, out)) continue;
    const trouble = leftBehind(work, out);
    out.set(work.projectId, trouble);
    miss([work], trouble);
  }
  const works = given.filter((work) => !out.has(work.projectId));
  if (works.length === 0) return;
  const missedBefore = progress.missed.length;
  const plan = await makeGatedPlan(app, place, progress.receiver, works);
  // A signal ends git in the middle of its answers: of a plan that is made of such, nothing is begun.
  if (app.git.signal.aborted) {
    miss(works, held("repository_busy", "told to end before it landed.", { transient: true }));
    return;
  }
  if (isTrouble(plan)) {
    miss(works, plan);
    return;
  }
  for (const work of works) {
    const trouble = plan.out.get(work.projectId);
    if (trouble !== undefined) miss([work], trouble);
  }
  const already = works.flatMap((work) => {
    const facts = plan.already.get(work.projectId);
    if (facts === undefined) return [];
    const { target } = progress.receiver;
    return [
      landedOf(place, work, details, {
        outcome: "already_merged",
        target,
        base: null,
        backupRef: null,
        tag: null,
        ...facts,
      }),
    ];
  });
  // What is not ours and not on the remote is for somebody else to publish, agents' work on the target itself included.
  const withheld =
    progress.receiver.push.state === "withheld"
      ? { state: "withheld" as const, detail: progress.receiver.push.detail }
      : null;
  const stale = already.length === 0 ? null : await bringForward(app, place, progress.receiver);
  if (stale !== null) {
    miss(
      works.filter((work) => plan.already.has(work.projectId)),
      stale,
    );
    already.length = 0;
  }
  progress.landed.push(...already);
  const { crowded } = progress.receiver;
  if (crowded !== null) {
    miss(
      plan.steps.map((step) => step.work),
      crowded,
    );
    if (lease !== null) await recordAlready(app.queue, lease, already, withheld, app.now(), app.outbox);
    return;
  }
  if (lease === null) {
    progress.landed.push(...intentOf(app, place, plan, details).landed);
    return;
  }
  // Work that only the remote's branch has is in our target once that is taken in, and not before.
  const brought = already.length > 0 && plan.tip !== progress.receiver.old;
  if (plan.steps.length === 0 && !brought) {
    await recordAlready(app.queue, lease, already, withheld, app.now(), app.outbox);
    return;
  }
  const landing = await land(app, place, lease, plan, details).catch(noRoom);
  if (!("intent" in landing)) progress.landed = progress.landed.filter((one) => !already.includes(one));
  if ("intent" in landing) {
    await recordAlready(app.queue, lease, already, withheld, app.now(), app.outbox);
    progress.landed.push(...landing.intent.landed);
    progress.tags.push(...landing.intent.refs.tags);
    progress.receiver = after(plan);
    return;
  }
  if ("overruled" in landing) {
    progress.missed.length = missedBefore;
    const rest = works.filter(({ projectId }) => !landing.overruled.includes(projectId));
    const alone = rest.filter(({ after }) => after.some((id) => landing.overruled.includes(id)));
    miss(alone, notNow(landing.overruled));
    await landBatch(
      app,
      visit,
      rest.filter((work) => !alone.includes(work)),
      details,
      progress,
    );
    return;
  }
  const left = works.filter((work) => !plan.out.has(work.projectId));
  if (!landing.checkoutRefused || left.length === 1) {
    miss(left, landing.trouble);
    return;
  }
  // git refused the checkout for a reason that was not foreseen. One by one, so that one project does not starve the others.
  for (const work of left) {
    await landBatch(app, visit, [work], details, progress).catch((error) => miss([work], noRoom(error).trouble));
  }
}

/** A disk or directory that refused, which says nothing of what has landed before. Throws everything else. */
function noRoom(error: unknown): { trouble: Trouble; checkoutRefused: false } {
  return { trouble: refused(error), checkoutRefused: false };
}

/** Work that is in the target without our doing may have left the checkout behind its branch: brought forward, or the reason why not. */
async function bringForward(app: App, place: Workplace, receiver: Receiver): Promise<Trouble | null> {
  if (receiver.checkout === null) return null;
  const { path } = receiver.checkout;
  const done = await catchUp(
    inCheckout(uninterrupted(app.git), place), // half of a checkout would look like somebody's own work
    place.scratch,
    receiver.checkout,
    place.snapshot.sha256,
    app.dryRun,
  );
  if (typeof done !== "string") return unreadable(path, done);
  if (done === "brought forward")
    app.log.info(
      `Brought ${visible(path)} forward to ${visible(shortName(receiver.target))}, which had moved under it`,
    );
  return done === "own work"
    ? held(
        "dirty_target",
        `${visible(path)} has fallen behind ${visible(shortName(receiver.target))}, and holds changes of its own: bring it in step (git -C ${visible(path)} status shows both).`,
      )
    : null;
}

/** The receiver once a plan has landed: the next one starts from there. */
function after(plan: Plan): Receiver {
  const { receiver } = plan;
  const tree = plan.tipTree;
  return {
    ...receiver,
    old: plan.tip,
    oldTree: tree,
    base: plan.tip,
    baseTree: tree,
    takeIn: null,
    checkout: receiver.checkout === null ? null : { ...receiver.checkout, head: plan.tip },
  };
}
