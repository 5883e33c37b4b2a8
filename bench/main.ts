import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { idle } from "./idle.ts";
import { large } from "./large.ts";
import { type PeakRow, peaks } from "./peaks.ts";
import { recovery } from "./recovery.ts";
import { rules } from "./rules.ts";
import { measure, type Row } from "./scenario.ts";
import { small } from "./small.ts";
import { asJson, asTable } from "./table.ts";
import { makeWorld } from "./world.ts";

/*
 * npm run bench [-- --json] [-- --only idle,recovery,rules,small,large,peaks] [-- --rounds N] [-- --files N] [-- --branches N]
 *
 * Shows how the built program does against its peers, by ratio, from one interleaved run. Nothing is asserted: it fails only when a run
 * itself fails. bench/README.md says how to read it.
 */
const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    only: { type: "string", default: "idle,recovery,rules,small,large,peaks" },
    rounds: { type: "string" },
    files: { type: "string", default: "20000" },
    branches: { type: "string", default: "100" },
  },
});
const only = new Set(values.only.split(","));
const rounds = (usual: number) => Number(values.rounds ?? usual);
const progress = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

const dir = realpathSync(mkdtempSync(join(tmpdir(), "orchestrator-merge-bench-")));
const rows: Row[] = [];
const needed: PeakRow[] = [];
try {
  const world = makeWorld(dir);
  if (only.has("idle"))
    for (const count of [1000, 200_000]) rows.push(await measure(await idle(world, count, rounds(21)), progress));
  if (only.has("recovery")) rows.push(await measure(await recovery(world, rounds(21)), progress));
  if (only.has("rules")) rows.push(await measure(await rules(world, rounds(5)), progress));
  if (only.has("small")) rows.push(await measure(await small(world, 20, rounds(9)), progress));
  if (only.has("large")) {
    const size = { files: Number(values.files), branches: Number(values.branches), rounds: rounds(3) };
    for await (const scenario of large(world, size, progress)) rows.push(await measure(scenario, progress));
  }
  if (only.has("peaks")) for await (const row of peaks(world, progress)) needed.push(row);
} finally {
  progress("");
  rmSync(dir, { recursive: true, force: true });
}
process.stdout.write(values.json ? asJson(rows, needed) : asTable(rows, needed));
