import { describe, expect, test } from "vitest";
import { parseCompletion } from "../../src/queue/times.ts";

const tenOClock = Date.UTC(2026, 4, 4, 10);

describe("parseCompletion", () => {
  test.each<[string, number | bigint | string | null, number | null]>([
    ["unix seconds", tenOClock / 1000, tenOClock],
    ["unix seconds with a fraction", tenOClock / 1000 + 0.25, tenOClock + 250],
    ["unix seconds as a big integer", BigInt(tenOClock / 1000), tenOClock],
    ["unix seconds as text", String(tenOClock / 1000), tenOClock],
    ["unix seconds with a fraction as text", `${tenOClock / 1000}.5`, tenOClock + 500],
    ["unix seconds in exponent form", "1.5e9", 1_500_000_000_000],
    ["SQLite's CURRENT_TIMESTAMP is UTC", "2026-05-04 10:00:00", tenOClock],
    ["the same with microseconds", "2026-05-04 10:00:00.123456", tenOClock + 123],
    ["the same without seconds", "2026-05-04 10:00", tenOClock],
    ["ISO with Z", "2026-05-04T10:00:00Z", tenOClock],
    ["ISO with an offset", "2026-05-04T12:30:00+02:30", tenOClock],
    ["ISO with a short offset", "2026-05-04T08:00:00-02", tenOClock],
    ["Python's str() of an aware time", "2026-05-04 12:00:00+02:00", tenOClock],
    ["blanks around it", "  2026-05-04T10:00:00Z\n", tenOClock],
    ["29 February of a leap year", "2024-02-29 00:00:00", Date.UTC(2024, 1, 29)],
    ["the epoch", 0, 0],
    ["NULL", null, null],
    ["nothing", "", null],
    ["a word", "yesterday", null],
    ["30 February", "2026-02-30 10:00:00", null],
    ["month 13", "2026-13-01T10:00:00Z", null],
    ["hour 24", "2026-05-04 24:00:00", null],
    ["a day alone", "2026-05-04", null],
    ["a negative number", -1, null],
    ["nanoseconds", 1_777_888_800_000_000_000n, null],
    ["infinity", Number.POSITIVE_INFINITY, null],
    ["not a number", Number.NaN, null],
    ["text of a number without end", "9".repeat(400), null],
    ["hexadecimal", "0x10", null],
  ])("%s", (_, stored, expected) => {
    expect(parseCompletion(stored)).toBe(expected);
  });

  test("naive ISO text is local time of the host", () => {
    expect(parseCompletion("2026-05-04T12:00:00.5", 120)).toBe(tenOClock + 500);
    expect(parseCompletion("2026-05-04T05:00:00", -300)).toBe(tenOClock);
    expect(parseCompletion("2026-05-04T10:00:00")).toBe(new Date(2026, 4, 4, 10).getTime());
  });

  test("a zone that is written wins over the host's", () => {
    expect(parseCompletion("2026-05-04T10:00:00Z", 120)).toBe(tenOClock);
    expect(parseCompletion("2026-05-04 10:00:00", 120)).toBe(tenOClock);
  });
});
