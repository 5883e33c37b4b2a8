import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { waitsOver } from "../helpers/landing.ts";
import { idle, judge, type Look, look, refsOfBoth, temporaries } from "./judge.ts";
import type { Scenario } from "./scenarios.ts";
import { ambushed, type Gap, type Point, pointsOf, processesOf, recorded, setAmbush, traced } from "./shim.ts";
import { kill, makeSlot, type Run, type Running, type Slot } from "./slot.ts";

/** Who dies at the point. */
export type Mode =
  /** the git that makes the call; the program lives and deals with it */
  | "git"
  /** the program, git, all of them at once */
  | "tree"
  /** the program alone, while git stands still at the point and would go on after recovery */
  | "program"
  /** the program alone; git goes on to its end before recovery */
  | "finishing"
  /** nobody: the disk has no room for this one call */
  | "full disk";

export type Outcome = {
  readonly point: Point;
  readonly mode: string;
  readonly reached: boolean;
  readonly wrong: readonly string[];
};

/** What a scenario looks like before, and after a run that nobody disturbed. */
export type Known = {
  readonly before: Look;
  readonly golden: Look;
  readonly points: readonly Point[];
  /** The moments between any two steps of ours, as far as git processes divide them. */
  readonly gaps: readonly Gap[];
};

/** One run without any harm: it must be right, it tells what right is, and which calls there are to die at. */
export async function undisturbed(slot: Slot, wrongOrder = false): Promise<Known> {
  await slot.reset();
  setAmbush(slot.path, { kind: "record" }, wrongOrder);
  const before = await look(slot.world);
  const run = await slot.run();
  const points = recorded(slot.path);
  const gaps = processesOf(slot.path).flatMap((process) =>
    (["before", "after"] as const).map((when): Gap => ({ when, process })),
  );
  const wrong = [
    ...(run.code === 0 || run.code === 4 ? [] : [`it ended with ${run.code}: ${run.stderr}`]),
    ...(await finish(slot, before, null)),
  ];
  if (wrong.length > 0) throw new Error(`undisturbed, and wrong: ${wrong.join("\n")}`);
  return { before, golden: await look(slot.world), points, gaps };
}

/**
 * A plain run, which recovers, and a second one, which must have nothing to do; then everything is looked at. Whatever the first one has
 * left running goes on in between, to its end: it must not matter any more. The scratches of the dead are an hour old by then.
 */
export async function finish(slot: Slot, before: Look, golden: Look | null): Promise<string[]> {
  setAmbush(slot.path, { kind: "none" });
  slot.age();
  const recovery = await slot.run();
  const wrong = recovery.code === 0 || recovery.code === 4 ? [] : [`recovery ended with ${recovery.code}`];
  await slot.goOn();
  const between = await refsOfBoth(slot.world);
  const second = await slot.run();
  const now = await look(slot.world);
  // A tick that finds nothing to do looks nowhere, not even for those.
  const { recovered: found, results, pushes } = JSON.parse(recovery.stdout || "{}");
  if ([found, results, pushes].some((some) => some?.length > 0)) wrong.push(...temporaries(slot));
  wrong.push(...idle(slot.world, second, between, now), ...(await judge(slot, before, now, golden)));
  return wrong.length === 0 ? wrong : [...wrong, `recovery said ${brief(recovery)}`];
}

function brief({ stdout, stderr }: Run): string {
  const { recovered, results } = JSON.parse(stdout || "{}");
  const outcomes = (results ?? []).map(
    (one: Record<string, unknown>) => `${one["id"]} ${one["outcome"]} ${one["detail"]}`,
  );
  return `${JSON.stringify(recovered)} ${outcomes.join("; ")} ${stderr}`;
}

/** One death at one point, and what was wrong in the end. */
export async function die(slot: Slot, known: Known, point: Point, mode: Mode, wrongOrder = false): Promise<Outcome> {
  await slot.reset();
  const reached = await ambushAt(slot, point, mode, wrongOrder);
  return { point, mode, reached, wrong: await finish(slot, known.before, known.golden) };
}

/** The calls of the recovery from a death of everything at `first`: points for a second death. */
export async function pointsOfRecovery(slot: Slot, first: Point): Promise<Point[]> {
  await slot.reset();
  await ambushAt(slot, first, "tree", false);
  setAmbush(slot.path, { kind: "record" });
  await slot.run();
  return recorded(slot.path);
}

/** Everything dies at `first`, and at `second` while the next run recovers. */
export async function dieTwice(slot: Slot, known: Known, first: Point, second: Point): Promise<Outcome> {
  await slot.reset();
  await ambushAt(slot, first, "tree", false);
  const reached = await ambushAt(slot, second, "tree", false);
  const point = { ...second, text: `${second.text}, after ${first.process}: ${first.text}` };
  return { point, mode: "tree, twice", reached, wrong: await finish(slot, known.before, known.golden) };
}

/** Starts a run and waits until it stands still at `moment`; slot.goOn() lets it go on. Throws when it ended without. */
export async function freezeAt(slot: Slot, moment: Point | Gap): Promise<Running> {
  setAmbush(slot.path, "when" in moment ? { kind: "pause", gap: moment } : { kind: "stop", point: moment });
  const running = slot.start();
  while (running.child.exitCode === null && !ambushed(slot.path)) await sleep(2);
  if (running.child.exitCode === null) return running;
  throw new Error(`the run ended without ${JSON.stringify(moment)}: ${(await running.over).stderr}`);
}

/** One run that meets `point`; false when it ended without. */
export async function ambushAt(slot: Slot, point: Point, mode: Mode, wrongOrder = false): Promise<boolean> {
  const full = { kind: "fail", error: "ENOSPC", point } as const;
  const ambush = mode === "full disk" ? full : ({ kind: mode === "git" ? "kill" : "stop", point } as const);
  setAmbush(slot.path, ambush, wrongOrder);
  const { child, over } = slot.start();
  let ended = false;
  over.finally(() => {
    ended = true;
  });
  const survived = mode === "git" || mode === "full disk";
  if (!survived) {
    while (!ended && !ambushed(slot.path)) await sleep(2);
    if (!ended) {
      kill(child.pid ?? 0);
      if (mode === "tree") slot.killAll();
      if (mode === "finishing") await slot.goOn();
    }
  }
  await over;
  if (survived) await waitsOver(slot.world.db);
  return ambushed(slot.path);
}

/** The program's own file-changing calls, its threads included, its children not. */
export async function ownPoints(slot: Slot): Promise<Point[]> {
  await slot.reset();
  setAmbush(slot.path, { kind: "none" });
  const log = `${slot.path}/shim/own`;
  await slot.start(undefined, ["strace", "-f", "-b", "execve", "-y", "-o", log, "-e", `trace=${traced}`]).over;
  const text = readFileSync(log, "latin1");
  const [main = ""] = text.split(" ", 1);
  const points = pointsOf(
    "own",
    text
      .split("\n")
      .filter((line) => line.startsWith(`${main} `))
      .join("\n"),
  );
  // Of a row of calls that only fill the scratch, which dies with the run, the first is enough.
  const scratch = (point: Point | undefined) => point?.text.includes("/world/tmp/") ?? false;
  return points.filter((point, index) => !(scratch(point) && scratch(points[index - 1])));
}

/** The program dies before one of its own calls; its git children die with it, or go on. */
export async function dieBy(slot: Slot, known: Known, point: Point, mode: "tree" | "program"): Promise<Outcome> {
  await slot.reset();
  setAmbush(slot.path, { kind: "none" });
  const inject = `inject=${point.call}:signal=KILL:when=${point.nth}`;
  const log = `${slot.path}/shim/hit`;
  const { over } = slot.start(undefined, [
    "strace",
    "-f",
    "-b",
    "execve",
    "-o",
    log,
    "-e",
    `trace=${point.call}`,
    "-e",
    inject,
  ]);
  const run = await over;
  if (mode === "tree") slot.killAll();
  return {
    point,
    mode: `own, ${mode}`,
    reached: run.signal === "SIGKILL",
    wrong: await finish(slot, known.before, known.golden),
  };
}

/** Works through items with one slot a worker; each slot is first seen undisturbed. */
export async function inParallel<T, R>(
  scenario: Scenario,
  workers: number,
  items: readonly T[],
  each: (slot: Slot, known: Known, item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const rest = [...items];
  await Promise.all(
    Array.from({ length: Math.min(workers, items.length) }, async () => {
      const slot = await makeSlot(scenario);
      try {
        const known = await undisturbed(slot);
        for (let item = rest.shift(); item !== undefined; item = rest.shift())
          results.push(await each(slot, known, item));
      } finally {
        slot.remove();
      }
    }),
  );
  return results;
}
