import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@libsql/client/sqlite3";
import { migrate } from "../src/queue/migrate.ts";
import type { Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

/** A dry run over 10,000 candidates and 100 rules, all of which are asked, against one over 1,000: linear is at most ten times as long. */
export async function rules(world: World, rounds: number): Promise<Scenario> {
  const dir = join(world.dir, "rules");
  mkdirSync(dir);
  const config = join(dir, "config.toml");
  const glob = (n: number) => (n === 99 ? "*" : `{shop,api,web}-${n}-*`);
  const rule = (n: number) =>
    `[[rule]]\nmatch = { name = "${glob(n)}", priority = ">= 0" }\nafter = ["base"]\naction = "skip"\n`;
  writeFileSync(config, Array.from({ length: 100 }, (_, n) => rule(n)).join("\n"));
  const side = async (count: number) => {
    const database = join(dir, `${count}.db`);
    await fill(database, count);
    return {
      name: `${count.toLocaleString("en")} candidates`,
      command: world.program(["run", "--dry-run", "--limit", "all", "--db", database, "--config", config]),
      prepare: async () => {},
      check: async (stdout: string) => {
        if (!stdout.includes(`${count} held`)) throw new Error(`not ${count} held: ${stdout.slice(-200)}`);
      },
    };
  };
  const [ours, peer] = [await side(10_000), await side(1_000)];
  return { name: "100 rules, ten times the candidates", rounds, bound: { atMost: 10 }, ours, peer };
}

async function fill(database: string, rows: number): Promise<void> {
  await migrate({ location: database, dryRun: false, baseline: null, now: Date.now() });
  const client = createClient({ url: `file:${database}`, concurrency: 1, timeout: 5000 });
  await client.execute(
    `INSERT INTO project_queue (spec_path, project_path, status, started_at, completed_at, merged_status)
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
     SELECT '/specs/shop-' || i || '.md', '/projects/' || i % 50, 'completed', 1600000000 + i, 1600000600 + i, 'pending_merge' FROM n`,
  );
  client.close();
}
