import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@libsql/client/sqlite3";
import { migrate } from "../src/queue/migrate.ts";
import { timed } from "./measure.ts";
import type { Scenario } from "./scenario.ts";
import { bareNode, type World } from "./world.ts";

/** A tick that finds nothing to do, in a queue whose whole history has landed, against a Node that does nothing. */
export async function idle(world: World, rows: number, rounds: number): Promise<Scenario> {
  const dir = join(world.dir, `idle-${rows}`);
  mkdirSync(dir);
  const database = join(dir, "task_queue.db");
  await fill(database, rows);
  const command = world.program(["run", "--db", database]);
  await timed(command); // the hourly comparison of all rows falls into this one
  return {
    name: `idle tick, ${rows.toLocaleString("en")} rows`,
    rounds,
    bound: { atMost: 2.5 },
    ours: {
      name: "run",
      command,
      prepare: async () => {},
      check: async (stdout) => {
        if (!stdout.includes("Nothing to do")) throw new Error(`not idle: ${stdout}`);
      },
    },
    peer: {
      name: "node -e 0",
      command: { file: bareNode, args: ["-e", "0"], env: world.env, cwd: world.dir },
      prepare: async () => {},
      check: async () => {},
    },
  };
}

/** The queue as the orchestrator makes it, with `rows` projects that landed long ago, and what we remember of them. */
async function fill(database: string, rows: number): Promise<void> {
  await migrate({ location: database, dryRun: false, baseline: null, now: Date.now() });
  const client = createClient({ url: `file:${database}`, concurrency: 1, timeout: 5000 });
  await client.executeMultiple(`
    BEGIN;
    CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) SELECT i FROM n;
    INSERT INTO project_queue (spec_path, project_path, status, started_at, completed_at, merged_status, merged_at)
      SELECT '/specs/project_' || i || '.md', '/projects/' || i % 50, 'completed', 1600000000 + i, 1600000600 + i, 'merged', 1600000900 + i FROM n;
    INSERT INTO merge_project (project_id, generation, recorded_status, state, since)
      SELECT id, '["' || spec_path || '",' || CAST(started_at AS INTEGER) || ',' || CAST(completed_at AS INTEGER) || ']', 'merged', 'merged', merged_at * 1000
      FROM project_queue;
    INSERT INTO merge_attempt (attempt_id, project_id, name, run_id, started_at, finished_at, outcome, repository, target, push)
      SELECT 'A' || id, id, 'project_' || id, 'R', merged_at * 1000, merged_at * 1000 + 500, 'merged', project_path, 'refs/heads/main', 'pushed'
      FROM project_queue;
    DROP TABLE n;
    COMMIT;`);
  client.close();
}
