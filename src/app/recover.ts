import { join } from "node:path";
import { visible } from "../core/describe.ts";
import { held, type Trouble } from "../core/reasons.ts";
import { fastForward } from "../git/checkout.ts";
import type { LookedAt } from "../git/dirty.ts";
import { writeTag } from "../git/objects.ts";
import { publish } from "../git/publish.ts";
import { lastWords } from "../git/remote.ts";
import { headOf, pendingPrefix } from "../git/snapshot.ts";
import { abandon, type Intent, overruled, record } from "../queue/journal.ts";
import type { Lease } from "../queue/leases.ts";
import { type App, inCheckout, type Workplace } from "./context.ts";
import { arrived, finishRefs, refsOf, undo } from "./land.ts";
import { giveBack, putBackWhatIsOurs, settleCheckout, stuck } from "./putBack.ts";

/** How far a dead run's landing had come, and what recovery does with it: the table of docs/recovery.md. */
export const findings = {
  "not begun": "abandoned",
  "before the checkout": "finished",
  "before the tags": "finished",
  "before the record": "finished",
  overtaken: "abandoned",
} as const;

type Finding = keyof typeof findings;

/** What recovery found and did with one landing of a dead run. */
export type Recovered = {
  readonly landingId: string;
  readonly repository: string;
  readonly found: Finding;
  readonly did: (typeof findings)[Finding];
  readonly projects: ReadonlyArray<{ readonly id: number; readonly name: string; readonly attemptId: string }>;
};

/**
 * Finishes or forgets every open landing of a repository. Git decides: the row only says where to look. The dead runs' processes are
 * ended and their lock files gone (locks.ts). A Trouble when something is left that a person must see to, or that may pass; the
 * repository is then not worked on, and the landing stays open.
 */
export async function recover(
  app: App,
  place: Workplace,
  lease: Lease,
  intents: readonly Intent[],
): Promise<Recovered[] | Trouble> {
  const done: Recovered[] = [];
  for (const intent of intents) {
    const found = await recoverOne(app, place, lease, intent);
    if (typeof found !== "string") return found;
    done.push({
      landingId: intent.landingId,
      repository: intent.repository,
      projects: intent.landed.map(({ projectId, name, attemptId }) => ({ id: projectId, name, attemptId })),
      found,
      did: findings[found],
    });
  }
  return done;
}

async function recoverOne(app: App, place: Workplace, lease: Lease, intent: Intent): Promise<Finding | Trouble> {
  const gitDir = place.snapshot.repository.commonDir;
  const refs = await refsOf(app.git, gitDir, intent);
  if (refs === null) return stuck(intent, "its refs could not be read");
  const pending = refs.has(pendingPrefix + intent.landingId);
  const target = refs.get(intent.target) ?? null;
  const there =
    target !== null && (target === intent.tip || (await arrived(app.git, gitDir, intent.target, intent.tip)));
  const close = async (found: Finding): Promise<Finding | Trouble> => {
    if (!(await restoreTags(app, place, intent, refs))) return stuck(intent, "its tags could not be written");
    // A transaction of several refs is not all or nothing for one who is killed in it: what there is already stays.
    const trouble = await finishRefs(app.git, place.refs, gitDir, intent, refs);
    if (trouble !== null) return trouble;
    await record(app.queue, lease, intent, app.now(), app.outbox);
    return found;
  };
  const takeBack = async (found: Finding): Promise<Finding | Trouble> => {
    const changes = undo(intent, refs);
    const failure = changes.length === 0 ? null : await place.refs.transact(changes);
    if (failure !== null) return stuck(intent, `its refs could not be put back (${lastWords(failure)})`);
    await abandon(app.queue, lease, intent.landingId, app.now());
    return found;
  };
  if (!pending) {
    // The pending mark is the first ref to come and the last to go: without it T1 did not happen, or T2 did, and is over.
    if (there) return await close("before the record");
    // With a proof it had landed, and somebody moved the target back since: what bears witness of it stays.
    if (!intent.refs.proofs.some(({ ref }) => refs.has(ref))) return await takeBack("not begun");
    await abandon(app.queue, lease, intent.landingId, app.now());
    return "overtaken";
  }
  if (there) return await close("before the tags");
  const out = place.snapshot.worktrees.find((tree) => tree.present && tree.branch === intent.target);
  // Nothing of it can be seen from outside yet: what somebody has written into a row meanwhile (reject, skipped) still counts.
  const wanted = (await overruled(app.queue, intent)).length === 0;
  if (wanted && target === intent.base && (out !== undefined || intent.checkout === null)) {
    const advanced = out === undefined ? null : await advance(app, place, intent, { ...out, head: intent.base });
    if (advanced === null) return await close("before the checkout");
    if (advanced !== "refused") return advanced;
    return await takeBack("overtaken");
  }
  // Somebody committed, or switched branches, before we came: what git had half written for us goes, and the landing starts over.
  const was = place.snapshot.worktrees.find((tree) => tree.present && tree.path === intent.checkout);
  const head = was === undefined ? null : ((await giveBack(app, place, intent)) ?? headOf(place.snapshot, was));
  if (was !== undefined && head !== null) {
    const put = await putBackWhatIsOurs(app, place, intent, { ...was, head });
    if (put !== null) return put;
  }
  return await takeBack("overtaken");
}

/** Writes the tags that have no ref yet once more: nothing pointed at them, and a `git prune` may have come by. */
async function restoreTags(
  app: App,
  place: Workplace,
  intent: Intent,
  there: ReadonlyMap<string, string>,
): Promise<boolean> {
  const missing = intent.refs.tags.filter(({ ref, oid }) => there.get(ref) !== oid);
  if (missing.length === 0) return true;
  for (const { body } of missing) writeTag(place.scratch.objects, place.snapshot.sha256, body);
  const objects = join(place.snapshot.repository.commonDir, "objects");
  const want = { tips: missing.map(({ oid }) => oid), have: [intent.tip], borrowed: false };
  return (await publish(app.git, place.scratch, objects, want)) === null;
}

/**
 * Brings the checkout forward for a landing that died before or while doing so: what git had half written is put back first, then the
 * same fast-forward runs again. Null when the index and the files stand at the tip; "refused" when they stand at the base again.
 */
async function advance(
  app: App,
  place: Workplace,
  intent: Intent,
  tree: LookedAt,
): Promise<"refused" | Trouble | null> {
  const found = await settleCheckout(app, place, intent, tree, true);
  if (found !== "back") return found === "arrived" ? null : found;
  const refusal = await fastForward(inCheckout(app.git, place), tree, intent.tip);
  if (refusal === null) return null;
  if (refusal.code === null) {
    return held("repository_busy", `git was ended while it brought ${visible(tree.path)} forward.`, {
      transient: true,
    });
  }
  // Refused as a whole, or given up half-way (a full disk): in either case nothing of it may stay.
  const left = await settleCheckout(app, place, intent, tree, false);
  return left === "back" ? "refused" : left === "arrived" ? null : left;
}
