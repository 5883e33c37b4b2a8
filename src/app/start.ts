import { tmpdir } from "node:os";
import { ulid } from "ulid";
import type { Config } from "../host/config.ts";
import { type Log, logAbout } from "../host/log.ts";
import type { Candidate } from "../queue/candidates.ts";
import type { Queue } from "../queue/database.ts";
import { recordIdle } from "../queue/runs.ts";
import type { App } from "./context.ts";
import type { Look } from "./look.ts";
import { emptyReport, type Report } from "./report.ts";
import { outboxOf, tell } from "./tell.ts";
import { findWork, type TickOptions } from "./work.ts";

/** The world around one tick, as the command line has it. */
export type World = {
  readonly queue: Queue;
  readonly config: Config;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly dryRun: boolean;
  now(): number;
  progress(step: string): void;
};

/** Runs one tick in the real world: clock, randomness, processes. Its value is the report. */
export async function startTick(world: World, options: TickOptions): Promise<Report> {
  const { queue, dryRun } = world;
  const startedAt = world.now();
  // Ids must differ, not be secret; and the system's generator is not loaded for one.
  const runId = ulid(startedAt, Math.random);
  const log = logAbout(world.log, { run: runId });
  const work = await findWork(queue, options, startedAt, world.config.push.mode !== "off");
  if (work.idle) {
    if (!dryRun) await recordIdle(queue, startedAt, work.housekeeping);
    const later = work.waiting === 0 ? "" : ` (${work.waiting} tried again later)`;
    log.info(`No projects pending merge${later}`);
    await tell(world);
    return emptyReport(runId, startedAt, dryRun);
  }
  // Loaded only now: zx and all that works with git cost an idle tick a third of its time.
  const [{ tick }, { isAlive, self }] = await Promise.all([import("./tick.ts"), import("../git/orphans.ts")]);
  const report = await tick(appOf(world, runId, startedAt), work, { runId, ...self() }, isAlive, options);
  await tell(world);
  return report;
}

/** What the pipeline works with, in the real world. */
function appOf(world: World, runId: string, startedAt: number): App {
  return {
    queue: world.queue,
    config: world.config,
    log: logAbout(world.log, { run: runId }),
    outbox: outboxOf(world.config),
    runId,
    dryRun: world.dryRun,
    span: { startedAt, deadline: startedAt + world.config.run.maxRuntimeMs, gates: 0 },
    now: world.now,
    random: Math.random,
    newId: () => ulid(world.now(), Math.random),
    progress: world.progress,
    git: {
      env: world.env,
      runId,
      timeoutMs: world.config.run.mergeTimeoutMs,
      signal: world.signal,
      cwd: tmpdir(),
      count: { processes: 0 },
    },
  };
}

/** Looks at one project as a tick would, and writes nothing. */
export async function startLook(world: Omit<World, "dryRun">, candidate: Candidate): Promise<Look> {
  const [{ look }, { isAlive, self }] = await Promise.all([import("./look.ts"), import("../git/orphans.ts")]);
  const startedAt = world.now();
  const runId = ulid(startedAt, Math.random);
  return await look(appOf({ ...world, dryRun: true }, runId, startedAt), { runId, ...self() }, isAlive, candidate);
}
