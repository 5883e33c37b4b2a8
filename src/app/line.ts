import { projectName, visible } from "../core/describe.ts";
import type { Dependency } from "../core/obstacles.ts";
import { arrange } from "../core/order.ts";
import type { Candidate } from "../queue/candidates.ts";
import { dependenciesOf } from "../queue/dependencies.ts";
import { decideFor } from "./candidates.ts";
import type { App } from "./context.ts";

/** Who waits for whom, as far as people and rules have said it; what git shows of that comes later (stacked.ts). */
export type Line = {
  /** The same candidates, each after those that it waits for. */
  inOrder(candidates: readonly Candidate[]): Candidate[];
  /** What a candidate waits for, when its rules say `after`. */
  dependencies(id: number, after: readonly string[]): Promise<readonly Dependency[]>;
  /** The sentence for one that waits for itself, through others; null for all others. */
  circleOf(id: number): string | null;
};

/** Puts all candidates of a tick in line. Rules that ask for a project's type are not asked yet: they count when it is looked at. */
export async function lineUp(app: App, candidates: readonly Candidate[]): Promise<Line> {
  const afterOf = new Map(candidates.map((one) => [one.id, decideFor(app, one, null).settings.after]));
  const known = await dependenciesOf(
    app.queue,
    candidates.map(({ id }) => ({ id, after: afterOf.get(id) ?? [] })),
  );
  const line = lineOf(candidates, known);
  return {
    ...line,
    async dependencies(id, after) {
      if (after === afterOf.get(id)) return known.get(id) ?? [];
      return (await dependenciesOf(app.queue, [{ id, after }])).get(id) ?? [];
    },
  };
}

/** The line of candidates that are known to wait for these. Pure. */
export function lineOf(candidates: readonly Candidate[], known: ReadonlyMap<number, readonly Dependency[]>): Line {
  const { order, circles } = arrange(
    candidates.map(({ id }) => id),
    (id) => (known.get(id) ?? []).filter(({ met }) => !met).map((one) => one.id),
  );
  const place = new Map(order.map((id, index) => [id, index]));
  return {
    inOrder: (some) => [...some].sort((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0)),
    dependencies: async (id) => known.get(id) ?? [],
    circleOf(id) {
      const circle = circles.find((one) => one.includes(id));
      return circle === undefined ? null : sayCircle(circle, candidates);
    },
  };
}

/** The sentence for those who wait for each other. */
export function sayCircle(circle: readonly number[], candidates: readonly Candidate[]): string {
  const names = new Map(candidates.map(({ id, specPath }) => [id, `${id} ${visible(projectName(id, specPath))}`]));
  const said = [...circle, ...circle.slice(0, 1)].map((id) => names.get(id) ?? String(id)).join(" waits for ");
  return `these wait for each other: ${said}. Take one of the ties away.`;
}
