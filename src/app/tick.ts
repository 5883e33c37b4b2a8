import { visible } from "../core/describe.ts";
import { isTrouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { removeLeftGateTrees } from "../git/gateTree.ts";
import { locateRepository } from "../git/repository.ts";
import { removeLeftScratches } from "../git/scratch.ts";
import { gatesDirectory } from "../host/paths.ts";
import { LeaseLost, type Owner } from "../queue/leases.ts";
import { postDied } from "../queue/outbox.ts";
import { type Debt, debts } from "../queue/pushes.ts";
import { beginRun, endRun } from "../queue/runs.ts";
import { declaredBranches } from "./candidates.ts";
import { choose } from "./choose.ts";
import type { App } from "./context.ts";
import { byTarget, settleLeftBehind } from "./groups.ts";
import { landTarget, outcomeOf } from "./landTarget.ts";
import { openLane } from "./lane.ts";
import type { Ready } from "./prepare.ts";
import { type PushReport, postponeUnvisited } from "./push.ts";
import { pushLanded, pushOwed } from "./pushOwed.ts";
import { askAhead } from "./receiver.ts";
import type { Recovered } from "./recover.ts";
import { emptyReport, type Report, type Result, summary } from "./report.ts";
import { retire } from "./retention.ts";
import { logLanded, settleGroup, settleMisses, type Tally } from "./settle.ts";
import { refused } from "./trouble.ts";
import { openVisits, type Visit, type Visits } from "./visit.ts";
import { isDue, type TickOptions, type WorkToDo } from "./work.ts";

/** Tells whether the process of that number that started then still runs. */
export type IsAlive = (pid: number, pidStart: string) => boolean;

/** A lease outlives the run's time limit by this much, for the step that is in hand when it ends. Milliseconds. */
const leaseMargin = 120_000;

/** One tick that has something to do: recover what a dead run left, look at what waits, land it, push it and what is owed, write it down. */
export async function tick(
  app: App,
  work: WorkToDo,
  owner: Owner,
  isAlive: IsAlive,
  options: TickOptions,
): Promise<Report> {
  const { startedAt, housekeeping } = work;
  if (!app.dryRun) await beginRun(app.queue, owner, startedAt, housekeeping);
  const { deadline } = app.span;
  const stop = () => app.now() >= deadline || app.git.signal.aborted;
  if (!app.dryRun) removeLeft(app, startedAt);
  const pushing = !app.dryRun && app.config.push.mode !== "off";
  const visits = openVisits(app, owner, isAlive, {
    declaredBranches: await declaredBranches(app.queue),
    until: deadline + leaseMargin,
  });
  const tally: Tally = { results: [], newlyFailed: 0 };
  const recovered: Recovered[] = [];
  const pushes: PushReport[] = [];
  const lane = openLane();
  const moved = new Set<string>();
  const unreached: Ready[] = [];
  try {
    if (!app.dryRun) {
      const begun = new Set(work.intents.map((intent) => intent.repository));
      for (const repository of new Set([...begun, ...work.leased])) {
        recovered.push(...(await recoverRepository(app, visits, repository, begun.has(repository))));
      }
    }
    const { ready, missed, waitsFor } = await choose(app, visits, work, options, stop);
    await settleMisses(app, tally, missed);
    const groups = byTarget(ready, waitsFor);
    const landed = new Set<number>();
    for (const [index, all] of groups.entries()) {
      const group = await settleLeftBehind(app, tally, all, landed);
      const [one] = group;
      if (stop()) {
        unreached.push(...group, ...groups.slice(index + 1).flat());
        break;
      }
      if (one === undefined) continue;
      const { commonDir } = one.visit.repository;
      await lane.leave(commonDir);
      const details = new Map(
        group.map(({ candidate, startedAt: begun }) => [
          candidate.id,
          {
            generation: candidate.generation,
            mergedStatus: candidate.mergedStatus,
            completedAt: candidate.completedAt,
            startedAt: begun,
          },
        ]),
      );
      const works = group.map(({ work: each }) => each);
      // What landed there a moment ago has moved what the visit knows.
      const visit = moved.has(commonDir) ? await visits.refresh(one.visit) : one.visit;
      moved.add(commonDir);
      if (isTrouble(visit)) {
        await settleGroup(app, tally, group, outcomeOf(works, visit));
        continue;
      }
      const next = groups[index + 1]?.[0];
      if (next !== undefined && !moved.has(next.visit.repository.commonDir))
        askAhead(app, next.visit.place, next.decided.settings.push);
      const progress = (step: string) =>
        app.progress(`${step}${groups.length > 1 ? ` · repository ${index + 1} of ${groups.length}` : ""}`);
      const outcome = await landTarget({ ...app, progress }, visit, one.decided.settings, works, details).catch(
        (error) => (error instanceof LeaseLost ? null : outcomeOf(works, refused(error))),
      );
      // Frozen so long that another run took over: it goes on with what we had in hand, and we write nothing more there.
      if (outcome === null) continue;
      logLanded(app, outcome.landed);
      for (const { projectId } of outcome.landed) landed.add(projectId);
      await lane.enter(commonDir, async () => {
        const push = outcome.owed === null ? null : await pushLanded(app, visits, visit, outcome.owed).catch(givenUp);
        if (push !== null) pushes.push(push);
        // Or every repository of the tick would keep a process to its end, and the unit's TasksMax counts them.
        await visit.place.refs.end();
        await settleGroup(app, tally, group, { ...outcome, pushState: push?.state ?? outcome.pushState });
      });
    }
    await lane.end();
    // Read now: what a killed run had landed and recovery recorded is owed too.
    for (const debt of pushing ? await debts(app.queue, options.only) : []) {
      if (options.only === null && !isDue(debt.nextAt, app.now())) continue;
      if (stop()) break;
      if (pushes.some((push) => push.repository === debt.repository && push.target === debt.target)) continue;
      const push = await payDebt(app, visits, debt).catch(givenUp);
      if (push !== null) pushes.push(push);
    }
    for (const visit of visits.all()) {
      if (stop()) break;
      await retire(app, visit).catch(givenUp);
      await visit.place.refs.end();
    }
  } finally {
    await lane.end().finally(() => visits.end());
  }
  for (const push of pushes) {
    const what = `${visible(shortName(push.target))} in ${visible(push.repository)}`;
    if (push.state === "pushed") app.log.info(`Pushed ${what} to ${push.remote}`);
    else if (push.state === "none") app.log.info(`Nothing is owed for ${what} any more: it has no remote`);
    else app.log.warn(`Push of ${what} is ${push.state}: ${push.detail}`);
  }
  const order = new Map([...work.candidates, ...work.secondLooks].map(({ id }, index) => [id, index]));
  tally.results.sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0));
  const total = summary(tally.results);
  const looked = new Set(tally.results.map(({ id }) => id));
  const cutShort = stop() && work.candidates.some(({ id }) => !looked.has(id));
  if (cutShort) app.log.info("Ended before everything was done: the rest waits for the next run");
  else if (tally.results.length === 0) app.log.info("No projects pending merge");
  if (tally.results.length > 0)
    app.log.info(`Merge summary: ${total.merged + total.alreadyMerged} succeeded, ${tally.newlyFailed} failed`);
  // Looked at, and no more: they are as they were, and the report alone says so.
  tally.results.push(...unreached.map((ready) => notReached(app, ready)));
  if (!app.dryRun) {
    const merged = total.merged + total.alreadyMerged;
    await endRun(app.queue, app.runId, { finishedAt: app.now(), merged, failed: tally.newlyFailed, held: total.held });
  }
  return { ...report(app, startedAt, tally, recovered, pushes), cutShort };
}

/** What killed runs have left outside of repositories. A directory that refuses is no reason not to land. */
function removeLeft(app: App, startedAt: number): void {
  try {
    removeLeftScratches(startedAt);
    removeLeftGateTrees(gatesDirectory(app.git.env));
  } catch (error) {
    app.log.warn(refused(error).detail);
  }
}

/** One that could have landed if there had been time. It has no reason: nothing keeps it, and nothing is written down of it. */
function notReached(app: App, { work, startedAt }: Ready): Result {
  const why = app.git.signal.aborted ? "the run was told to end" : "the run's time was up";
  const nothing = {
    target: null,
    strategy: null,
    mergeCommit: null,
    backupRef: null,
    tag: null,
    push: null,
    conflicts: [],
    warnings: [],
  };
  return {
    ...nothing,
    id: work.projectId,
    name: work.name,
    outcome: "held",
    reason: null,
    detail: `${why} before it could land: the next run goes on with it.`,
    heads: work.heads.map(({ role, oid }) => ({ role, oid })),
    durationMs: app.now() - startedAt,
  };
}

/** A push that another run has taken over, or whose repository's disk refuses, stays owed. */
function givenUp(error: unknown): null {
  if (!(error instanceof LeaseLost)) refused(error);
  return null;
}

async function recoverRepository(
  app: App,
  visits: Visits,
  path: string,
  begun: boolean,
): Promise<readonly Recovered[]> {
  const repository = locateRepository(path);
  if (repository === null) {
    await visits.forget(path);
    if (begun) app.log.error(`${visible(path)} is gone, with a landing that a killed run had begun in it.`);
    return [];
  }
  const visit = await visits.to(repository);
  if (isTrouble(visit)) {
    app.log[visit.reason === "repository_leased" ? "debug" : "warn"](
      `${visible(path)}: ${visit.reason}: ${visit.detail}`,
    );
    return [];
  }
  for (const one of visit.recovered) {
    app.log.info(`Recovered landing ${one.landingId} in ${visible(path)}: died ${one.found}, ${one.did}`);
    if (one.did !== "finished") continue;
    for (const { id, name, attemptId } of one.projects) {
      app.log.notice(`Successfully merged project ${id}: ${visible(name)}`, { project: id, attempt: attemptId });
    }
  }
  await tellOfDeath(app, path, visit);
  return visit.recovered;
}

/** Puts the runs that died here into the outbox. Of a run that held several repositories it is told once, of the first. */
async function tellOfDeath(app: App, path: string, visit: Visit): Promise<void> {
  if (visit.dead.length === 0 || app.outbox === null) return;
  const landings = visit.recovered.map(
    ({ did, projects }) => `${projects.map(({ id, name }) => `${id} ${visible(name)}`).join(", ")} ${did}`,
  );
  const left = landings.length === 0 ? "It had no landing under way" : `Of its landings: ${landings.join("; ")}`;
  await app.queue.write(async (tx) => {
    for (const runId of visit.dead) {
      const detail = `A run was killed in ${path}. ${left}.`;
      await postDied(tx, app.outbox, { id: runId, runId, repository: path, detail }, app.now());
    }
  });
}

async function payDebt(app: App, visits: Visits, debt: Debt): Promise<PushReport | null> {
  const repository = locateRepository(debt.repository);
  if (repository === null) return await postponeUnvisited(app, debt, "the repository is gone");
  const visit = await visits.to(repository);
  if (isTrouble(visit))
    return visit.reason === "repository_leased" ? null : await postponeUnvisited(app, debt, visit.detail);
  const push = await pushOwed(app, visits, visit, debt.target, debt.failures);
  await visit.place.refs.end();
  return push;
}

function report(
  app: App,
  startedAt: number,
  tally: Tally,
  recovered: readonly Recovered[],
  pushes: readonly PushReport[],
): Report {
  const { results, newlyFailed } = tally;
  return {
    ...emptyReport(app.runId, startedAt, app.dryRun),
    finishedAt: app.now(),
    recovered,
    results,
    pushes: pushes.map(({ moved: _, ...push }) => push),
    newlyFailed,
    allLeased: results.length > 0 && results.every((result) => result.reason === "repository_leased"),
    processes: app.git.count.processes,
  };
}
