import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { arrange, reach, waves } from "../../src/core/order.ts";

const ties = (table: Record<number, number[]>) => (id: number) => table[id] ?? [];

describe("arrange", () => {
  test("leaves those as they came who wait for nobody", () => {
    expect(arrange([3, 1, 2], ties({}))).toEqual({ order: [3, 1, 2], circles: [] });
  });

  test("pulls forward what an early one waits for, through others too", () => {
    expect(arrange([9, 1, 2, 3], ties({ 9: [3], 3: [2] })).order).toEqual([2, 3, 9, 1]);
  });

  test("names circles, one that waits for itself included, and goes on", () => {
    const { order, circles } = arrange([1, 2, 3, 4, 5], ties({ 1: [2], 2: [3], 3: [1], 5: [5] }));
    expect(circles).toEqual([[1, 2, 3], [5]]);
    expect([...order].sort()).toEqual([1, 2, 3, 4, 5]);
  });

  test("a line of ten thousand is no reason to run out of anything", () => {
    const ids = Array.from({ length: 10_000 }, (_, n) => n);
    expect(arrange(ids, (id) => (id === 9_999 ? [] : [id + 1])).order[0]).toBe(9_999);
  });

  test("everybody once, and nobody before whom he waits for, unless they are a circle", () => {
    const graphs = fc.integer({ min: 1, max: 12 }).chain((n) =>
      fc.record({
        ids: fc.shuffledSubarray(
          Array.from({ length: n }, (_, id) => id),
          { minLength: n },
        ),
        edges: fc.array(fc.tuple(fc.nat(n - 1), fc.nat(n)), { maxLength: 20 }),
      }),
    );
    fc.assert(
      fc.property(graphs, ({ ids, edges }) => {
        const waitsFor = (id: number) => edges.filter(([from]) => from === id).map(([, to]) => to);
        const { order, circles } = arrange(ids, waitsFor);
        expect([...order].sort((a, b) => a - b)).toEqual([...ids].sort((a, b) => a - b));
        for (const [from, to] of edges) {
          const backward = order.indexOf(to) > order.indexOf(from) && order.includes(to);
          if (backward || from === to) expect(circles.length).toBeGreaterThan(0);
        }
        for (const circle of circles) {
          for (const [n, id] of circle.entries()) expect(waitsFor(id)).toContain(circle[(n + 1) % circle.length]);
        }
      }),
      { seed: 20261122 },
    );
  });
});

test("waves: another group's project is waited for a round, one's own is not", () => {
  const groups: Record<number, string> = { 1: "a", 2: "a", 3: "b", 4: "a" };
  const found = waves([1, 2, 3, 4], ties({ 2: [1], 3: [2], 4: [3] }), (id) => groups[id] ?? "");
  expect(Object.fromEntries(found)).toEqual({ 1: 0, 2: 0, 3: 1, 4: 2 });
});

test("heads reach themselves and what is below them, as far as it counts", () => {
  const parents = new Map([
    ["d", ["c", "x"]],
    ["c", ["b"]],
    ["b", ["a"]],
    ["x", ["a"]],
  ]);
  expect([...reach(["d"], parents)].sort()).toEqual(["b", "c", "d", "x"]);
  expect([...reach(["b", "elsewhere"], parents)]).toEqual(["b"]);
});
