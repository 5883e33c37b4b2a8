import { curable } from "../core/reasons.ts";
import { type Candidate, findCandidates, lastSweepKey } from "../queue/candidates.ts";
import type { Queue } from "../queue/database.ts";
import { debts, openIntents } from "../queue/journal.ts";

export type TickOptions = {
  /** How many projects may be attempted; Infinity for all. */
  readonly limit: number;
  /** Only these projects, whatever their backoff; null for all. */
  readonly only: ReadonlySet<number> | null;
};

export type WorkToDo = Awaited<ReturnType<typeof findWork>>;

/**
 * Everything that a tick might do, from the database alone. `idle` when there is nothing: such a tick starts no git process, and loads
 * none of the code that does. `startedAt` is unix milliseconds.
 */
export async function findWork(queue: Queue, options: TickOptions, startedAt: number) {
  const found = await findCandidates(queue, startedAt);
  const wanted = (candidate: Candidate) =>
    options.only === null ? (candidate.known?.nextAttemptAt ?? 0) <= startedAt : options.only.has(candidate.id);
  const candidates = found.candidates.filter(wanted);
  const secondLooks = found.secondLooks.filter(
    (look) => wanted(look) && (options.only !== null || curable.has(look.known.reason ?? "")),
  );
  const intents = await openIntents(queue);
  const due = await debts(queue, startedAt);
  return {
    startedAt,
    candidates,
    secondLooks,
    intents,
    due,
    idle: candidates.length + secondLooks.length + intents.length + due.length === 0,
    housekeeping: { swept: found.swept ? { key: lastSweepKey, overridden: found.overridden } : null },
  };
}
