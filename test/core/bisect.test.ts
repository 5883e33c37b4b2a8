import { describe, expect, test } from "vitest";
import { search } from "../../src/core/bisect.ts";
import { seeded } from "../differential/random.ts";

/** Searches a chain of which prefixes from `culprit` on fail; 0 for one that passes. Gives what was found, and the questions. */
function hunt(n: number, fails: (position: number) => boolean, known = new Map<number, "pass" | "fail">()) {
  const asked: number[] = [];
  for (;;) {
    const next = search(n, known);
    if (!("ask" in next)) return { next, asked };
    expect(known.has(next.ask), `asked ${next.ask} again`).toBe(false);
    asked.push(next.ask);
    known.set(next.ask, fails(next.ask) ? "fail" : "pass");
  }
}

describe("the search for the link that breaks a chain", () => {
  test("a chain that passes costs one question, none when it is known", () => {
    expect(hunt(7, () => false)).toEqual({ next: { passes: true }, asked: [7] });
    expect(hunt(7, () => false, new Map([[7, "pass"]]))).toEqual({ next: { passes: true }, asked: [] });
    expect(search(0, new Map())).toEqual({ passes: true });
  });

  test("one culprit among 2 to 16: at most ceil(log2 n) questions beside the first", () => {
    const worst = new Map<number, number>();
    for (let n = 2; n <= 16; n++) {
      for (let culprit = 1; culprit <= n; culprit++) {
        const { next, asked } = hunt(n, (position) => position >= culprit);
        expect(next).toMatchObject({ culprit });
        worst.set(n, Math.max(worst.get(n) ?? 0, asked.length - 1));
      }
      expect(worst.get(n)).toBe(Math.ceil(Math.log2(n)));
    }
    console.log(`extra runs by n: ${[...worst].map(([n, runs]) => `${n}: ${runs}`).join(", ")}`);
  });

  test("whatever fails and whatever is known: it ends at one that fails while the one before it passes", () => {
    const random = seeded(20261122);
    for (let round = 0; round < 3000; round++) {
      const n = 1 + random.int(20);
      const truth = Array.from({ length: n + 1 }, () => random.chance(0.4));
      const fails = (position: number) => truth[position] === true;
      const known = new Map<number, "pass" | "fail">();
      for (let position = 1; position <= n; position++)
        if (random.chance(0.2)) known.set(position, fails(position) ? "fail" : "pass");
      const { next, asked } = hunt(n, fails, known);
      expect(asked.length).toBeLessThanOrEqual(1 + Math.ceil(Math.log2(n)));
      if ("passes" in next) expect(fails(n)).toBe(false);
      else if ("culprit" in next) {
        expect(fails(next.culprit)).toBe(true);
        if (next.culprit > 1) expect(known.get(next.culprit - 1)).toBe("pass");
        expect(next.passing).toBe(next.culprit - 1);
      }
    }
  });
});
