const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** The texts that are durations, as a JSON Schema pattern. */
export const durationPattern = "^(?=.*[1-9])([0-9]{1,9}(\\.[0-9]{1,3})?(ms|s|m|h|d|w)){1,6}$";

/**
 * Reads `90s`, `5m`, `1h30m`, `14d`, `1.5h` and gives milliseconds; undefined when the text is something else, or no time at all.
 * A bare number is refused: nobody agrees whether `90` means seconds or milliseconds.
 */
export function parseDuration(text: string): number | undefined {
  if (!new RegExp(durationPattern).test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ms|[smhdw])/g)) {
    total += Number(amount) * (unitMs[unit ?? ""] ?? Number.NaN);
  }
  return Math.max(1, Math.round(total));
}

/** The shortest text that parseDuration reads back as `ms`: `90_000` is `1m30s`, 0 is `0s`. */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms);
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const size = unitMs[unit] ?? 1;
    const amount = Math.floor(rest / size);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * size;
  }
  return text === "" ? "0s" : text;
}
