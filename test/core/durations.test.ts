import { expect, test } from "vitest";
import { formatDuration, parseDuration } from "../../src/core/durations.ts";
import { formatSize, parseSize } from "../../src/core/sizes.ts";

test.each([
  ["90s", 90_000],
  ["5m", 300_000],
  ["14d", 1_209_600_000],
  ["1h30m", 5_400_000],
  ["1.5h", 5_400_000],
  ["250ms", 250],
  ["2w", 1_209_600_000],
  ["0h1s", 1_000],
])("the duration %s is %d ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(["", "90", "0s", "5 m", "m", "-5m", "5M", "5m ", "1e3s", "5min", "1h30", ".5h", "5..5h", "٣s"])(
  "%j is no duration",
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);

test.each([1, 999, 1_000, 90_000, 5_400_000, 86_400_000, 1_209_600_001])("%d ms survive being written", (ms) => {
  expect(parseDuration(formatDuration(ms))).toBe(ms);
});

test.each([
  ["10MB", 10_000_000],
  ["512KiB", 524_288],
  ["1.5 GB", 1_500_000_000],
  ["100b", 100],
  ["2kb", 2_000],
])("the size %s is %d bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["", "10", "0MB", "10M", "-1MB", "10  MB", "MB", "10TB", "1,5MB"])("%j is no size", (text) => {
  expect(parseSize(text)).toBeUndefined();
});

test.each([1, 1_234, 10_000_000, 2_000, 1_048_576])("%d bytes survive being written", (bytes) => {
  expect(parseSize(formatSize(bytes))).toBe(bytes);
});
