import { tmpdir } from "node:os";
import { ulid } from "ulid";
import { isAlive, self } from "../git/orphans.ts";
import type { Config } from "../host/config.ts";
import type { Log } from "../host/log.ts";
import type { Queue } from "../queue/database.ts";
import type { App } from "./context.ts";
import type { Report } from "./report.ts";
import { type TickOptions, tick } from "./tick.ts";

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
  const runId = ulid(world.now());
  const app: App = {
    queue: world.queue,
    config: world.config,
    log: world.log,
    runId,
    dryRun: world.dryRun,
    now: world.now,
    random: Math.random,
    newId: () => ulid(world.now()),
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
  return await tick(app, { runId, ...self() }, isAlive, options);
}
