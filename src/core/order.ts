/** What lands before what. Pure: projects are numbers. */

export type Arranged = {
  /** every one of them once; each after all that it waits for, and otherwise as they came */
  readonly order: readonly number[];
  /** those that wait for themselves through others, each circle in the order in which it waits */
  readonly circles: readonly (readonly number[])[];
};

/**
 * Puts `ids` into an order in which nobody comes before what he waits for. One that is wanted early pulls forward what it waits for, or
 * it would wait for the end of the line. What is not among `ids` is nobody's concern here.
 */
export function arrange(ids: readonly number[], waitsFor: (id: number) => readonly number[]): Arranged {
  const wanted = new Set(ids);
  const done = new Set<number>();
  const order: number[] = [];
  const circles: number[][] = [];
  for (const start of ids) {
    // A stack of our own: a thousand projects that wait for one another are no reason to run out of the engine's.
    const path: { readonly id: number; readonly rest: number[] }[] = [];
    const enter = (id: number) => path.push({ id, rest: waitsFor(id).filter((other) => wanted.has(other)) });
    if (!done.has(start)) enter(start);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = top.rest.shift();
      if (next === undefined) {
        path.pop();
        done.add(top.id);
        order.push(top.id);
        continue;
      }
      const at = path.findIndex(({ id }) => id === next);
      if (at >= 0) circles.push(path.slice(at).map(({ id }) => id));
      else if (!done.has(next)) enter(next);
    }
  }
  return { order, circles };
}

/**
 * The round in which each can land when everything of one group lands at once: 0 for those that wait for nobody outside their group.
 * `ids` in an order that arrange() gave.
 */
export function waves(
  ids: readonly number[],
  waitsFor: (id: number) => readonly number[],
  groupOf: (id: number) => string,
): Map<number, number> {
  const wave = new Map<number, number>();
  for (const id of ids) {
    const rounds = waitsFor(id).map((other) => {
      const round = wave.get(other);
      return round === undefined ? 0 : round + (groupOf(other) === groupOf(id) ? 0 : 1);
    });
    wave.set(id, Math.max(0, ...rounds));
  }
  return wave;
}

/** The commits that these heads reach, themselves included. `parents` by commit, of those that count: what the target has is not there. */
export function reach(heads: readonly string[], parents: ReadonlyMap<string, readonly string[]>): Set<string> {
  const found = new Set<string>();
  const rest = [...heads];
  for (let commit = rest.pop(); commit !== undefined; commit = rest.pop()) {
    const above = parents.get(commit);
    if (above === undefined || found.has(commit)) continue;
    found.add(commit);
    rest.push(...above);
  }
  return found;
}
