import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Freeze, Window } from "../../src/core/rules.ts";
import { localTime, openingAt } from "../../src/core/window.ts";

const at = (text: string) => Date.parse(text);
const everyDay = [1, 2, 3, 4, 5, 6, 7];
const night: Window = { days: everyDay, from: "22:00", to: "06:00", zone: "Europe/Berlin" };
const opening = (window: Window | null, now: string, freeze: Freeze | null = null) => {
  const found = openingAt({ window, freeze }, at(now));
  return found.open ? "open" : found.next === null ? "never" : new Date(found.next).toISOString();
};

describe("a window", () => {
  test.each([
    ["over midnight, before it", night, "2026-11-23T20:59:59Z", "2026-11-23T21:00:00.000Z"],
    ["over midnight, in it", night, "2026-11-23T21:00:00Z", "open"],
    ["over midnight, its last minute", night, "2026-11-24T04:59:59Z", "open"],
    ["over midnight, after it", night, "2026-11-24T05:00:00Z", "2026-11-24T21:00:00.000Z"],
    ["of Fridays, Saturday morning is still Friday's", { ...night, days: [5] }, "2026-11-28T04:00:00Z", "open"],
    [
      "of Fridays, Friday morning is Thursday's",
      { ...night, days: [5] },
      "2026-11-27T04:00:00Z",
      "2026-11-27T21:00:00.000Z",
    ],
    [
      "of whole weekdays",
      { days: [1, 2, 3, 4, 5], from: "00:00", to: "24:00", zone: "UTC" },
      "2026-11-27T23:59:59Z",
      "open",
    ],
    [
      "of whole weekdays, on Saturday",
      { days: [1], from: "00:00", to: "24:00", zone: "UTC" },
      "2026-11-28T00:00:00Z",
      "2026-11-30T00:00:00.000Z",
    ],
  ] as const)("%s", (_, window, now, expected) => {
    expect(opening(window, now)).toBe(expected);
  });

  // Berlin: the clocks skip 02:00-03:00 on 2026-03-29, and show 02:00-03:00 twice on 2026-10-25.
  const hour = (from: string, to: string): Window => ({ days: everyDay, from, to, zone: "Europe/Berlin" });
  test.each([
    [
      "an hour that is skipped does not open that day",
      hour("02:00", "03:00"),
      "2026-03-29T00:30:00Z",
      "2026-03-30T00:00:00.000Z",
    ],
    [
      "one that begins in it opens where the clocks go on",
      hour("02:30", "03:30"),
      "2026-03-29T00:30:00Z",
      "2026-03-29T01:00:00.000Z",
    ],
    ["one that begins in it is open then", hour("02:30", "03:30"), "2026-03-29T01:29:00Z", "open"],
    [
      "one that begins in it closes on time",
      hour("02:30", "03:30"),
      "2026-03-29T01:30:00Z",
      "2026-03-30T00:30:00.000Z",
    ],
    ["an hour that is repeated is open the first time", hour("02:00", "03:00"), "2026-10-25T00:00:00Z", "open"],
    ["and the second", hour("02:00", "03:00"), "2026-10-25T01:59:00Z", "open"],
    ["and not after", hour("02:00", "03:00"), "2026-10-25T02:00:00Z", "2026-10-26T01:00:00.000Z"],
    [
      "half of it closes in between and opens again",
      hour("02:00", "02:30"),
      "2026-10-25T00:30:00Z",
      "2026-10-25T01:00:00.000Z",
    ],
  ] as const)("when the clocks change: %s", (_, window, now, expected) => {
    expect(opening(window, now)).toBe(expected);
  });
});

describe("a freeze", () => {
  const freeze: Freeze = { from: "2026-12-20", until: "2027-01-04T08:00", zone: "America/New_York" };
  test.each([
    ["before it", null, "2026-12-20T04:59:59Z", "open"],
    ["in it", null, "2026-12-20T05:00:00Z", "2027-01-04T13:00:00.000Z"],
    ["at its end", null, "2027-01-04T13:00:00Z", "open"],
    ["that ends while the window is closed", night, "2026-12-24T12:00:00Z", "2027-01-04T21:00:00.000Z"],
    ["when the window is closed already", night, "2026-12-19T12:00:00Z", "2026-12-19T21:00:00.000Z"],
  ] as const)("%s", (_, window, now, expected) => {
    expect(opening(window, now, freeze)).toBe(expected);
  });

  test("without a beginning holds at once, and says that it is the freeze", () => {
    const found = openingAt({ window: null, freeze: { ...freeze, from: null } }, at("2020-01-01T00:00:00Z"));
    expect(found).toMatchObject({ open: false, closedBy: "freeze" });
  });

  test("for ever is never", () => {
    const window: Window = { days: [1], from: "02:00", to: "02:01", zone: "UTC" };
    expect(opening(window, "2026-11-22T00:00:00Z", { from: null, until: "9999-12-31", zone: "UTC" })).not.toBe("open");
  });
});

test("the next opening is open, and nothing before it is", () => {
  const clock = fc
    .integer({ min: 0, max: 1439 })
    .map((n) => `${String(Math.floor(n / 60)).padStart(2, "0")}:${String(n % 60).padStart(2, "0")}`);
  const windows = fc
    .record({
      days: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      from: clock,
      to: clock,
      zone: fc.constantFrom("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"),
    })
    .filter(({ from, to }) => from !== to);
  // Around both changes of the clocks, and anywhere.
  const moments = fc.oneof(
    fc.integer({ min: at("2026-03-28T00:00:00Z"), max: at("2026-03-30T00:00:00Z") }),
    fc.integer({ min: at("2026-10-24T00:00:00Z"), max: at("2026-11-02T00:00:00Z") }),
    fc.integer({ min: at("2024-01-01T00:00:00Z"), max: at("2029-01-01T00:00:00Z") }),
  );
  fc.assert(
    fc.property(windows, moments, fc.double({ min: 0, max: 1, noNaN: true }), (window, now, somewhere) => {
      const found = openingAt({ window, freeze: null }, now);
      if (found.open) return;
      if (found.next === null) throw new Error("a window of every week opens");
      expect(openingAt({ window, freeze: null }, found.next).open).toBe(true);
      for (const between of [found.next - 1, now + Math.floor((found.next - 1 - now) * somewhere)]) {
        expect(openingAt({ window, freeze: null }, between).open).toBe(false);
      }
    }),
    { seed: 20261122, numRuns: 300 },
  );
});

test("a moment is said in the words of its zone", () => {
  expect(localTime(at("2026-11-23T21:00:00Z"), "Europe/Berlin")).toBe("Mon 23 Nov 2026 22:00 Europe/Berlin");
});
