import { backoff } from "../core/backoff.ts";
import { visible } from "../core/describe.ts";
import { shortName } from "../core/target.ts";
import type { Landed } from "../queue/journal.ts";
import { type Miss, recordMisses } from "../queue/misses.ts";
import type { App } from "./context.ts";
import type { Missed } from "./gather.ts";
import type { TargetOutcome } from "./landTarget.ts";
import { judgement, type Ready } from "./prepare.ts";
import { logLine, missResult, type Result } from "./report.ts";

/** What a tick has found out so far. */
export type Tally = { readonly results: Result[]; newlyFailed: number };

/** First and longest wait after trouble that is likely to pass. Milliseconds. */
const waits = { first: 60_000, longest: 3_600_000 };

/** Writes down, logs and tallies projects that did not land. A miss that says what the last one said is no news. */
export async function settleMisses(
  app: App,
  tally: Tally,
  missed: ReadonlyArray<Omit<Missed, "found"> & { target?: string | null; tip?: string | null }>,
): Promise<void> {
  // Told to end: what git could not answer then says nothing of the projects. They are as they were, and looked at next time.
  if (app.git.signal.aborted) return;
  const misses: Miss[] = [];
  for (const miss of missed) {
    const { candidate, trouble, name, ready } = miss;
    const heads = ready?.work.heads ?? [];
    const known = candidate.known;
    const same = known !== null && known.reason === trouble.reason && known.detail === trouble.detail;
    const news = !(same && known.state === (trouble.outcome === "held" ? "held" : "failed"));
    const result = missResult({ id: candidate.id, name }, trouble, {
      target: miss.target ?? null,
      heads,
      durationMs: app.now() - miss.startedAt,
    });
    tally.results.push(result);
    const attemptId = ready?.work.attemptId ?? app.newId();
    if (news) {
      const line = logLine(result);
      const about = { project: candidate.id, attempt: trouble.reason === "repository_leased" ? null : attemptId };
      app.log[line.level](line.text, about);
      if (trouble.output !== undefined) app.log.debug(trouble.output, about);
      if (trouble.outcome === "merge_failed") tally.newlyFailed++;
    }
    // Somebody else has it in hand: what we remember of it is not ours to change.
    if (trouble.reason === "repository_leased") continue;
    const failures = trouble.transient === true ? (known?.failures ?? 0) + 1 : 0;
    misses.push({
      projectId: candidate.id,
      name,
      generation: candidate.generation,
      mergedStatus: candidate.mergedStatus,
      outcome: trouble.outcome,
      reason: trouble.reason,
      detail: trouble.detail,
      judgedOn: ready === undefined ? null : judgement(miss.tip ?? ready.localTip, ready.work, trouble.reason),
      failures,
      nextAttemptAt: failures === 0 ? null : app.now() + backoff(failures, waits.first, waits.longest, app.random()),
      roles: known?.roles ?? null,
      news,
      // A gate that has run leaves its trace even if it says what it said before: retry makes it run again.
      attempt:
        news || trouble.gates?.some((gate) => !gate.remembered)
          ? {
              attemptId,
              startedAt: miss.startedAt,
              repository: miss.repository,
              target: miss.target ?? null,
              conflicts: trouble.conflicts ?? [],
              heads: heads.map(({ role, oid, worktree, branch }) => ({ role, oid, worktree, branch })),
              output: trouble.output ?? null,
              gates: trouble.gates ?? [],
            }
          : null,
    });
  }
  if (!app.dryRun) await recordMisses(app.queue, app.runId, misses, app.now(), app.outbox);
}

/** Logs what has landed: at once, for whoever is killed in the push that follows has landed it all the same. */
export function logLanded(app: App, landed: readonly Landed[]): void {
  for (const { projectId: id, name, outcome, attemptId } of landed) {
    const line = logLine({ id, name, outcome, reason: null, detail: null });
    app.log[line.level](line.text, { project: id, attempt: attemptId });
  }
}

/** Tallies what landed (its rows are written already), and settles what did not. */
export async function settleGroup(
  app: App,
  tally: Tally,
  group: readonly Ready[],
  outcome: TargetOutcome,
): Promise<void> {
  for (const ready of group) {
    const landed = outcome.landed.find((one) => one.projectId === ready.candidate.id);
    if (landed === undefined) continue;
    const result = landedResult(app, ready, landed, outcome);
    tally.results.push(result);
    const about = { project: result.id, attempt: landed.attemptId };
    for (const warning of result.warnings) app.log.warn(`Project ${result.id}: ${visible(warning)}`, about);
  }
  const missed = outcome.missed.flatMap(({ work, trouble }) => {
    const ready = group.find((one) => one.work === work);
    if (ready === undefined) return [];
    const { candidate, startedAt, visit } = ready;
    return [
      {
        candidate,
        name: work.name,
        trouble,
        startedAt,
        repository: visit.repository.commonDir,
        ready,
        target: outcome.target,
        // Where our own landing took the target: that is no news for those who failed beside it.
        tip: outcome.tip,
      },
    ];
  });
  await settleMisses(app, tally, missed);
}

function landedResult(app: App, ready: Ready, landed: Landed, outcome: TargetOutcome): Result {
  // In a dry run the commit was made in a scratch that is gone by now: its id would lead nowhere.
  const real = !app.dryRun || landed.outcome === "already_merged";
  return {
    id: landed.projectId,
    name: landed.name,
    outcome: landed.outcome,
    reason: null,
    detail: null,
    target: landed.target === null ? null : shortName(landed.target),
    mergeCommit: real ? landed.mergeCommit : null,
    strategy: landed.outcome === "merged" ? ready.work.strategy : null,
    heads: landed.heads.map(({ role, oid }) => ({ role, oid })),
    backupRef: real ? landed.backupRef : null,
    tag: real ? landed.tag : null,
    push: landed.outcome === "merged" || outcome.pushState === "withheld" ? outcome.pushState : null,
    conflicts: [],
    warnings: [...landed.warnings, ...outcome.warnings],
    durationMs: app.now() - ready.startedAt,
  };
}
