import { expect, test } from "vitest";
import { scenarios } from "./scenarios.ts";
import type { Point } from "./shim.ts";
import { makeSlot } from "./slot.ts";
import { haveStrace } from "./strace.ts";
import { die, dieBy, inParallel, type Known, type Mode, type Outcome, ownPoints, undisturbed } from "./sweep.ts";

const traceable = haveStrace();
const whole = process.env["ORCHESTRATOR_MERGE_CRASH"] === "full";
const every = Number(process.env["EVERY"] ?? (whole ? 1 : 17));
const modes: readonly Mode[] = process.env["MODES"]
  ? (process.env["MODES"].split(",") as Mode[])
  : ["git", "tree", "program"];

for (const scenario of scenarios) {
  test.runIf(traceable)(`${scenario.name}: killed at file-changing calls of git`, { timeout: 7_200_000 }, async () => {
    const known = await knownOf(scenario);
    const sites = modes.flatMap((mode) => known.points.map((point) => ({ point, mode })));
    const chosen = sites.filter((_, index) => index % every === 0);
    const outcomes = await inParallel(scenario, 2, chosen, (slot, seen, { point, mode }) =>
      die(slot, seen, point, mode),
    );
    tell(`${scenario.name}, calls of git`, sites.length, outcomes);
  });
  test.runIf(traceable)(
    `${scenario.name}: killed at file-changing calls of its own`,
    { timeout: 7_200_000 },
    async () => {
      const slot = await makeSlot(scenario);
      const points = await ownPoints(slot);
      slot.remove();
      const sites = (["tree", "program"] as const).flatMap((mode) => points.map((point) => ({ point, mode })));
      const chosen = sites.filter((_, index) => index % every === 0);
      const outcomes = await inParallel(scenario, 2, chosen, (each, seen, { point, mode }) =>
        dieBy(each, seen, point, mode),
      );
      tell(`${scenario.name}, calls of its own`, sites.length, outcomes);
    },
  );
}

async function knownOf(scenario: (typeof scenarios)[number]): Promise<Known> {
  const slot = await makeSlot(scenario);
  try {
    return await undisturbed(slot);
  } finally {
    slot.remove();
  }
}

function tell(what: string, points: number, outcomes: readonly Outcome[]): void {
  const bad = outcomes.filter(({ wrong }) => wrong.length > 0);
  const missed = outcomes.filter(({ reached }) => !reached).length;
  console.log(`${what}: ${outcomes.length} of ${points} points, ${missed} not reached, ${bad.length} bad`);
  const told = bad.map(
    ({ point, mode, wrong }: Outcome) => `[${mode}] ${point.process}: ${point.text}\n    ${wrong.join("\n    ")}`,
  );
  expect(outcomes.length).toBeGreaterThan(0);
  expect(told.join("\n")).toBe("");
}

export type { Point };
