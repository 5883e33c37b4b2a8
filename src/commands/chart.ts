import type { Paint } from "./paint.ts";

const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/** A horizontal bar of at most `columns`, to an eighth of a column; anything above 0 shows at least a sliver. */
export function bar(value: number, most: number, columns: number): string {
  if (value <= 0 || most <= 0) return "";
  const units = Math.max(1, Math.round((Math.min(value, most) / most) * columns * 8));
  return "█".repeat(Math.floor(units / 8)) + (eighths[units % 8] ?? "");
}

export type Day = { readonly day: string; readonly merged: number; readonly failed: number };

/** One line a day: what landed as █, what failed as ░ behind it (told apart without colour), then the numbers. */
export function dayBars(days: readonly Day[], width: number, paint: Paint): string[] {
  const most = Math.max(...days.map(({ merged, failed }) => merged + failed));
  const numbers = days.map(({ merged, failed }) =>
    [merged > 0 ? `${merged}` : "", failed > 0 ? `${failed} failed` : ""].filter((text) => text !== "").join(", "),
  );
  const date = (day: string): string => (width < 50 ? day.slice("2026-".length) : day);
  const left = `Mon ${date("2026-01-01")}  `.length;
  const columns = Math.max(2, Math.min(40, width - left - 1 - Math.max(...numbers.map((text) => text.length))));
  // Whole columns, so that both parts are as long as they say; not more than one a landing, or quiet days look busy.
  const scale = Math.min(1, columns / Math.max(1, most));
  const cells = (n: number): number => (n === 0 ? 0 : Math.max(1, Math.round(n * scale)));
  return days.map(({ day, merged, failed }, i) => {
    const weekday = new Date(`${day}T00:00:00Z`).toLocaleDateString("en-US", { weekday: "short", timeZone: "UTC" });
    const bad = Math.min(cells(failed), columns - 1);
    const drawn = paint("good", "█".repeat(Math.min(cells(merged), columns - bad))) + paint("bad", "░".repeat(bad));
    const label = paint("faint", `${weekday} ${date(day)}`);
    return merged + failed === 0 ? `${label}  ${paint("faint", "·")}` : `${label}  ${drawn} ${numbers[i]}`;
  });
}

const levels = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/** One column a value, blank for none; with more values than columns, neighbours are added up. */
export function sparkline(values: readonly number[], columns: number): { line: string; each: number; most: number } {
  const each = Math.max(1, Math.ceil(values.length / Math.max(1, columns)));
  const sums: number[] = [];
  // Counted from the end: the newest column is always a whole one.
  for (let end = values.length; end > 0; end -= each) {
    sums.unshift(values.slice(Math.max(0, end - each), end).reduce((sum, value) => sum + value, 0));
  }
  const most = Math.max(0, ...sums);
  const line = sums.map((sum) => (sum <= 0 ? " " : levels[Math.max(0, Math.ceil((sum / most) * 8) - 1)])).join("");
  return { line, each, most };
}
