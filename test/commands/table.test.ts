import { describe, expect, test } from "vitest";
import { bar, dayBars, sparkline } from "../../src/commands/chart.ts";
import { painter } from "../../src/commands/paint.ts";
import { type Column, columnsOf, flow, shorten, table, wrap } from "../../src/commands/table.ts";
import { cutMiddle, frame } from "../../src/commands/watch.ts";

const plain = painter(false);

describe("columns of a terminal", () => {
  // What tmux 3.3a and wcwidth give; string-width alone says 2 for ⏸ and ↩.
  test.each([
    ["🔀[MERGED]", 10],
    ["⏳[PENDING MERGE]", 17],
    ["❌[MERGE FAILED]", 16],
    ["⏸[HELD]", 7],
    ["↩[ROLLED BACK]", 14],
    ["支払い", 6],
    ["한글", 4],
    ["e\u0301", 1],
    ["👨‍👩‍👧", 2],
    ["❤️", 2],
    ["㊗", 2],
    ["\x1b[31mred 支\x1b[39m", 6],
  ])("%s takes %d", (text, columns) => {
    expect(columnsOf(text)).toBe(columns);
  });

  test("cutting never splits a character and never takes more than it may", () => {
    expect(shorten("支払いサービス", 14)).toBe("支払いサービス");
    expect(shorten("支払いサービス", 8)).toBe("支払い…");
    expect(shorten("支払いサービス", 7)).toBe("支払い…");
    expect(shorten("👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", 5)).toBe("👨‍👩‍👧👨‍👩‍👧…");
    for (let columns = 0; columns < 20; columns++)
      expect(columnsOf(shorten("a支b🚀c한글d e f", columns))).toBeLessThanOrEqual(columns);
  });

  test("wrapping keeps paths whole and aligned parts together", () => {
    expect(wrap("conflict: src/a-long-path.ts, b", 12)).toEqual(["conflict:", "src/a-long-path.ts,", "b"]);
    expect(wrap("developer  0123456789ab", 12)).toEqual(["developer  0123456789ab"]);
    expect(flow(["1 failed", "2 held", "3 pending"], " · ", 19)).toEqual(["1 failed · 2 held", "3 pending"]);
    expect(wrap("never cut in a pipe", null)).toEqual(["never cut in a pipe"]);
  });
});

const columns: Column[] = [
  { title: "ID", align: "right" },
  { title: "NAME", least: 10, tight: 6 },
  { title: "WHEN", worth: 1 },
  { title: "WHY", under: 20 },
];
const row = (id: string, name: string, when: string, why: string) => [
  { text: id },
  { text: name },
  { text: when },
  { text: why },
];
const rows = [
  row("1", "支払いサービス", "3 min ago", ""),
  null,
  row("12", "a-name-that-is-long", "", "conflict: one.ts, two.ts, three.ts"),
];
const at = (width: number | null) => table(columns, rows, { width, paint: plain });

describe("a table", () => {
  test("as wide as it gets", () => {
    expect(at(null)).toEqual([
      "ID  NAME                 WHEN       WHY",
      " 1  支払いサービス       3 min ago",
      "",
      "12  a-name-that-is-long             conflict: one.ts, two.ts, three.ts",
    ]);
  });

  test("narrower: names are cut, then the last column", () => {
    expect(at(60)).toEqual([
      "ID  NAME        WHEN       WHY",
      " 1  支払いサ…   3 min ago",
      "",
      "12  a-name-th…             conflict: one.ts, two.ts, three.…",
    ]);
  });

  test("narrower still: the last column goes below, in at most two lines", () => {
    expect(at(40)).toEqual([
      "ID  NAME                 WHEN",
      " 1  支払いサービス       3 min ago",
      "",
      "12  a-name-that-is-long",
      "    conflict: one.ts, two.ts, three.ts",
    ]);
    expect(at(24)).toEqual([
      "ID  NAME       WHEN",
      " 1  支払いサ…  3 min ago",
      "",
      "12  a-name-t…",
      "    conflict: one.ts,",
      "    two.ts, three.ts",
    ]);
  });

  test("too narrow for anything: columns go, and no line is ever wider than it may be", () => {
    expect(at(16)[0]).toBe("ID  NAME");
    for (let width = 5; width < 90; width++) {
      for (const line of at(width)) {
        expect(columnsOf(line), `${width}: ${line}`).toBeLessThanOrEqual(width);
        expect(line).toBe(line.trimEnd());
      }
    }
  });

  test("a column without content is left out", () => {
    expect(table(columns, [row("1", "a", "", "")], { width: 80, paint: plain })).toEqual(["ID  NAME", " 1  a"]);
  });

  test("colour changes no width", () => {
    const colored = table(
      columns,
      [[{ text: "1", style: "bad" }, { text: "支", style: "good" }, { text: "x" }, { text: "y" }]],
      {
        width: 80,
        paint: painter(true),
      },
    );
    expect(colored[1]).toContain("\x1b[31m1\x1b[39m");
    expect(colored.map(columnsOf)).toEqual(
      table(columns, [row("1", "支", "x", "y")], { width: 80, paint: plain }).map(columnsOf),
    );
  });
});

describe("charts", () => {
  test("bars are to scale, and little is not nothing", () => {
    expect(bar(10, 10, 5)).toBe("█████");
    expect(bar(5, 10, 5)).toBe("██▌");
    expect(bar(1, 100_000, 5)).toBe("▏");
    expect(bar(0, 10, 5)).toBe("");
    expect(bar(3, 0, 5)).toBe("");
  });

  test("days: failures look different without colour, quiet days are quiet", () => {
    const days = [
      { day: "2026-11-20", merged: 3, failed: 1 },
      { day: "2026-11-21", merged: 0, failed: 0 },
      { day: "2026-11-22", merged: 0, failed: 2 },
    ];
    expect(dayBars(days, 60, plain)).toEqual([
      "Fri 2026-11-20  ███░ 3, 1 failed",
      "Sat 2026-11-21  ·",
      "Sun 2026-11-22  ░░ 2 failed",
    ]);
  });

  test.each([32, 48, 78])("many landings on one day stay within %d columns", (width) => {
    const days = [
      { day: "2026-11-20", merged: 12_345, failed: 67 },
      { day: "2026-11-21", merged: 1, failed: 0 },
    ];
    for (const line of dayBars(days, width, plain)) expect(columnsOf(line)).toBeLessThanOrEqual(width);
  });

  test("a sparkline adds neighbours up when there are more values than columns, the newest column whole", () => {
    expect(sparkline([0, 1, 4, 8], 10)).toEqual({ line: " ▁▄█", each: 1, most: 8 });
    expect(sparkline([1, 1, 1, 1, 2], 3)).toEqual({ line: "▃▆█", each: 2, most: 3 });
    expect(sparkline([0, 0], 5)).toEqual({ line: "  ", each: 1, most: 0 });
  });
});

describe("repainting", () => {
  test("a frame goes home, clears the rest of each line and what is below, and never scrolls", () => {
    const painted = frame(["a", "b", "c"], 2);
    expect(painted).toBe("\x1b[?2026h\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J\x1b[?2026l");
    expect(painted).not.toContain("\x1b[2J");
  });

  test("what does not fit loses its middle", () => {
    const lines = ["1", "2", "3", "4", "5", "", "7", "8"];
    expect(cutMiddle(lines, 8, 80)).toEqual(lines);
    expect(cutMiddle(lines, 5, 80)).toEqual(["1", "2", "  … 4 lines more", "7", "8"]);
    expect(cutMiddle(lines, 1, 80)).toHaveLength(1);
  });
});
