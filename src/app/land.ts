import { join } from "node:path";
import { visible } from "../core/describe.ts";
import { held, isTrouble, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { isAncestor } from "../git/ancestry.ts";
import { fastForward, pathsRefused } from "../git/checkout.ts";
import type { LookedAt } from "../git/dirty.ts";
import { locksOfCheckout, locksOfRefs, removeStaleLocks } from "../git/locks.ts";
import { type GitContext, type GitResult, git as runGit } from "../git/process.ts";
import { publish } from "../git/publish.ts";
import type { RefChange, RefSession } from "../git/refs.ts";
import { lastWords } from "../git/remote.ts";
import { pendingPrefix } from "../git/snapshot.ts";
import { listWorktrees } from "../git/worktrees.ts";
import { abandon, type Intent, intend, record } from "../queue/journal.ts";
import type { Lease } from "../queue/leases.ts";
import { placesOf } from "./clearLocks.ts";
import { type App, inCheckout, type Workplace } from "./context.ts";
import { intentOf, type LandedDetails } from "./intent.ts";
import { inTheWay, type Plan } from "./plan.ts";
import { giveBack, putBackWhatIsOurs, settleCheckout } from "./putBack.ts";
import { refused, unreadable } from "./trouble.ts";

/**
 * A landing that git shows; or the reason why the target did not move, and then nothing of it is left behind; or the projects whose rows
 * somebody has changed meanwhile, and then it has not begun.
 */
export type Landing =
  | { readonly intent: Intent }
  | { readonly trouble: Trouble; readonly checkoutRefused: boolean }
  | { readonly overruled: readonly number[] };

/**
 * Moves the target to the plan's tip. The order is what survives a kill at any instant (docs/states.md):
 * intent row, objects, T1 {target still there; backups; pending}, checkout forward, T2 {tags; proofs; pending gone}, record.
 * The checkout moves before the ref: with the ref first, a crash between left files behind HEAD, and the user's next `commit -am`
 * deleted the merged work without a word.
 */
export async function land(
  app: App,
  place: Workplace,
  lease: Lease,
  plan: Plan,
  details: LandedDetails,
): Promise<Landing> {
  const gitDir = place.snapshot.repository.commonDir;
  const { receiver } = plan;
  const intent = intentOf(app, place, plan, details);
  const [only, ...others] = plan.steps;
  app.progress(
    `landing ${others.length === 0 ? (only?.work.name ?? "") : `${plan.steps.length} projects`} in ${shortName(receiver.target)}`,
  );
  const overruled = await intend(app.queue, lease, intent, app.now());
  if (overruled.length > 0) return { overruled };
  const { refs } = place;
  // From here to the record nothing may be cut short half-way: each step has its own limit, a signal is obeyed after the last.
  const deaf = { ...app, git: uninterrupted(app.git) };
  const git = inCheckout(deaf.git, place);
  const giveUp = async (trouble: Trouble, checkoutRefused = false): Promise<Landing> => {
    await abandon(app.queue, lease, intent.landingId, app.now());
    return { trouble, checkoutRefused };
  };
  const conclude = async (): Promise<Landing> => {
    const second = await finishRefs(git, refs, gitDir, intent);
    if (second !== null) {
      const { checkout } = receiver;
      const head = checkout === null ? null : await giveBack(deaf, place, intent);
      if (checkout !== null && head !== null) await putBackWhatIsOurs(deaf, place, intent, { ...checkout, head });
      return leaveOpen(second);
    }
    await record(app.queue, lease, intent, app.now(), app.outbox);
    return { intent };
  };
  // The intent stays open: the next tick reads git and goes on from there, or puts things back.
  const leaveOpen = (trouble: Trouble): Landing => ({ trouble, checkoutRefused: false });
  const unpublished = await publish(git, place.scratch, join(gitDir, "objects"), {
    tips: [plan.tip, ...intent.refs.tags.map(({ oid }) => oid)],
    have: [
      receiver.old,
      ...plan.steps.flatMap(({ work }) => work.heads.filter((head) => !head.separate).map((head) => head.oid)),
    ],
    borrowed: place.borrowed,
  }).catch(refused);
  if (isTrouble(unpublished)) return await giveUp(unpublished);
  if (unpublished !== null) return await giveUp(unreadable("its own objects", unpublished));
  const first = await refs.transact(beforeCheckout(plan, intent));
  if (first !== null) {
    // A transaction is all or none unless git is killed, or its disk refuses, while it commits.
    const made = first.code === null ? null : await refsOf(git, gitDir, intent);
    const none = made !== null && undo(intent, made).length === 0;
    return none ? await giveUp(refsMoved(first)) : leaveOpen(refsMoved(first));
  }
  if (checkedOutAt(place, intent.target) !== intent.checkout) {
    const moved = `${visible(shortName(intent.target))} was checked out, or left, while the landing was prepared.`;
    const trouble = held("repository_busy", moved, { transient: true });
    return (await refs.transact(undo(intent))) === null ? await giveUp(trouble) : leaveOpen(trouble);
  }
  if (receiver.checkout !== null) {
    app.progress(`bringing ${receiver.checkout.path} forward to what has landed`);
    const refusal = await fastForward(git, receiver.checkout, plan.tip);
    if (refusal !== null && !(await arrived(git, gitDir, receiver.target, plan.tip))) {
      // Ended at its limit or killed: files may be half-way, and only recovery knows how to put them back.
      if (refusal.code === null) return leaveOpen(unreadable(receiver.checkout.path, refusal));
      // A refusal leaves no trace; a disk that is full, half of the files, or all of them and the branch behind.
      const left = await settleCheckout(deaf, place, intent, receiver.checkout, false);
      if (isTrouble(left)) return leaveOpen(left);
      if (left === "arrived") return await conclude();
      const changes = plan.steps.flatMap((step) => step.changes);
      const paths = await pathsRefused(git, place.scratch, receiver.checkout, changes);
      const trouble =
        paths.length > 0
          ? { ...inTheWay(receiver.checkout.path, paths), output: refusal.transcript }
          : held(
              "repository_busy",
              `${visible(receiver.checkout.path)} cannot be brought forward: ${visible(lastWords(refusal))}`,
              {
                output: refusal.transcript,
                transient: true,
              },
            );
      return (await refs.transact(undo(intent))) === null ? await giveUp(trouble, true) : leaveOpen(trouble);
    }
    if (refusal?.code === null) clearCheckoutLocks(place, intent, receiver.checkout);
  }
  return await conclude();
}

/** What a fast-forward that was killed when its work was done has left behind. */
function clearCheckoutLocks(place: Workplace, intent: Intent, tree: LookedAt): void {
  const { repository } = place.snapshot;
  const locks = [...locksOfRefs(repository.commonDir, [intent.target]), ...locksOfCheckout(tree.gitDir)];
  removeStaleLocks(locks, intent.createdAt, placesOf(place.snapshot));
}

/** The same, deaf to signals: what is half done is worse than a second more. */
export function uninterrupted(context: GitContext): GitContext {
  return { ...context, signal: new AbortController().signal };
}

/**
 * Where a branch is checked out at this moment, by the administrative files of the worktrees. A fast-forward runs on whatever is checked
 * out, and a ref that moves under a checkout leaves its files behind: looked at once more just before.
 */
function checkedOutAt({ snapshot }: Workplace, branch: string): string | null {
  const trees = listWorktrees(snapshot.repository, snapshot.bare);
  return trees.find((tree) => tree.present && tree.branch === branch)?.path ?? null;
}

/** T1: nothing moves yet; the way back and the mark of what is going on are set, if everything is as it was planned. */
function beforeCheckout(plan: Plan, intent: Intent): RefChange[] {
  const heads = new Map(
    plan.steps
      .flatMap((step) => step.work.heads)
      .filter((head) => head.branch !== null && !head.separate && head.branch !== plan.receiver.target)
      .map((head) => [head.branch ?? "", head.oid]),
  );
  return [
    { verb: "verify", ref: intent.target, from: plan.receiver.old },
    // git commits a transaction ref by ref, in this order: killed in it, the mark is there whenever anything is.
    { verb: "create", ref: pendingPrefix + intent.landingId, to: intent.tip },
    ...[...heads].map(([ref, from]): RefChange => ({ verb: "verify", ref, from })),
    ...intent.refs.backups.map(({ ref, oid }): RefChange => ({ verb: "create", ref, to: oid })),
  ];
}

/** T1 taken back: a landing that did not happen leaves no branch behind. `there` are its refs that exist: all, unless it was killed. */
export function undo(intent: Intent, there: ReadonlyMap<string, string> | null = null): RefChange[] {
  const made = [...intent.refs.backups, { ref: pendingPrefix + intent.landingId, oid: intent.tip }];
  return made
    .filter(({ ref, oid }) => there === null || there.get(ref) === oid)
    .map(({ ref, oid }): RefChange => ({ verb: "delete", ref, from: oid }));
}

/**
 * T2: the target (when no checkout moved it), the tags, the proofs; the pending mark goes, last of all. Only when the target then stands
 * at the tip, or past it because somebody has committed since. `there` are the refs of the landing that exist: those of T1, unless it was
 * killed in either transaction. Null when done.
 */
export async function finishRefs(
  context: GitContext,
  refs: RefSession,
  gitDir: string,
  intent: Intent,
  there: ReadonlyMap<string, string> = afterT1(intent),
): Promise<Trouble | null> {
  const { backups, tags, proofs } = intent.refs;
  const pending = pendingPrefix + intent.landingId;
  const rest: RefChange[] = [
    ...[...backups, ...tags, ...proofs]
      .filter(({ ref, oid }) => there.get(ref) !== oid)
      .map(({ ref, oid }): RefChange => ({ verb: "create", ref, to: oid })),
    ...(there.has(pending) ? [{ verb: "delete", ref: pending, from: intent.tip } as const] : []),
  ];
  if (rest.length === 0) return null;
  const target: RefChange =
    intent.checkout === null && there.get(intent.target) !== intent.tip
      ? { verb: "update", ref: intent.target, to: intent.tip, from: intent.base }
      : { verb: "verify", ref: intent.target, from: intent.tip };
  const failure = await refs.transact([target, ...rest]);
  if (failure === null) return null;
  if (!(await arrived(context, gitDir, intent.target, intent.tip))) return refsMoved(failure);
  const again = await refs.transact(rest);
  return again === null ? null : refsMoved(again);
}

/** The refs of a landing that there are, and the target: full name -> id. Null when git cannot tell. */
export async function refsOf(context: GitContext, gitDir: string, intent: Intent): Promise<Map<string, string> | null> {
  const { backups, tags, proofs } = intent.refs;
  const names = [
    intent.target,
    pendingPrefix + intent.landingId,
    ...[...backups, ...tags, ...proofs].map(({ ref }) => ref),
  ];
  const result = await runGit(context, {
    gitDir,
    args: ["for-each-ref", "--format=%(objectname) %(refname)", ...names],
  });
  if (result.code !== 0) return null;
  const lines = result.stdout.toString().split("\n");
  return new Map(lines.map((line) => [line.slice(line.indexOf(" ") + 1), line.slice(0, line.indexOf(" "))] as const));
}

/** The refs that T1 has made. */
function afterT1(intent: Intent): Map<string, string> {
  const { backups } = intent.refs;
  return new Map([
    ...backups.map(({ ref, oid }) => [ref, oid] as const),
    [pendingPrefix + intent.landingId, intent.tip],
  ]);
}

/** Whether a ref stands at a commit or past it. */
export async function arrived(context: GitContext, gitDir: string, ref: string, commit: string): Promise<boolean> {
  const now = await runGit(context, { gitDir, args: ["rev-parse", "--verify", "-q", "--end-of-options", ref] });
  if (now.code !== 0) return false;
  return (await isAncestor(context, gitDir, commit, now.stdout.toString().trim())) === true;
}

function refsMoved(result: GitResult): Trouble {
  return held("repository_busy", `its refs could not be changed: ${visible(lastWords(result))}`, {
    output: result.transcript,
    transient: true,
  });
}
