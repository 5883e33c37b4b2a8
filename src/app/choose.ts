import { arrange } from "../core/order.ts";
import { held, type Trouble } from "../core/reasons.ts";
import { readApprovals } from "../queue/approvals.ts";
import type { Candidate } from "../queue/candidates.ts";
import { activeDirectories } from "./candidates.ts";
import type { App } from "./context.ts";
import { type Missed, openGatherer } from "./gather.ts";
import { lineUp, sayCircle } from "./line.ts";
import { prepare, type Ready } from "./prepare.ts";
import { findStacks, type Stack } from "./stacked.ts";
import type { Visits } from "./visit.ts";
import type { TickOptions, WorkToDo } from "./work.ts";

/** What one tick will try to land, what it will not and why. */
export type Chosen = {
  readonly ready: readonly Ready[];
  readonly missed: readonly Missed[];
  /** The others of `ready` that must land before this one. */
  readonly waitsFor: (id: number) => readonly number[];
};

/**
 * Looks at the candidates until the run is full. Failed ones first, with a quota of their own: what waits for one that may land again comes
 * in the same run. Who turns out to be built on what must not land gives his place to the next.
 */
export async function choose(
  app: App,
  visits: Visits,
  work: WorkToDo,
  options: TickOptions,
  stop: () => boolean,
): Promise<Chosen> {
  const all = [...work.candidates, ...work.secondLooks];
  const line = await lineUp(app, all);
  const words = await readApprovals(
    app.queue,
    all.map(({ id }) => id),
  );
  const active = await activeDirectories(app.queue);
  const coming = new Set<number>();
  const look = (candidate: Candidate) => prepare(app, visits, active, candidate);
  const around = { look, words, line, stop, coming };
  const second = openGatherer(around, work.secondLooks, options.only === null);
  const first = openGatherer(around, work.candidates, false);
  const called = new Set<number>();
  await second.next(options.limit);
  for (let places = options.limit; ; ) {
    await first.next(places);
    const ready = [...first.gathered.ready, ...second.gathered.ready];
    const missed = [...first.gathered.missed, ...second.gathered.missed];
    const asBefore = [...first.gathered.asBefore, ...second.gathered.asBefore];
    const unseen = first.unseen().filter(({ id }) => !called.has(id));
    const stack = await findStacks(app, { ready, missed, asBefore, unseen, aside: work.aside });
    places = 0;
    let again = false;
    for (const [id, before] of stack.early) {
      again = true;
      if (first.defer(id, before)) {
        for (const other of before) called.add(other); // once is enough: a row that has changed meanwhile is not seen twice
        places++;
      } else second.withdraw((one) => (one.candidate.id === id ? notNow(before) : null));
    }
    if (again) continue;
    const needs = new Map<number, readonly number[]>();
    for (const { candidate, decided } of ready) {
      const told = (await line.dependencies(candidate.id, decided.settings.after)).filter(({ met }) => !met);
      needs.set(candidate.id, [...told.map(({ id }) => id), ...(stack.under.get(candidate.id) ?? [])]);
    }
    const waitsFor = (id: number) => needs.get(id) ?? [];
    // Ties that people told and ties that git shows may go round only together.
    const { circles } = arrange([...needs.keys()], waitsFor);
    const circleOf = (id: number) => circles.find((circle) => circle.includes(id));
    const reason = ({ candidate: { id } }: Ready) => {
      const circle = circleOf(id);
      if (circle !== undefined) return held("blocked_by_dependency", sayCircle(circle, all));
      return whyNot(id, stack, waitsFor, coming);
    };
    places = first.withdraw(reason);
    if (places + second.withdraw(reason) === 0) return { ready, missed, waitsFor };
  }
}

function whyNot(
  id: number,
  stack: Stack,
  waitsFor: (id: number) => readonly number[],
  coming: ReadonlySet<number>,
): Trouble | null {
  const blocked = stack.blocked.get(id);
  if (blocked !== undefined) return blocked;
  const missing = waitsFor(id).filter((other) => !coming.has(other));
  return missing.length === 0 ? null : notNow(missing);
}

/** For one that waits for others which do not land in this run after all. */
export function notNow(others: readonly number[]): Trouble {
  return held("blocked_by_dependency", `waits for project ${others.join(", ")}, which did not land.`);
}
