import { advice } from "../core/advice.ts";
import { shortName } from "../core/target.ts";
import { version } from "../host/version.ts";
import { type PastAttempt, readAttempts } from "../queue/attempts.ts";
import { readVersion } from "../queue/changes.ts";
import type { Queue } from "../queue/database.ts";
import { readEnded } from "../queue/history.ts";
import { leasedRepositories } from "../queue/leases.ts";
import { readLastTick, readMetrics } from "../queue/metrics.ts";
import { readCounts, readOne, readOverview } from "../queue/overview.ts";
import type { Project } from "../queue/projects.ts";
import { debts } from "../queue/pushes.ts";
import { readStatistics } from "../queue/statistics.ts";
import type { AttemptDocument, Health, OverviewDocument, ProjectDocument, Source } from "../web/api.ts";
import { prometheusText } from "../web/prometheus.ts";

/** So many landings and failures are drawn as points, and attempts of one project are shown. */
const mostEnded = 500;
const mostAttempts = 50;

export type Settings = {
  /** the open queue, anew after it was lost */
  queue(): Promise<Queue>;
  /** unix milliseconds */
  now(): number;
  /** how often the timer ticks, in milliseconds */
  readonly every: number;
  /** the queue, as it is shown */
  readonly place: string;
  /** what the commands that are named need, to mean the same queue: ` --db X`, or nothing */
  readonly options: string;
};

/** What `status` and `stats` tell, for the page and for monitors: the same values from the same functions. */
export function dashboardSource({ queue: open, now, every, place, options }: Settings): Source {
  return {
    async overview(sinceMs) {
      const queue = await open();
      const at = now();
      return { database: place, ...(await overviewOf(queue, at - sinceMs, at, every)) };
    },
    async queue({ states, search, offset, limit }) {
      const filter = states.size === 0 ? "all" : states;
      const { projects, matching } = await readOverview(
        await open(),
        filter,
        { all: limit, each: null },
        { offset, search },
      );
      return { matching, offset, projects: projects.map((project) => projectDocument(project, options)) };
    },
    async story(id) {
      const queue = await open();
      const { project } = await readOne(queue, id);
      if (project === undefined) return undefined;
      const history = (await readAttempts(queue, id, mostAttempts)).toReversed().map(attemptDocument);
      return { project: projectDocument(project, options), history };
    },
    metrics: async () => prometheusText(await readMetrics(await open()), version, now()),
    health: async () => healthOf(await readLastTick(await open()), now(), every),
    version: async () => await readVersion(await open(), now()),
  };
}

async function overviewOf(
  queue: Queue,
  since: number,
  now: number,
  every: number,
): Promise<Omit<OverviewDocument, "database">> {
  const statistics = await readStatistics(queue, since, now);
  const { healthy, lastTick } = healthOf(await readLastTick(queue), now, every);
  return {
    now,
    version,
    counts: await readCounts(queue),
    since,
    merged: statistics.merged,
    failed: statistics.failed,
    successRate: statistics.successRate,
    mergedLast24h: statistics.mergedLast24h,
    p50Ms: statistics.timeToLand.p50Ms,
    p95Ms: statistics.timeToLand.p95Ms,
    reasons: statistics.reasons,
    perDay: statistics.perDay,
    ended: await readEnded(queue, since, mostEnded),
    lastTick,
    healthy,
    pushesOwed: (await debts(queue, null)).length,
    running: (await leasedRepositories(queue)).length > 0,
  };
}

/** Ill when three ticks in a row have not ended well. */
function healthOf(lastTick: number | null, now: number, every: number): Health {
  if (lastTick === null) return { healthy: false, lastTick, because: "no tick has ended well yet" };
  const passed = now - lastTick;
  if (passed > 3 * every) return { healthy: false, lastTick, because: "no tick has ended well in three intervals" };
  return { healthy: true, lastTick, because: "a tick has ended well in the last three intervals" };
}

/** When it came to stand where it stands, as in `status`: completed, held, failed, merged. */
function momentOf({ standing, since, attempt, completedAt, mergedAt }: Project): number | null {
  if (standing === "pending" || standing === "skipped") return completedAt;
  if (standing === "merged") return mergedAt;
  return standing === "not_completed" ? null : (since ?? attempt?.finishedAt ?? null);
}

function projectDocument(project: Project, options: string): ProjectDocument {
  const { id, standing, attempt, reason } = project;
  const stuck = standing === "failed" || standing === "held";
  const words = { skipped: project.mergedStatus, not_completed: project.status };
  return {
    id,
    name: project.name,
    state: standing,
    word: standing === "skipped" || standing === "not_completed" ? words[standing] : null,
    at: momentOf(project),
    reason,
    detail: project.detail ?? (project.again ? "completed again" : null),
    advice: stuck ? advice(standing, reason, id, options) : null,
    target: attempt?.target == null ? null : shortName(attempt.target),
    mergeCommit: attempt?.mergeCommit ?? null,
    push: attempt?.push ?? null,
    pushDetail: attempt?.pushDetail ?? null,
    nextAttemptAt: project.nextAttemptAt,
    completedAt: project.completedAt,
    mergedAt: project.mergedAt,
    priority: project.priority,
    tags: project.tags,
    attempts: project.attempts,
    projectPath: project.projectPath,
    specPath: project.specPath,
  };
}

/** Of a long output the end is shown, where the error is. Characters. */
const longestOutput = 64_000;

function attemptDocument(past: PastAttempt): AttemptDocument {
  const short = (ref: string | null): string | null => (ref === null ? null : shortName(ref));
  return {
    id: past.attemptId,
    outcome: past.outcome,
    reason: past.reason,
    detail: past.detail,
    startedAt: past.startedAt,
    landingAt: past.landingAt,
    recordedAt: past.recordedAt,
    finishedAt: past.finishedAt,
    target: short(past.target),
    base: past.base,
    mergeCommit: past.mergeCommit,
    backup: short(past.backupRef),
    tag: past.tag,
    push: past.push,
    heads: past.heads.map(({ role, oid, branch, worktree }) => ({
      role,
      oid,
      place: branch ? shortName(branch) : (worktree ?? null),
    })),
    gates: past.gates.map(({ name, verdict, durationMs }) => ({ name, verdict, durationMs: durationMs ?? null })),
    conflicts: past.conflicts,
    warnings: past.warnings,
    output: past.output?.slice(-longestOutput) ?? null,
  };
}
