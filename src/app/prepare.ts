import { projectName } from "../core/describe.ts";
import { projectTypesOf } from "../core/projectType.ts";
import { isTrouble, ownFault, type Trouble } from "../core/reasons.ts";
import { asksForType, type Decided, type RuleSettings } from "../core/rules.ts";
import { chooseTarget } from "../core/target.ts";
import { topFiles } from "../git/trees.ts";
import { type Candidate, unchanged } from "../queue/candidates.ts";
import { landedBefore } from "../queue/landings.ts";
import { decideFor, type Located, locate } from "./candidates.ts";
import type { App, Workplace } from "./context.ts";
import type { Head } from "./head.ts";
import type { Work } from "./plan.ts";
import { agentsBranches, gatherHeads } from "./sources.ts";
import { refused, unreadable } from "./trouble.ts";
import type { Visit, Visits } from "./visit.ts";

/** A candidate that git lets land: its place, its heads, what the rules say, and what a failure would be judged on. */
export type Ready = {
  readonly candidate: Candidate;
  readonly located: Located;
  readonly decided: Decided;
  /** Neither window nor freeze is in the way: null. */
  readonly closed: Closed | null;
  readonly visit: Visit;
  readonly work: Work;
  /** The branch that it goes to, full name, and where that stands here; both empty when there is none. */
  readonly target: string;
  readonly localTip: string;
  readonly startedAt: number;
};

export type Closed = { readonly closedBy: "window" | "freeze"; readonly until: string | null };

/** What came of looking at one candidate; `located` as soon as it was found, whatever came after. */
export type Prepared = {
  readonly name: string;
  readonly startedAt: number;
  readonly result: Ready | Trouble | "settled";
  readonly located: Located | null;
};

/** Looks at one candidate, whatever a directory or disk says: what refuses one project must not stop the others. */
export async function prepare(
  app: App,
  visits: Visits,
  active: ReadonlyMap<string, number>,
  candidate: Candidate,
): Promise<Prepared> {
  const startedAt = app.now();
  const name = projectName(candidate.id, candidate.specPath);
  app.progress(`looking at ${name}`);
  const seen = await lookAt(app, visits, active, candidate, startedAt).catch((error) => ({
    result: refused(error),
    located: null,
  }));
  return { name, startedAt, ...seen };
}

/** Looks at one candidate: where its work is, whether anything of it is unfinished, what the rules say of it. */
async function lookAt(
  app: App,
  visits: Visits,
  active: ReadonlyMap<string, number>,
  candidate: Candidate,
  startedAt: number,
): Promise<Pick<Prepared, "result" | "located">> {
  const located = locate(app, candidate, active);
  if (isTrouble(located)) return { result: located, located: null };
  const { repository } = located.found;
  const trusting = async (trust: boolean) => {
    const visit = await visits.to(repository, trust);
    if (isTrouble(visit)) return visit;
    const gathered = await gatherHeads(app, visit.place, located.found, candidate.known?.roles ?? null);
    return isTrouble(gathered) ? gathered : { visit, ...gathered };
  };
  const first = await visits.to(repository, located.decided.settings.trust);
  if (isTrouble(first)) return { result: first, located };
  // Another run may have landed it between our look at the queue and our lease.
  if (!(await unchanged(app.queue, candidate))) return { result: "settled", located };
  let looked = await trusting(located.decided.settings.trust);
  if (isTrouble(looked)) return { result: looked, located };
  const decided = await decideByType(app, looked.visit.place, located, looked.heads);
  if (isTrouble(decided)) return { result: decided, located };
  if (decided.settings.trust !== located.decided.settings.trust) looked = await trusting(decided.settings.trust);
  if (isTrouble(looked)) return { result: looked, located };
  const { visit, heads, warnings } = looked;
  const { settings } = decided;
  const work: Work = {
    projectId: candidate.id,
    name: located.name,
    attemptId: app.newId(),
    heads,
    warnings,
    earlier: await landedBefore(app.queue, candidate.id, repository.commonDir),
    strategy: settings.strategy,
    gates: settings.gate,
    when: settings,
    after: [],
  };
  const target = localTarget(app, visit.place, settings.target);
  const localTip = visit.place.snapshot.refs.get(target)?.oid ?? "";
  const closed = await closedAt(settings, startedAt);
  return { result: { candidate, located, decided, closed, visit, work, target, localTip, startedAt }, located };
}

/** What the rules say once it is known what type of project it is; the same as before where no rule asks for that. */
async function decideByType(
  app: App,
  place: Workplace,
  located: Located,
  heads: readonly Head[],
): Promise<Decided | Trouble> {
  if (!asksForType(app.config)) return located.decided;
  const files: string[] = [];
  for (const { oid } of heads) {
    const found = await topFiles(app.git, place.scratch, oid);
    if (!Array.isArray(found)) return unreadable("the agents' files", found);
    files.push(...found);
  }
  return decideFor(app, located.candidate, projectTypesOf(files));
}

/** Whether window and freeze are in the way. The calendar is loaded only for those who have either. */
export async function closedAt(settings: Pick<RuleSettings, "window" | "freeze">, now: number): Promise<Closed | null> {
  const { window, freeze } = settings;
  const zone = window?.zone ?? freeze?.zone;
  if (zone === undefined) return null;
  const { localTime, openingAt } = await import("../core/window.ts");
  const opening = openingAt(settings, now);
  if (opening.open) return null;
  return { closedBy: opening.closedBy, until: opening.next === null ? null : localTime(opening.next, zone) };
}

/** What a failure is judged on: where the target stands (unless it is its own fault), and the heads. While none of it moves, nothing has changed. */
export function judgement(tip: string, work: Work, reason: string | null | undefined): string {
  return [ownFault.has(reason ?? "") ? "any" : tip, ...work.heads.map((head) => head.oid)].join(" ");
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
