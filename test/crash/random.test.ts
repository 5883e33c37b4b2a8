import { expect, test } from "vitest";
import { interruptAtRandom, type Killed, killAtRandom, randomness } from "./kills.ts";
import { scenarios } from "./scenarios.ts";
import { setAmbush } from "./shim.ts";
import type { Slot } from "./slot.ts";
import { inParallel, type Known } from "./sweep.ts";

/*
 * Deaths and signals at moments that nobody chose: the seed is new each time and printed, ORCHESTRATOR_MERGE_CRASH_SEED sets it. Not
 * the same moments again, for those are the machine's, but the same plan.
 */
const whole = process.env["ORCHESTRATOR_MERGE_CRASH"] === "whole";
const seed = Number(process.env["ORCHESTRATOR_MERGE_CRASH_SEED"] ?? Date.now() % 1_000_000);
const limit = whole ? 7_200_000 : 300_000;

test("killed at random moments, recovery too", { timeout: limit }, async () => {
  await atRandom("random kills", whole ? 500 : 30, killAtRandom);
});

test("SIGTERM and SIGINT at random moments", { timeout: limit }, async () => {
  await atRandom("random signals", whole ? 200 : 20, interruptAtRandom);
});

async function atRandom(what: string, count: number, one: typeof killAtRandom): Promise<void> {
  const outcomes: Killed[] = [];
  for (const [index, scenario] of scenarios.entries()) {
    const share = Math.floor(count / scenarios.length) + (index < count % scenarios.length ? 1 : 0);
    const seeds = Array.from({ length: share }, (_, nth) => seed + index * 10_000 + nth);
    const spans = new Map<Slot, number>();
    const each = async (slot: Slot, known: Known, each: number): Promise<Killed> => {
      const span = spans.get(slot) ?? (await spanOf(slot));
      spans.set(slot, span);
      const { story, wrong } = await one(slot, known, randomness(each), span);
      return { story: `${scenario.name}: ${story}`, wrong };
    };
    outcomes.push(...(await inParallel(scenario, 2, seeds, each)));
  }
  const bad = outcomes.filter(({ wrong }) => wrong.length > 0);
  const early = outcomes.filter(({ story }) => story.includes("over before")).length;
  console.log(`${what} (seed ${seed}): ${outcomes.length}, ${early} of them came too late, ${bad.length} bad`);
  expect(outcomes.length).toBe(count);
  expect(bad.map(({ story, wrong }) => `${story}\n    ${wrong.join("\n    ")}`).join("\n")).toBe("");
}

/** How long a run takes in this slot, in milliseconds. */
async function spanOf(slot: Slot): Promise<number> {
  await slot.reset();
  setAmbush(slot.path, { kind: "none" });
  const since = performance.now();
  await slot.run();
  return performance.now() - since;
}
