import { isTrouble, type Trouble } from "../core/reasons.ts";
import type { App } from "./context.ts";
import { land } from "./land.ts";
import { makePlan } from "./plan.ts";
import { type PushReport, postpone, pushTarget, type TagRef } from "./push.ts";
import { type Receiver, readReceiver } from "./receiver.ts";
import type { Visit, Visits } from "./visit.ts";

/** What there is to push of a target. */
export type Owed = { readonly receiver: Receiver; readonly tags: readonly TagRef[] };

/** How often a push may find that the remote has moved again before it is left to a later tick. */
const pushRounds = 3;

/** Pushes what has just landed. A remote that has moved on meanwhile is taken in, and it is pushed again. */
export async function pushLanded(app: App, visits: Visits, visit: Visit, owed: Owed): Promise<PushReport | null> {
  if (visit.lease === null) return null;
  const { receiver, tags } = owed;
  const push = await pushTarget(app, visit.place, visit.lease, receiver, receiver.old, tags, 0);
  if (!push.moved) return push;
  const fresh = await visits.refresh(visit);
  return isTrouble(fresh) ? push : ((await pushOwed(app, visits, fresh, receiver.target, 0)) ?? push);
}

/**
 * Tries a push that is owed. A remote that has moved on is taken in first (a landing without projects), a bounded number of times;
 * what does not succeed stays owed, with the reason and a wait. Null in a dry run.
 */
export async function pushOwed(
  app: App,
  visits: Visits,
  first: Visit,
  target: string,
  failures: number,
): Promise<PushReport | null> {
  let visit = first;
  let push: PushReport | null = null;
  for (let round = 0; round < pushRounds; round++) {
    const { place, lease } = visit;
    if (lease === null) return push;
    const later = (trouble: Trouble) => postpone(app, place, lease, target, trouble, failures);
    const receiver = await readReceiver(app, place, target, "auto");
    if (isTrouble(receiver)) return await later(receiver);
    const plan = await makePlan(app, place, receiver, []);
    if (isTrouble(plan)) return await later(plan);
    if (plan.tip !== receiver.old) {
      if (receiver.crowded !== null) return await later(receiver.crowded);
      const landing = await land(app, place, lease, plan, new Map());
      if ("trouble" in landing) return await later(landing.trouble);
    }
    push = await pushTarget(app, place, lease, receiver, plan.tip, [], failures);
    if (!push.moved) return push;
    const fresh = await visits.refresh(visit);
    if (isTrouble(fresh)) return push;
    visit = fresh;
  }
  return push;
}
