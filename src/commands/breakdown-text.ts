import { span, visible } from "../core/describe.ts";
import type { Breakdown, Group } from "../queue/breakdown.ts";
import { sparkline } from "./chart.ts";
import type { Paint } from "./paint.ts";
import { percent } from "./percent.ts";
import { type Column, table } from "./table.ts";

/** Columns of the history of each project or repository. */
export const historyColumns = 14;

/** Projects or repositories, the busiest first: a line each, with its own little history. */
export function breakdownText(
  { by, groups, total }: Breakdown,
  { width, paint }: { readonly width: number | null; readonly paint: Paint },
): string[] {
  const title = by === "project" ? "PROJECT" : "REPOSITORY";
  const columns: Column[] = [
    { title, least: 16, tight: 10 },
    { title: "MERGED", align: "right" },
    { title: "FAILED", align: "right" },
    { title: "RATE", align: "right", worth: 5 },
    { title: "HALF WITHIN", align: "right", worth: 3 },
    { title: "95 % WITHIN", align: "right", worth: 2 },
    { title: "HISTORY", worth: 4 },
    { title: "FAILS BY", worth: 1 },
  ];
  const names = by === "project" ? groups.map(({ key, name }) => `${key} ${name}`) : shortest(groups.map(placeOf));
  const rows = groups.map((group, i) => [
    { text: visible(names[i] ?? "") },
    { text: group.merged.toLocaleString("en-US") },
    { text: group.failed.toLocaleString("en-US"), style: group.failed > 0 ? ("bad" as const) : ("faint" as const) },
    { text: percent(group.merged / Math.max(1, group.merged + group.failed)) },
    { text: group.p50Ms === null ? "" : span(group.p50Ms) },
    { text: group.p95Ms === null ? "" : span(group.p95Ms) },
    { text: sparkline(group.history, historyColumns).line, style: "good" as const },
    { text: visible(group.topReason ?? ""), style: "bad" as const },
  ]);
  const heading = paint("strong", by === "project" ? "Each project" : "Each repository");
  if (groups.length === 0) return [heading, "  Nothing was tried."];
  const lines = table(columns, rows, { width: width === null ? null : width - 2, paint }).map((line) => `  ${line}`);
  const more = total - groups.length;
  return [heading, ...lines, ...(more > 0 ? [paint("faint", `  and ${more.toLocaleString("en-US")} more`)] : [])];
}

/** The directory that a person knows: without the `.git` in it. */
const placeOf = ({ key }: Group): string => key.replace(/\/\.git$/, "");

/** Of each path as much of its end as tells it from the others, whole names of directories. */
function shortest(paths: readonly string[]): string[] {
  return paths.map((path) => {
    const parts = path.split("/");
    for (let n = 1; n < parts.length; n++) {
      const end = parts.slice(-n).join("/");
      if (paths.every((other) => other === path || !other.endsWith(`/${end}`))) return end;
    }
    return path;
  });
}
