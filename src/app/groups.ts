import { arrange, waves } from "../core/order.ts";
import { notNow } from "./choose.ts";
import type { App } from "./context.ts";
import type { Ready } from "./prepare.ts";
import { settleMisses, type Tally } from "./settle.ts";

/**
 * The ready ones in groups that land together: one repository, one target, one way, and nobody in between that one of them waits for. In
 * the order of the first of each.
 */
export function byTarget(ready: readonly Ready[], waitsFor: (id: number) => readonly number[]): Ready[][] {
  const byId = new Map(ready.map((one) => [one.candidate.id, one]));
  const groupOf = (id: number) => {
    const one = byId.get(id);
    if (one === undefined) return "";
    const { target, push, trust } = one.decided.settings;
    return JSON.stringify([one.visit.repository.commonDir, one.target || target, push, trust]);
  };
  const { order } = arrange([...byId.keys()], waitsFor);
  const wave = waves(order, waitsFor, groupOf);
  const groups = Map.groupBy(order, (id) => `${wave.get(id)} ${groupOf(id)}`);
  return [...groups.values()]
    .map((ids) => ids.flatMap((id) => byId.get(id) ?? []).map((one) => inLine(one, waitsFor)))
    .sort(([a], [b]) => (wave.get(a?.candidate.id ?? 0) ?? 0) - (wave.get(b?.candidate.id ?? 0) ?? 0));
}

function inLine(one: Ready, waitsFor: (id: number) => readonly number[]): Ready {
  return { ...one, work: { ...one.work, after: waitsFor(one.candidate.id) } };
}

/** Settles those of a group that wait for another group's project which has not landed; gives the others. */
export async function settleLeftBehind(
  app: App,
  tally: Tally,
  group: readonly Ready[],
  landed: ReadonlySet<number>,
): Promise<Ready[]> {
  const staying = new Set<number>();
  const missing = (one: Ready) => one.work.after.filter((id) => !staying.has(id) && !landed.has(id));
  // In their order, which has everybody after those that he waits for: who is left behind takes along who waits for him.
  const behind = group.filter((one) => {
    if (missing(one).length > 0) return true;
    staying.add(one.candidate.id);
    return false;
  });
  await settleMisses(
    app,
    tally,
    behind.map((ready) => ({
      candidate: ready.candidate,
      name: ready.work.name,
      trouble: notNow(missing(ready)),
      startedAt: ready.startedAt,
      repository: ready.visit.repository.commonDir,
      ready,
    })),
  );
  return group.filter((one) => !behind.includes(one));
}
