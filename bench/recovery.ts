import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { migrate } from "../src/queue/migrate.ts";
import { bareRun, timed } from "./measure.ts";
import type { Scenario } from "./scenario.ts";
import { landed, makeProject, refreshed, withQueue } from "./small.ts";
import { killingGit, type World } from "./world.ts";

/**
 * A run that was killed when it was about to bring the checkout forward, and the one that finishes what it had begun; against two idle
 * ticks and a run of the same work from its beginning. What was left is less than the whole, so the bound is a little generous.
 */
export async function recovery(world: World, rounds: number): Promise<Scenario> {
  const dir = join(world.dir, "recovery");
  const [place, kept] = [join(dir, "work"), join(dir, "kept")];
  mkdirSync(place, { recursive: true });
  makeProject(world, join(place, "0"));
  const database = await withQueue(place, 1);
  const idle = join(dir, "idle.db");
  await migrate({ location: idle, dryRun: false, baseline: null, now: Date.now() });
  cpSync(place, kept, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  const restore = async () => {
    rmSync(place, { recursive: true });
    cpSync(kept, place, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    refreshed(world, join(place, "0"));
  };
  const check = async () => landed(world, join(place, "0"));
  const run = world.program(["run", "--db", database]);
  const tick = world.program(["run", "--db", idle]);
  const killed = { ...run, env: killingGit(world, "merge") };
  return {
    name: "recovery of a killed run",
    rounds,
    bound: { atMost: 1 },
    ours: {
      name: "run after a kill",
      command: run,
      prepare: async () => {
        await restore();
        await bareRun(killed);
      },
      check,
    },
    peer: {
      name: "two idle ticks and an undisturbed run",
      command: world.inTurn([tick, tick, run]),
      prepare: async () => {
        await restore();
        await timed(tick);
      },
      check,
    },
  };
}
