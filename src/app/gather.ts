import { projectName } from "../core/describe.ts";
import { isTrouble, type Trouble } from "../core/reasons.ts";
import { chooseTarget } from "../core/target.ts";
import { type Candidate, unchanged } from "../queue/candidates.ts";
import { landedMerges } from "../queue/journal.ts";
import { type Located, locate } from "./candidates.ts";
import type { App, Workplace } from "./context.ts";
import type { Work } from "./plan.ts";
import { agentsBranches, gatherHeads } from "./sources.ts";
import { refused } from "./trouble.ts";
import type { Visit, Visits } from "./visit.ts";

/** A candidate that may land now: its place, its heads, and what a failure would be judged on. */
export type Ready = {
  readonly candidate: Candidate;
  readonly located: Located;
  readonly visit: Visit;
  readonly work: Work;
  /** The branch that it goes to, full name, and where that stands here; both empty when there is none. */
  readonly target: string;
  readonly localTip: string;
  readonly startedAt: number;
};

export type Missed = {
  readonly candidate: Candidate;
  readonly name: string;
  readonly trouble: Trouble;
  readonly startedAt: number;
  readonly repository: string | null;
};

/** So many candidates are looked at side by side: what takes the time is git reading files, and the unit's TasksMax counts each. */
const sideBySide = 2;

/**
 * Looks at candidates in their order until `limit` of them can be attempted. What is held takes no place; what fails does.
 * `secondLook`: only those whose target or heads have moved since they failed.
 */
export async function gather(
  app: App,
  visits: Visits,
  active: ReadonlyMap<string, number>,
  candidates: readonly Candidate[],
  limit: number,
  stop: () => boolean,
  secondLook: boolean,
): Promise<{ ready: Ready[]; missed: Missed[] }> {
  const ready: Ready[] = [];
  const missed: Missed[] = [];
  let places = limit;
  const look = (candidate: Candidate) => {
    const startedAt = app.now();
    const name = projectName(candidate.id, candidate.specPath);
    app.progress(`looking at ${name}`);
    const found = prepare(app, visits, active, candidate, startedAt).catch(unusable);
    found.catch(() => {}); // told where it is waited for
    return { candidate, startedAt, name, found };
  };
  const inHand: ReturnType<typeof look>[] = [];
  const rest = candidates.values();
  for (;;) {
    while (inHand.length < Math.min(sideBySide, places) && !stop()) {
      const { value: candidate } = rest.next();
      if (candidate === undefined) break;
      inHand.push(look(candidate));
    }
    const next = inHand.shift();
    if (next === undefined) break;
    const { candidate, startedAt, name } = next;
    const found = await next.found.catch(async (error) => {
      await Promise.allSettled(inHand.map((other) => other.found)); // nothing goes on behind the back of who gives up
      throw error;
    });
    if (found.result === "settled") continue;
    if (isTrouble(found.result)) {
      if (secondLook) continue; // it failed for another reason and still does
      if (found.result.outcome === "merge_failed") places--;
      missed.push({ candidate, name, trouble: found.result, startedAt, repository: found.repository });
    } else if (!secondLook || judgement(found.result.localTip, found.result.work) !== candidate.known?.judgedOn) {
      places--;
      ready.push(found.result);
    }
  }
  return { ready, missed };
}

/** A directory or disk that refuses one project must not stop the others. */
function unusable(error: unknown): { result: Trouble; repository: null } {
  return { result: refused(error), repository: null };
}

async function prepare(
  app: App,
  visits: Visits,
  active: ReadonlyMap<string, number>,
  candidate: Candidate,
  startedAt: number,
): Promise<{ result: Ready | Trouble | "settled"; repository: string | null }> {
  const located = locate(app, candidate, active);
  if (isTrouble(located)) return { result: located, repository: null };
  const repository = located.found.repository.commonDir;
  const visit = await visits.to(located.found.repository, located.decided.settings.trust);
  if (isTrouble(visit)) return { result: visit, repository };
  // Another run may have landed it between our look at the queue and our lease.
  if (!(await unchanged(app.queue, candidate))) return { result: "settled", repository };
  const gathered = await gatherHeads(app, visit.place, located.found, candidate.known?.roles ?? null);
  if (isTrouble(gathered)) return { result: gathered, repository };
  const { settings } = located.decided;
  const work: Work = {
    projectId: candidate.id,
    name: located.name,
    attemptId: app.newId(),
    heads: gathered.heads,
    warnings: gathered.warnings,
    earlier: await landedMerges(app.queue, candidate.id, repository),
    strategy: settings.strategy,
    gates: settings.gate,
    after: [],
  };
  const target = localTarget(app, visit.place, settings.target);
  const localTip = visit.place.snapshot.refs.get(target)?.oid ?? "";
  return { result: { candidate, located, visit, work, target, localTip, startedAt }, repository };
}

/** What a failure is judged on: where the target stands, and the heads. While none of it moves, nothing has changed. */
export function judgement(tip: string, work: Work): string {
  return [tip, ...work.heads.map((head) => head.oid)].join(" ");
}

/** The target's full name; empty when there is none. */
function localTarget(app: App, place: Workplace, wanted: string): string {
  const { refs } = place.snapshot;
  const prefix = `refs/remotes/${app.config.push.remote}/`;
  const chosen = chooseTarget(wanted, {
    branches: [...refs.keys()].filter((ref) => ref.startsWith("refs/heads/")),
    remoteDefault: refs.get(`${prefix}HEAD`)?.symref ?? null,
    remotePrefix: prefix,
    isAgents: agentsBranches(place),
  });
  return "missing" in chosen ? "" : chosen.target;
}
