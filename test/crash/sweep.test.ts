import { expect, test } from "vitest";
import { allScenarios, type Scenario, scenarios } from "./scenarios.ts";
import { lasting, type Site, sitesInRecovery, sitesOf, spread, tryAll, withSlot } from "./sites.ts";
import { haveStrace } from "./strace.ts";
import { die, inParallel, undisturbed } from "./sweep.ts";

/*
 * Kills at every file-changing system call, and looks at what recovery makes of it. `npm test` tries a few points of each scenario,
 * spread over all; `npm run test:crash` tries every one.
 */
const traceable = haveStrace();
const whole = process.env["ORCHESTRATOR_MERGE_CRASH"] === "whole";
const few = 10;
const limit = whole ? 7_200_000 : 300_000;

for (const scenario of allScenarios) {
  test.runIf(traceable)(`${scenario.name}: killed at file-changing calls`, { timeout: limit }, async () => {
    await sweep(scenario, "killed", await sitesOf(scenario));
  });
}

// Of the whole alone: a test that is always skipped says nothing.
for (const scenario of whole ? scenarios : []) {
  test.runIf(traceable)(`${scenario.name}: killed again while recovering`, { timeout: limit }, async () => {
    await sweep(scenario, "killed again while recovering", await sitesInRecovery(scenario));
  });
}

test.runIf(traceable)("an engine that moves the ref before the files is caught", { timeout: limit }, async () => {
  const [scenario] = scenarios;
  if (scenario === undefined) throw new Error("no scenario");
  const { points } = await withSlot(scenario, (slot) => undisturbed(slot, true));
  const swept = points.filter(({ process }) => process.startsWith("read-tree"));
  const chosen = spread(swept, whole ? swept.length : 4);
  const outcomes = await inParallel(scenario, 2, chosen, (slot, known, point) => die(slot, known, point, "tree", true));
  const bad = outcomes.filter(({ wrong }) => wrong.length > 0);
  console.log(`${scenario.name}, wrong order: ${outcomes.length} of ${swept.length} points, ${bad.length} bad`);
  expect(outcomes.filter(({ reached }) => !reached).length).toBeLessThan(outcomes.length / 10 + 1);
  expect(bad.length).toBeGreaterThan(0);
});

async function sweep(scenario: Scenario, how: string, sites: readonly Site[]): Promise<void> {
  const some = scenarios.includes(scenario) ? few : few / 2;
  const { tried, missed, bad, told } = await tryAll(scenario, whole ? sites : spread(sites.filter(lasting), some));
  console.log(`${scenario.name}, ${how}: ${tried} of ${sites.length} points, ${missed} not reached, ${bad} bad`);
  expect(tried).toBeGreaterThan(0);
  expect(missed).toBeLessThan(tried / 10 + 1);
  expect(told.join("\n")).toBe("");
}
