import { curable } from "../core/reasons.ts";
import { type Candidate, findCandidates, lastSweepKey } from "../queue/candidates.ts";
import type { Queue } from "../queue/database.ts";
import { openIntents } from "../queue/journal.ts";
import { leasedRepositories } from "../queue/leases.ts";
import { debts } from "../queue/pushes.ts";

export type TickOptions = {
  /** How many projects may be attempted; Infinity for all. */
  readonly limit: number;
  /** Only these projects, whatever their backoff; null for all. */
  readonly only: ReadonlySet<number> | null;
};

export type WorkToDo = Awaited<ReturnType<typeof findWork>>;

/** The longest that anything backs off. A time further ahead was written by a clock that was wrong. Milliseconds. */
const longestWait = 86_400_000;

/** Whether something that waits may be tried at `now`. Unix milliseconds; null is any time. */
export function isDue(at: number | null, now: number): boolean {
  return at === null || at <= now || at > now + longestWait;
}

/**
 * Everything that a tick might do, from the database alone. `idle` when there is nothing: such a tick starts no git process, and loads
 * none of the code that does. `startedAt` is unix milliseconds; `pushing` is false where the configuration says never to push.
 */
export async function findWork(queue: Queue, options: TickOptions, startedAt: number, pushing: boolean) {
  const found = await findCandidates(queue, startedAt);
  const wanted = (candidate: Candidate) =>
    options.only === null ? isDue(candidate.known?.nextAttemptAt ?? null, startedAt) : options.only.has(candidate.id);
  const candidates = found.candidates.filter(wanted);
  const waiting = options.only === null ? found.candidates.length - candidates.length : 0;
  const secondLooks = found.secondLooks.filter(
    (look) =>
      wanted(look) && (options.only === null ? curable.has(look.known.reason ?? "") : look.known.reason !== "rejected"),
  );
  const looked = new Set<Candidate>([...candidates, ...secondLooks]);
  const aside = [...found.candidates, ...found.secondLooks].filter((one) => !looked.has(one));
  const intents = await openIntents(queue);
  const due = (pushing ? await debts(queue, options.only) : []).filter(
    (debt) => options.only !== null || isDue(debt.nextAt, startedAt),
  );
  // Another run is at work there, or was killed: then its lock files and processes may be left, even without an open landing.
  const leased = await leasedRepositories(queue);
  return {
    startedAt,
    candidates,
    /** pending, but backing off */
    waiting,
    secondLooks,
    /** those that this tick does not look at: they back off, have failed for good, or were not named */
    aside,
    intents,
    due,
    leased,
    idle: candidates.length + secondLooks.length + intents.length + due.length + leased.length === 0,
    housekeeping: { swept: found.swept ? { key: lastSweepKey, overridden: found.overridden } : null },
  };
}
