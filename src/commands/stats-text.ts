import { count, span, visible } from "../core/describe.ts";
import type { Breakdown } from "../queue/breakdown.ts";
import type { Distribution, Statistics } from "../queue/statistics.ts";
import { breakdownText } from "./breakdown-text.ts";
import { bar, dayBars, sparkline } from "./chart.ts";
import type { Paint, Style } from "./paint.ts";
import { percent } from "./percent.ts";
import { columnsOf, flow } from "./table.ts";

/** Wide enough for the charts, and as much as anybody reads; a pipe gets it too. */
const widest = 80;
/** More days than these are drawn as two lines of columns instead of one bar each. */
const mostBars = 14;

type View = { readonly width: number | null; readonly paint: Paint };

/** The statistics as a person reads them; `period` is `7d`, or the moment since when. */
export function statistics(read: Statistics, period: string, view: View, breakdown?: Breakdown): string[] {
  const { paint } = view;
  const width = Math.min(view.width ?? widest, widest);
  const heading = (text: string): string => paint("strong", text);
  const total = Object.values(read.distribution).reduce((sum, n) => sum + n, 0);
  const title = /^\d{4}-/.test(period) ? `Since ${period}` : `Last ${period}`;
  const lines = [heading(title), ...keyFigures(read, width)];
  if (read.merged + read.failed > 0) {
    const hours = read.perHour.length > 0;
    lines.push("", heading(hours ? "Each hour (UTC)" : "Each day (UTC)"));
    lines.push(...(hours ? hourly(read, width, view) : history(read, width, view)));
  }
  if (breakdown !== undefined) lines.push("", ...breakdownText(breakdown, view));
  if (read.reasons.length > 0) {
    const rows = read.reasons.map(({ reason, failed }) => ({
      label: visible(reason),
      n: failed,
      style: "bad" as const,
    }));
    lines.push("", heading("Why merges failed"), ...barRows(rows, width, view, true));
  }
  lines.push("", heading("All projects, by merged_status"));
  if (total === 0) return [...lines, "  The queue is empty."];
  const rows = states
    .map(([key, label, style]) => ({ label, n: read.distribution[key], style }))
    .filter(({ n }) => n > 0);
  return [...lines, ...barRows(rows, width, view)];
}

const states: readonly [keyof Distribution, string, Style][] = [
  ["pendingMerge", "pending_merge", "wait"],
  ["merged", "merged", "good"],
  ["mergeFailed", "merge_failed", "bad"],
  ["rolledBack", "rolled_back", "plain"],
  ["skipped", "skipped", "plain"],
  ["notSet", "not set", "faint"],
];

function keyFigures(read: Statistics, width: number): string[] {
  const { merged, failed, successRate, timeToLand, mergedLast24h } = read;
  const facts: [string, string[]][] = [
    ["Merged", [merged.toLocaleString("en-US")]],
    ["Failed", [failed.toLocaleString("en-US")]],
    ["Success rate", [successRate === null ? "nothing was tried" : percent(successRate)]],
    [
      "Time to land",
      timeToLand.p50Ms === null || timeToLand.p95Ms === null
        ? ["nothing landed"]
        : [`half within ${span(timeToLand.p50Ms)}`, `95 % within ${span(timeToLand.p95Ms)}`],
    ],
    ["Last 24 h", [`${count(mergedLast24h, "project")} merged`]],
  ];
  const left = 16;
  return facts.flatMap(([label, parts]) =>
    flow(parts, ", ", width - left).map((line, i) => (i === 0 ? `  ${label}`.padEnd(left) : " ".repeat(left)) + line),
  );
}

function history(read: Statistics, width: number, view: View): string[] {
  if (read.perDay.length <= mostBars) return dayBars(read.perDay, width - 2, view.paint).map((line) => `  ${line}`);
  // Long ago there may have been nothing to tell: begin with the first day that has something.
  const perDay = read.perDay.slice(read.perDay.findIndex(({ merged, failed }) => merged + failed > 0));
  return twoLines(
    perDay,
    perDay.map(({ day }) => day),
    "days",
    width,
    view,
  );
}

const hourly = ({ perHour }: Statistics, width: number, view: View): string[] =>
  twoLines(
    perHour,
    perHour.map(({ hour }) => `${hour.slice(5, 10)} ${hour.slice(11, 16)}`),
    "hours",
    width,
    view,
  );

type Ended = { readonly merged: number; readonly failed: number };

/** What landed and what failed as a line of columns each, over the same axis. */
function twoLines(
  times: readonly Ended[],
  labels: readonly string[],
  unit: string,
  width: number,
  { paint }: View,
): string[] {
  const columns = width - "  failed  ".length - " most 10,000".length;
  const merged = sparkline(
    times.map((one) => one.merged),
    columns,
  );
  const failed = sparkline(
    times.map((one) => one.failed),
    columns,
  );
  const most = (n: number): string => paint("faint", ` most ${n.toLocaleString("en-US")}`);
  const [first, last] = [labels[0] ?? "", labels.at(-1) ?? ""];
  const axis = first + " ".repeat(Math.max(2, columnsOf(merged.line) - first.length - last.length)) + last;
  const under = flow(merged.each > 1 ? [axis, `${merged.each} ${unit} a column`] : [axis], ", ", width - 10);
  return [
    `  merged  ${paint("good", merged.line)}${most(merged.most)}`,
    `  failed  ${paint("bad", failed.line)}${most(failed.most)}`,
    ...under.map((line) => paint("faint", `          ${line}`)),
  ];
}

type BarRow = { readonly label: string; readonly n: number; readonly style: Style };

/** Numbers, each with a bar for its share of them all, and on demand that share in words. */
function barRows(rows: readonly BarRow[], width: number, { paint }: View, shares = false): string[] {
  const labels = Math.max(...rows.map(({ label }) => columnsOf(label)));
  const numbers = Math.max(...rows.map(({ n }) => n.toLocaleString("en-US").length));
  const columns = Math.min(30, width - labels - numbers - 6 - (shares ? 7 : 0));
  const total = rows.reduce((sum, { n }) => sum + n, 0);
  return rows.map(({ label, n, style }) => {
    const share = shares ? `  ${percent(n / total).padStart(5)}` : "";
    const number = n.toLocaleString("en-US").padStart(numbers);
    const left = `  ${label}${" ".repeat(labels - columnsOf(label))}  ${number}${share}`;
    return columns < 4 ? left : `${left}  ${paint(style, bar(n, total, columns))}`;
  });
}
