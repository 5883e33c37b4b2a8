import { visible } from "../core/describe.ts";
import { UserError } from "../core/errors.ts";
import type { GitContext } from "../git/process.ts";
import type { Env, Inspected, LoadedConfig } from "../host/config.ts";
import type { DatabaseChoice } from "../host/paths.ts";
import type { Queue } from "../queue/database.ts";
import { type Health, readHealth } from "../queue/health.ts";
import { dbFlag } from "../queue/location.ts";
import { type Check, fail, failed, ok } from "./doctor/check.ts";
import { checkClock, checkUnits, meetManager, timerEnvironment } from "./doctor/host.ts";
import { checkNotify } from "./doctor/notify.ts";
import { checkGit, checkLeftovers, checkRemotes } from "./doctor/repositories.ts";

/** How many repositories' remotes are asked. */
const repositories = 5;

export type Patient = {
  readonly env: Env;
  readonly git: GitContext;
  /** unix milliseconds */
  readonly now: number;
  inspectConfig(): Promise<Inspected>;
  /** Throws UserError, as the two that follow. */
  database(): Promise<DatabaseChoice>;
  withQueue(work: (queue: Queue) => Promise<Check[]>): Promise<Check[]>;
  progress(step: string): void;
};

/** Looks at everything that a run needs, in the order in which it needs it. What cannot be looked at for an earlier failure is left out. */
export async function examine(patient: Patient): Promise<Check[]> {
  const { env, git, now } = patient;
  const checks: Check[] = [await checkGit(git)];
  let loaded: LoadedConfig | undefined;
  try {
    const config = await patient.inspectConfig();
    loaded = config.loaded;
    checks.push(judgeConfig(config));
  } catch (error) {
    checks.push(failed("config", error));
  }
  const manager = await meetManager(env);
  let database: DatabaseChoice | null = null;
  let health: Health | null = null;
  const ofQueue: Check[] = [];
  if (loaded !== undefined) {
    const { config } = loaded;
    checks.push(...checkNotify(config.notify, env));
    try {
      database = await patient.database();
      const { location, source } = database;
      const db = source === "--db" ? ` ${dbFlag(location)}` : "";
      ofQueue.push(
        ...(await patient.withQueue(async (queue) => {
          health = await readHealth(queue, repositories);
          const ofTimer = await timerEnvironment(env, manager);
          const agentHere = ofTimer["SSH_AUTH_SOCK"] !== env["SSH_AUTH_SOCK"];
          const context = { ...git, env: ofTimer };
          const found = await checkRemotes(context, config, health.repositories, agentHere, patient.progress);
          return [await checkLeftovers(queue, health, db), ...found];
        })),
      );
      checks.push(ok("database", `${visible(location)} (${source})`));
    } catch (error) {
      const chosen = database === null ? "" : ` (${visible(database.location)}: ${database.source})`;
      if (!(error instanceof UserError)) throw error;
      checks.push(fail("database", error.sentence.replace(/\.$/, `${chosen}.`), error.wayOut));
    }
  }
  checks.push(...(await checkUnits(env, manager, database)));
  checks.push(checkClock(now, latestOf(health)));
  return [...checks, ...ofQueue];
}

const latestOf = (health: Health | null): number | null => health?.latest ?? null;

function judgeConfig({ file, problems }: Inspected): Check {
  const [first, ...others] = problems;
  if (first === undefined)
    return ok("config", file === undefined ? "no file, all defaults" : `${file.path} (${file.source})`);
  const more = others.length === 0 ? "" : ` (${others.length} more: orchestrator-merge config check)`;
  return fail("config", first.sentence, `${first.wayOut}${more}`);
}
