import { afterAll, expect, test } from "vitest";
import { waitsOver } from "../helpers/landing.ts";
import {
  corruptDatabase,
  type Disturbance,
  databaseCalls,
  type Failure,
  failingDatabase,
  fewFiles,
  fullDisk,
  goneDatabase,
  lockedDatabase,
  noMoreFiles,
  readOnly,
} from "./disturb.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import { type Gap, setAmbush } from "./shim.ts";
import { spread } from "./sites.ts";
import { makeSlot, type Run, type Slot } from "./slot.ts";
import { haveStrace } from "./strace.ts";
import { finish, type Known, undisturbed } from "./sweep.ts";

/*
 * A host that refuses: disks without room, file systems that are read-only, no more files to open, a database that is locked, damaged,
 * gone or unreadable from some moment on. The run ends by itself with a code and a sentence; when the host is right again, everything
 * comes right.
 */

const traceable = haveStrace();
const whole = process.env["ORCHESTRATOR_MERGE_CRASH"] === "whole";
const limit = { timeout: whole ? 7_200_000 : 300_000 };
const [checkedOut, , , withOrigin] = scenarios;

type Case = { readonly name: string; readonly disturb: Disturbance };
type Row = {
  readonly name: string;
  readonly scenario?: Scenario | undefined;
  /** How many of the cases are tried in `npm test`. */
  readonly few: number;
  cases(slot: Slot, known: Known): Case[] | Promise<Case[]>;
  /** Findings of judge() that come of the disturbance itself. */
  readonly accepted?: RegExp;
};

const kilobytes = (place: string, from: number, to: number): Case[] =>
  Array.from({ length: (to - from) / 4 + 1 }, (_, index) => from + index * 4).map((free) => ({
    name: `${free} KB free`,
    disturb: fullDisk(place, free),
  }));

const atGaps = (known: Known, how: (gap: Gap) => Disturbance): Case[] =>
  known.gaps
    .filter(({ when, process }) => when === "before" || /^(merge|update-ref)\./.test(process))
    .map((gap) => ({ name: `${gap.when} ${gap.process}`, disturb: how(gap) }));

const fromEvery = async (slot: Slot, failure: Failure): Promise<Case[]> =>
  Array.from({ length: await databaseCalls(slot, failure) }, (_, index) => ({
    name: `from the ${index + 1}. call on`,
    disturb: failingDatabase(failure, index + 1),
  }));

const writes = "pwrite64,ftruncate,fallocate,fdatasync,fsync";

const rows: readonly Row[] = [
  { name: "a disk with room for so much", few: 12, cases: () => kilobytes("", 0, 208) },
  { name: "a disk with room for so much, the repository's", few: 6, cases: () => kilobytes("shop", 0, 64) },
  { name: "a disk with room for so much, the temporary directory's", few: 6, cases: () => kilobytes("tmp", 4, 64) },
  {
    name: "read-only",
    few: 20,
    cases: () =>
      [
        [""],
        ["shop"],
        ["shop/.git"],
        ["shop/.git/objects"],
        ["shop/.git/refs/heads"],
        ["shop/.git/refs/tags"],
        ["shop/.git/index"],
        ["shop/dir", "shop/new"],
        ["tmp"],
        ["task_queue.db"],
      ].map((places) => ({ name: places.join(" and ") || "everything", disturb: readOnly(...places) })),
  },
  {
    name: "read-only, the remote",
    scenario: withOrigin,
    few: 4,
    cases: () =>
      [["origin.git"], ["origin.git/objects"], ["origin.git/refs/tags"]].map((places) => ({
        name: places.join(),
        disturb: readOnly(...places),
      })),
  },
  {
    name: "so few files",
    few: 4,
    cases: () => [20, 22, 24, 28, 32, 36, 40, 48, 64].map((count) => ({ name: `${count}`, disturb: fewFiles(count) })),
  },
  { name: "no more files", few: 6, cases: (_, known) => atGaps(known, noMoreFiles) },
  { name: "a database without room", few: 8, cases: (slot) => fromEvery(slot, { calls: writes, error: "ENOSPC" }) },
  {
    name: "a database that cannot be written",
    few: 6,
    cases: (slot) => fromEvery(slot, { calls: writes, error: "EIO" }),
  },
  // Not of its WAL, which the kernel has in memory: where that fails all the same, the checkpoint of libsql 0.5.29 goes on and writes
  // whatever its buffer holds into the database.
  {
    name: "a database that cannot be read",
    few: 6,
    cases: (slot) => fromEvery(slot, { calls: "pread64", error: "EIO", files: [""] }),
  },
  { name: "a database that is locked", few: 1, cases: (_, known) => atGaps(known, lockedDatabase) },
  { name: "a database that is gone", few: 2, cases: (_, known) => atGaps(known, goneDatabase) },
  {
    name: "a database that is damaged, and a copy of that moment",
    few: 5,
    cases: (_, known) => atGaps(known, (gap) => corruptDatabase(gap, "then")),
  },
  {
    name: "a database that is damaged, and a copy of before",
    few: 5,
    cases: (_, known) => atGaps(known, (gap) => corruptDatabase(gap, "before")),
    // The work is in the target and the row says so; the attempt that brought it there is not known any more.
    accepted: /^rows say \{"statuses":\{"1":"merged"\},"merged":\[\],"open":0,"leased":0,/,
  },
];

/** Two slots a scenario, each seen undisturbed once. */
const benches = new Map<Scenario, Promise<{ slot: Slot; known: Known }[]>>();
const benchesOf = (scenario: Scenario) => {
  const made = benches.get(scenario);
  if (made !== undefined) return made;
  const make = async () => {
    const slot = await makeSlot(scenario);
    return { slot, known: await undisturbed(slot) };
  };
  const both = Promise.all([make(), make()]);
  benches.set(scenario, both);
  return both;
};
afterAll(async () => {
  for (const both of benches.values()) for (const { slot } of await both) slot.remove();
});

test.runIf(traceable).each(rows)("$name", limit, async (row) => {
  const scenario = row.scenario ?? checkedOut;
  if (scenario === undefined) throw new Error("no such scenario");
  const both = await benchesOf(scenario);
  const [first] = both;
  if (first === undefined) throw new Error("no slot");
  const all = await row.cases(first.slot, first.known);
  const chosen = whole ? all : spread(all, row.few);
  const rest = [...chosen];
  const bad: string[] = [];
  await Promise.all(
    both.map(async ({ slot, known }) => {
      for (let one = rest.shift(); one !== undefined; one = rest.shift()) {
        const wrong = await tryOne(slot, known, one, row.accepted);
        if (wrong.length > 0) bad.push(`${one.name}\n    ${wrong.join("\n    ")}`);
      }
    }),
  );
  console.log(`${row.name}: ${chosen.length} of ${all.length} cases, ${bad.length} bad`);
  expect(chosen.length).toBeGreaterThan(0);
  expect(bad.join("\n")).toBe("");
});

async function tryOne(slot: Slot, known: Known, { disturb }: Case, accepted = /^$/): Promise<string[]> {
  await slot.reset();
  setAmbush(slot.path, { kind: "none" });
  const run = await disturb(slot);
  const wrong = unclear(run);
  await waitsOver(slot.world.db);
  wrong.push(...(await finish(slot, known.before, known.golden)));
  const bad = wrong.filter((what) => !accepted.test(what) && !what.startsWith("recovery said"));
  return bad.length === 0 ? [] : [...wrong, `${run.stderr}${run.stdout.slice(0, 1000)}`];
}

/** What is wrong with the end of a run: no code of ours, no sentence, or a bug. */
function unclear({ code, signal, stdout, stderr }: Run): string[] {
  // 2 is for the temporary directory, which is a setting.
  if (code !== 0 && code !== 2 && code !== 3) return [`it ended with ${code ?? signal}`];
  const { error, results } = JSON.parse(stdout || "{}");
  const told = code === 0 ? results?.every(explained) : error?.message !== "" && error?.hint !== "";
  return told === true && !stderr.includes("unexpected:") && !/^ {4}at /m.test(stderr) ? [] : ["it does not say why"];
}

const explained = ({ outcome, detail }: { outcome: string; detail: string | null }): boolean =>
  outcome === "merged" || (detail ?? "") !== "";
