import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { markers } from "../../src/commands/status-list.ts";
import { curable } from "../../src/core/reasons.ts";
import { standingOf } from "../../src/queue/standing.ts";

/* docs/states.md, and what the code makes of the same states. */

const text = readFileSync(new URL("../../docs/states.md", import.meta.url), "utf8");
const project = text.slice(text.indexOf("## A project"), text.indexOf("## A landing"));
const rows = project
  .split("\n")
  .filter((line) => /^\| `(?!status)/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()));
const named = (cell = "") => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => word);

const generation = "1";
const remembered = (mergedStatus: string | null, state: string) => ({
  generation,
  recordedStatus: mergedStatus,
  state,
});

test("a row that says what the page says is shown as the page says", () => {
  const shown = rows.map(([, show = "", says = ""]) => {
    const values = says.startsWith("`merged_status` NULL") ? [null, ...named(says).slice(1)] : named(says);
    const standings = values.map((mergedStatus) => {
      const memory = says.startsWith("still") ? remembered(mergedStatus, "held") : null;
      return standingOf({ status: "completed", mergedStatus, generation }, memory).standing;
    });
    return [named(show)[0], [...new Set(standings)]];
  });
  expect(Object.fromEntries(shown)).toEqual({
    [markers.pending.text]: ["pending"],
    [markers.held.text]: ["held"],
    [markers.failed.text]: ["failed"],
    [markers.merged.text]: ["merged"],
    [markers.rolled_back.text]: ["rolled_back"],
    skipped: ["skipped"],
  });
});

test("a project that is completed again waits, however it stood", () => {
  for (const [, , says = ""] of rows) {
    for (const mergedStatus of named(says).filter((word) => word !== "merged_status")) {
      const row = { status: "COMPLETED", mergedStatus, generation: "2" };
      expect(standingOf(row, remembered(mergedStatus, "merged")).standing).toBe("pending");
    }
  }
});

test("the failures that end by themselves are those the page names", () => {
  const failed = rows.find(([, show]) => show?.includes(markers.failed.text));
  expect(named(failed?.at(4)).filter((word) => word !== "retry")).toEqual([...curable]);
});
