import { setTimeout as sleep } from "node:timers/promises";
import { waitsOver } from "../helpers/landing.ts";
import { settled } from "./judge.ts";
import { setAmbush } from "./shim.ts";
import { kill, type Slot } from "./slot.ts";
import { finish, type Known } from "./sweep.ts";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomness(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export type Killed = { readonly story: string; readonly wrong: readonly string[] };

/**
 * Kills a run at a random moment, and the recovery, and that one's recovery: whole trees or the program alone, whose git goes on. Then
 * everything must come right. `span` is about how long a run takes, in milliseconds.
 */
export async function killAtRandom(slot: Slot, known: Known, random: () => number, span: number): Promise<Killed> {
  await slot.reset();
  setAmbush(slot.path, { kind: "none" });
  const story: string[] = [];
  for (let depth = 0; depth === 0 || (depth < 4 && random() < 0.5); depth++) {
    const { child, over } = slot.start();
    const after = Math.round(random() * span);
    const whole = random() < 0.5;
    await Promise.race([sleep(after), over]);
    const alive = child.exitCode === null;
    kill(child.pid ?? 0);
    if (whole) slot.killAll();
    await over;
    story.push(`${alive ? "" : "over before "}${after} ms, ${whole ? "everything" : "the program alone"}`);
  }
  await waitsOver(slot.world.db);
  return { story: story.join("; then "), wrong: await finish(slot, known.before, known.golden) };
}

/**
 * Sends a signal at a random moment. The run ends soon, says which signal it was, leaves nothing behind, and what it did is done or not
 * begun; the next run does the rest.
 */
export async function interruptAtRandom(slot: Slot, known: Known, random: () => number, span: number): Promise<Killed> {
  await slot.reset();
  setAmbush(slot.path, { kind: "none" });
  const [signal, code] = random() < 0.5 ? (["SIGTERM", 143] as const) : (["SIGINT", 130] as const);
  const after = Math.round(random() * span);
  const { child, over } = slot.start();
  await Promise.race([sleep(after), over]);
  const alive = child.exitCode === null;
  const since = performance.now();
  kill(child.pid ?? 0, signal);
  const run = await over;
  const took = performance.now() - since;
  const wrong: string[] = [];
  // A process that has not come to its own code yet has no handler: it ends by the signal itself, and has done nothing.
  const ended = run.code === code || run.signal === signal || [0, 4].includes(run.code ?? -1);
  if (!ended) wrong.push(`ended with ${run.code} ${run.signal} after ${signal}: ${run.stderr}`);
  if (took > 10_000) wrong.push(`took ${Math.round(took)} ms to end`);
  wrong.push(...(await settled(slot, known.before, known.golden)));
  if (wrong.length > 0) wrong.push(run.stderr);
  wrong.push(...(await finish(slot, known.before, known.golden)));
  return { story: `${signal} after ${after} ms${alive ? "" : ", over before"}, ended with ${run.code}`, wrong };
}
