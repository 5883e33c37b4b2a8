import type { Scenario } from "./scenarios.ts";
import type { Point } from "./shim.ts";
import { makeSlot, type Slot } from "./slot.ts";
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

/** One death to die. */
export type Site = { readonly point: Point; die(slot: Slot, known: Known): Promise<Outcome> };

/** Every call of every git, for each way to die at it, and every call of our own. */
export async function sitesOf(scenario: Scenario): Promise<Site[]> {
  return await withSlot(scenario, async (slot) => {
    const { points } = await undisturbed(slot);
    const own = await ownPoints(slot);
    const modes: readonly Mode[] = ["git", "tree", "program", "full disk"];
    // Removing needs no room, and neither does what is said to another process.
    const fits = ({ call, text }: Point, mode: Mode) =>
      mode !== "full disk" || !(/^(unlink|rmdir)/.test(call) || /^\w+\(\d+<(socket|pipe):/.test(text));
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
  });
}

/** Every call of the recovery from a few deaths: in either transaction, among the files, between index and branch, in the push. */
export async function sitesInRecovery(scenario: Scenario): Promise<Site[]> {
  return await withSlot(scenario, async (slot) => {
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
  });
}

/** The calls that touch what lasts: not the scratch, and not what git only says. */
export const lasting = ({ point }: Site): boolean =>
  !point.text.includes("/world/tmp/") && !/^(write|writev)\(1</.test(point.text);

/** So many items, evenly spread. */
export function spread<T>(items: readonly T[], count: number): T[] {
  const step = Math.max(1, items.length / count);
  return items.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
}

/** What came of dying at each of `sites`, in a sentence and in detail. */
export async function tryAll(scenario: Scenario, sites: readonly Site[]) {
  const outcomes = await inParallel(scenario, 2, sites, (slot, known, one) => one.die(slot, known));
  const bad = outcomes.filter(({ wrong }) => wrong.length > 0);
  const missed = outcomes.filter(({ reached }) => !reached).length;
  return {
    tried: outcomes.length,
    missed,
    bad: bad.length,
    told: bad.map(({ point, mode, wrong }) => `[${mode}] ${point.process}: ${point.text}\n    ${wrong.join("\n    ")}`),
  };
}

/** Works in a slot of its own. */
export async function withSlot<T>(scenario: Scenario, work: (slot: Slot) => Promise<T>): Promise<T> {
  const slot = await makeSlot(scenario);
  try {
    return await work(slot);
  } finally {
    slot.remove();
  }
}

const site = (point: Point, death: Site["die"]): Site => ({ point, die: death });
