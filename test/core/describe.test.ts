import { describe, expect, test } from "vitest";
import { ago, exactTime, isoTime, projectName, span, until, visible } from "../../src/core/describe.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.UTC(2026, 10, 22, 12, 0, 0);

describe("visible", () => {
  test.each([
    ["plain-name_1.2 (x)", "plain-name_1.2 (x)"],
    ["two\nlines\ttab\r", "two\\nlines\\ttab\\r"],
    ["\x1b[31mred\x07\x00\x7f\x9b", "\\x1b[31mred\\x07\\x00\\x7f\\x9b"],
    ["evil\u202egnp.md\u2066x\u2069\u200f", "evil\\u{202e}gnp.md\\u{2066}x\\u{2069}\\u{200f}"],
    ["zero\u200bwidth\u00adsoft\ufeff\u3164", "zero\\u{200b}width\\xadsoft\\u{feff}\\u{3164}"],
    ["line\u2028paragraph\u2029", "line\\u{2028}paragraph\\u{2029}"],
    ["lone\ud800surrogate", "lone\\u{d800}surrogate"],
    ["ad\u200dmin", "ad\\u{200d}min"],
    ["支払い 한글 مرحبا café e\u0301", "支払い 한글 مرحبا café e\u0301"],
    ["🚀 👨‍👩‍👧 👩🏽‍💻 ❤️ 🇩🇪 1️⃣", "🚀 👨‍👩‍👧 👩🏽‍💻 ❤️ 🇩🇪 1️⃣"],
    ["نامه\u200cای क्\u200dष", "نامه\u200cای क्\u200dष"],
  ])("%j", (given, shown) => {
    expect(visible(given)).toBe(shown);
  });
});

test.each([
  [0, "just now"],
  [4 * second, "just now"],
  [5 * second, "5 s ago"],
  [59_999, "59 s ago"],
  [minute, "1 min ago"],
  [hour - 1, "59 min ago"],
  [hour, "1 h ago"],
  [47 * hour, "47 h ago"],
  [48 * hour, "2 days ago"],
  [60 * day, "60 days ago"],
  [61 * day, "2026-09-22"],
  [-minute, "just now"],
  [-2 * hour, "2026-11-22"],
])("%d ms before now is %j", (passed, words) => {
  expect(ago(now - passed, now)).toBe(words);
});

test.each([
  [-5, "now"],
  [999, "now"],
  [second, "in 1 s"],
  [4 * minute + 30 * second, "in 4 min"],
  [3 * hour, "in 3 h"],
  [3 * day, "in 3 days"],
])("%d ms from now is %j", (ahead, words) => {
  expect(until(now + ahead, now)).toBe(words);
});

test.each([
  [0, "0.0 s"],
  [840, "0.8 s"],
  [42_900, "42 s"],
  [minute, "1 min"],
  [3 * minute + 20 * second, "3 min 20 s"],
  [5 * hour + minute, "5 h 1 min"],
  [2 * day + 3 * hour, "2 d 3 h"],
])("a span of %d ms is %j", (ms, words) => {
  expect(span(ms)).toBe(words);
});

test("exact times are UTC; what no calendar holds is no crash", () => {
  expect(exactTime(now + 3456)).toBe("2026-11-22 12:00:03 UTC");
  expect(isoTime(now + 3456)).toBe("2026-11-22T12:00:03.456Z");
  expect(isoTime(null)).toBeNull();
  for (const impossible of [Number.NaN, Number.POSITIVE_INFINITY, 9e15, -9e15]) {
    expect(isoTime(impossible)).toBeNull();
    expect(exactTime(impossible)).toBe("unknown");
  }
});

test.each([
  ["/specs/web_server.md", "web_server"],
  ["/specs/a.b.md", "a.b"],
  ["no-suffix", "no-suffix"],
  ["/specs/.md", ".md"],
  ["/specs/two\nlines.md", "two\nlines"],
  ["", ""],
])("the name of %j is %j", (path, name) => {
  expect(projectName(1, path)).toBe(name);
});
