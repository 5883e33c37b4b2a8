import { visible } from "../core/describe.ts";
import { held, isTrouble, type Trouble } from "../core/reasons.ts";
import { chooseTarget } from "../core/target.ts";
import { type Candidate, unchanged } from "../queue/candidates.ts";
import { type Located, locate, nameOf } from "./candidates.ts";
import type { App, Workplace } from "./context.ts";
import type { Work } from "./plan.ts";
import { agentsBranches, gatherHeads } from "./sources.ts";
import type { Visit, Visits } from "./visit.ts";

/** A candidate that may land now: its place, its heads, and what a failure would be judged on. */
export type Ready = {
  readonly candidate: Candidate;
  readonly located: Located;
  readonly visit: Visit;
  readonly work: Work;
  readonly judgedOn: string;
  readonly startedAt: number;
};

export type Missed = {
  readonly candidate: Candidate;
  readonly name: string;
  readonly trouble: Trouble;
  readonly startedAt: number;
  readonly repository: string | null;
};

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
  for (const candidate of candidates) {
    if (places <= 0 || stop()) break;
    const startedAt = app.now();
    const name = nameOf(candidate);
    app.progress(`looking at ${name}`);
    const found = await prepare(app, visits, active, candidate, startedAt).catch(unusable);
    if (found.result === "settled") continue;
    if (isTrouble(found.result)) {
      if (secondLook) continue; // it failed for another reason and still does
      if (found.result.outcome === "merge_failed") places--;
      missed.push({ candidate, name, trouble: found.result, startedAt, repository: found.repository });
    } else if (!secondLook || found.result.judgedOn !== candidate.known?.judgedOn) {
      places--;
      ready.push(found.result);
    }
  }
  return { ready, missed };
}

/** A directory or disk that refuses one project must not stop the others. What is no such refusal is a bug, and is thrown on. */
function unusable(error: unknown): { result: Trouble; repository: null } {
  if (!(error instanceof Error && "syscall" in error && "code" in error)) throw error;
  return { result: held("repository_busy", `${visible(error.message)}.`, { transient: true }), repository: null };
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
  const visit = await visits.to(located.found.repository, located.rule.trust);
  if (isTrouble(visit)) return { result: visit, repository };
  // Another run may have landed it between our look at the queue and our lease.
  if (!(await unchanged(app.queue, candidate))) return { result: "settled", repository };
  const gathered = await gatherHeads(app, visit.place, located.found, candidate.known?.roles ?? null);
  if (isTrouble(gathered)) return { result: gathered, repository };
  const work: Work = {
    projectId: candidate.id,
    name: located.name,
    attemptId: app.newId(),
    heads: gathered.heads,
    warnings: gathered.warnings,
  };
  const target = localTarget(app, visit.place, located.rule.target);
  const judgedOn = [target, ...gathered.heads.map((head) => head.oid)].join(" ");
  return { result: { candidate, located, visit, work, judgedOn, startedAt }, repository };
}

/** Where the target stands here, for comparing a failure with what has become of it. */
function localTarget(app: App, place: Workplace, wanted: string): string {
  const { refs } = place.snapshot;
  const prefix = `refs/remotes/${app.config.push.remote}/`;
  const chosen = chooseTarget(wanted, {
    branches: [...refs.keys()].filter((ref) => ref.startsWith("refs/heads/")),
    remoteDefault: refs.get(`${prefix}HEAD`)?.symref ?? null,
    remotePrefix: prefix,
    isAgents: agentsBranches(place),
  });
  return "missing" in chosen ? "" : (refs.get(chosen.target)?.oid ?? "");
}
