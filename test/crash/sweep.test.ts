import { expect, test } from "vitest";
import { type Scenario, scenarios } from "./scenarios.ts";
import type { Point } from "./shim.ts";
import { makeSlot, type Slot } from "./slot.ts";
import { haveStrace } from "./strace.ts";
import {
  die,
  dieBy,
  dieTwice,
  inParallel,
  type Known,
  type Mode,
  type Outcome,
  ownPoints,
  pointsOfRecovery,
  undisturbed,
} from "./sweep.ts";

/*
 * Kills at every file-changing system call, and looks at what recovery makes of it. `npm test` tries a few points of each scenario,
 * spread over all; `npm run test:crash` tries every one.
 */
const traceable = haveStrace();
const whole = process.env["ORCHESTRATOR_MERGE_CRASH"] === "whole";
const few = 15;
const limit = whole ? 7_200_000 : 300_000;

/** One death to die. */
type Site = { readonly point: Point; die(slot: Slot, known: Known): Promise<Outcome> };

for (const scenario of scenarios) {
  test.runIf(traceable)(`${scenario.name}: killed at file-changing calls`, { timeout: limit }, async () => {
    const sites = await withSlot(scenario, sitesOf);
    await tell(scenario, "killed", sites);
  });
}

for (const scenario of scenarios) {
  test.runIf(traceable && whole)(`${scenario.name}: killed again while recovering`, { timeout: limit }, async () => {
    const sites = await withSlot(scenario, sitesInRecovery);
    await tell(scenario, "killed again while recovering", sites);
  });
}

test.runIf(traceable)("an engine that moves the ref before the files is caught", { timeout: limit }, async () => {
  const [scenario] = scenarios;
  if (scenario === undefined) throw new Error("no scenario");
  const { points } = await withSlot(scenario, (slot) => undisturbed(slot, true));
  const swept = points.filter(({ process }) => process.startsWith("read-tree"));
  const chosen = spread(swept, whole ? swept.length : 6);
  const outcomes = await inParallel(scenario, 2, chosen, (slot, known, point) => die(slot, known, point, "tree", true));
  const bad = outcomes.filter(({ wrong }) => wrong.length > 0);
  console.log(`${scenario.name}, wrong order: ${outcomes.length} of ${swept.length} points, ${bad.length} bad`);
  expect(outcomes.every(({ reached }) => reached)).toBe(true);
  expect(bad.length).toBeGreaterThan(0);
});

/** Every call of every git, for each way to die at it, and every call of our own. */
async function sitesOf(slot: Slot): Promise<Site[]> {
  const { points } = await undisturbed(slot);
  const own = await ownPoints(slot);
  const modes: readonly Mode[] = ["git", "tree", "program", "full disk"];
  // Removing needs no room.
  const fits = ({ call }: Point, mode: Mode) => mode !== "full disk" || !/^(unlink|rmdir)/.test(call);
  const lasts = points.filter((point, index) => points[index + 1]?.process !== point.process);
  return [
    ...points.flatMap((point) =>
      modes
        .filter((mode) => fits(point, mode))
        .map((mode) => site(point, (slot, known) => die(slot, known, point, mode))),
    ),
    ...lasts.map((point) => site(point, (slot, known) => die(slot, known, point, "finishing"))),
    ...own.flatMap((point) =>
      (["tree", "program"] as const).map((mode) => site(point, (slot, known) => dieBy(slot, known, point, mode))),
    ),
  ];
}

/** Every call of the recovery from a few deaths: in either transaction, among the files, between index and branch, in the push. */
async function sitesInRecovery(slot: Slot): Promise<Site[]> {
  const { points } = await undisturbed(slot);
  const marks = [
    /^rename.*orchestrator\/pending/,
    /^write.*(large\.bin|text\.txt)/,
    /logs\/HEAD/,
    /^rename.*tags\/integration/,
  ];
  const firsts = marks.flatMap((mark) => points.findLast(({ text }) => mark.test(text)) ?? []);
  const sites: Site[] = [];
  for (const first of firsts) {
    for (const second of await pointsOfRecovery(slot, first)) {
      sites.push(site(second, (slot, known) => dieTwice(slot, known, first, second)));
    }
  }
  return sites;
}

const site = (point: Point, death: Site["die"]): Site => ({ point, die: death });

async function withSlot<T>(scenario: Scenario, work: (slot: Slot) => Promise<T>): Promise<T> {
  const slot = await makeSlot(scenario);
  try {
    return await work(slot);
  } finally {
    slot.remove();
  }
}

/** So many items, evenly spread; those whose calls only touch what is thrown away come last. */
function spread<T>(items: readonly T[], count: number): T[] {
  const step = Math.max(1, items.length / count);
  return items.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
}

async function tell(scenario: Scenario, how: string, sites: readonly Site[]): Promise<void> {
  const real = sites.filter(
    ({ point }) => !point.text.includes("/world/tmp/") && !/^(write|writev)\(1</.test(point.text),
  );
  const chosen = whole ? sites : spread(real, few);
  const outcomes = await inParallel(scenario, 2, chosen, (slot, known, one) => one.die(slot, known));
  const bad = outcomes.filter(({ wrong }) => wrong.length > 0);
  const missed = outcomes.filter(({ reached }) => !reached).length;
  console.log(
    `${scenario.name}, ${how}: ${outcomes.length} of ${sites.length} points, ${missed} not reached, ${bad.length} bad`,
  );
  const told = bad.map(
    ({ point, mode, wrong }) => `[${mode}] ${point.process}: ${point.text}\n    ${wrong.join("\n    ")}`,
  );
  expect(outcomes.length).toBeGreaterThan(0);
  expect(missed).toBeLessThan(outcomes.length / 10 + 1);
  expect(told.join("\n")).toBe("");
}
