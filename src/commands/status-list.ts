import { ago, exactTime, isoTime, until, visible } from "../core/describe.ts";
import type { Counts, Filter, Overview } from "../queue/overview.ts";
import type { Project } from "../queue/projects.ts";
import type { Standing } from "../queue/standing.ts";
import type { Paint, Style } from "./paint.ts";
import type { Cell, Column } from "./table.ts";
import { flow, table } from "./table.ts";

/** How things are shown. */
export type View = {
  /** null is a pipe, where nothing is cut and times are exact */
  readonly width: number | null;
  readonly paint: Paint;
  /** unix milliseconds */
  readonly now: number;
  /** what the commands that we name need, to mean the same queue: ` --db X`, or nothing */
  readonly options: string;
};

/** What stands beside the name; people grep these. */
export const markers: Readonly<Record<Exclude<Standing, "skipped" | "not_completed">, Cell>> = {
  merged: { text: "🔀[MERGED]", style: "good" },
  pending: { text: "⏳[PENDING MERGE]", style: "wait" },
  failed: { text: "❌[MERGE FAILED]", style: "bad" },
  held: { text: "⏸[HELD]", style: "hold" },
  rolled_back: { text: "↩[ROLLED BACK]", style: "plain" },
};

/** The marker of a project; without one, what its row says: `skipped`, `processing`. */
export function marker(project: Project): Cell {
  const { standing } = project;
  if (standing === "skipped") return { text: visible(project.mergedStatus ?? "skipped"), style: "faint" };
  if (standing === "not_completed") return { text: visible(project.status ?? "no status"), style: "faint" };
  return markers[standing];
}

const columns: readonly Column[] = [
  { title: "ID", align: "right" },
  { title: "STATE" },
  { title: "PROJECT", least: 24, tight: 14 },
  { title: "WHEN", worth: 1 },
  { title: "WHY", under: 40 },
];

/** What belongs together without a blank line between: what needs a person, what comes, what landed, and the rest. */
const groups: Readonly<Record<Standing, string>> = {
  failed: "stuck",
  held: "stuck",
  pending: "coming",
  merged: "landed",
  rolled_back: "rest",
  skipped: "rest",
  not_completed: "rest",
};

/** The list as a person reads it: a table in groups, then what there is beside it. */
export function listing(overview: Overview, filter: Filter, location: string, view: View): string[] {
  const { counts, projects, matching } = overview;
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  if (total === 0) {
    return [
      `The queue is empty: no project was ever queued in ${visible(location)}.`,
      view.paint("faint", `Add finished work by hand: orchestrator-merge add${view.options} --project DIR`),
    ];
  }
  const rows: (Cell[] | null)[] = [];
  let previous: string | undefined;
  for (const project of projects) {
    const group = groups[project.standing];
    if (previous !== undefined && previous !== group) rows.push(null);
    previous = group;
    rows.push([
      { text: String(project.id) },
      marker(project),
      { text: visible(project.name) },
      { text: moment(whenOf(project), view), style: "faint" },
      { text: noteOf(project, view) },
    ]);
  }
  const waiting = counts.failed + counts.held + counts.pending;
  return [
    ...(rows.length > 0 ? [...table(columns, rows, view), ""] : []),
    ...(projects.length < matching ? [`${projects.length} of ${matching.toLocaleString("en-US")} shown.`] : []),
    ...(filter === "default" && waiting === 0 ? ["Nothing waits, is held or failed."] : []),
    ...(filter !== "default" && rows.length === 0 ? ["No such project."] : []),
    ...flow(summary(counts, view.paint), " · ", view.width),
    ...hint(projects, view),
  ];
}

const words: readonly [Standing, Style, string][] = [
  ["failed", "bad", "failed"],
  ["held", "hold", "held"],
  ["pending", "wait", "pending"],
  ["merged", "good", "merged"],
  ["rolled_back", "plain", "rolled back"],
  ["skipped", "plain", "skipped"],
  ["not_completed", "plain", "not completed"],
];

/** `2 failed · 1 held · 128 merged`: what there is, without what there is not, in parts. */
function summary(counts: Counts, paint: Paint): string[] {
  return words
    .filter(([standing]) => counts[standing] > 0)
    .map(([standing, style, word]) => paint(style, `${counts[standing].toLocaleString("en-US")} ${word}`));
}

/** One line on how to learn more about the first that needs it; where it breaks, the command begins a line. */
function hint(projects: readonly Project[], view: View): string[] {
  const first = projects.find(({ standing }) => standing === "failed" || standing === "held");
  if (first === undefined || view.width === null) return [];
  const parts = ["What to do about one:", `orchestrator-merge status${view.options} --id ${first.id}`];
  return flow(parts, " ", view.width).map((line) => view.paint("faint", line));
}

/** When it came to stand where it stands: completed, held, failed, merged. */
function whenOf(project: Project): number | null {
  const { standing, since, attempt, completedAt, mergedAt } = project;
  if (standing === "pending" || standing === "skipped") return completedAt;
  if (standing === "merged") return mergedAt;
  return standing === "not_completed" ? null : (since ?? attempt?.finishedAt ?? null);
}

/** A past moment: in words for a person, exact for a pipe, where "3 min ago" is soon a lie. */
function moment(at: number | null, view: View): string {
  if (at === null) return "";
  return view.width === null ? (isoTime(at)?.replace(/\.\d+Z$/, "Z") ?? "") : ago(at, view.now);
}

function noteOf(project: Project, view: View): string {
  const why = whyOf(project);
  switch (project.standing) {
    case "merged":
      return pushNote(project, view);
    case "pending":
      return joined(nextTry(project.nextAttemptAt, view), why ?? (project.again ? "completed again" : ""));
    default:
      return joined(
        project.nextAttemptAt !== null && project.nextAttemptAt > view.now ? nextTry(project.nextAttemptAt, view) : "",
        why ?? "",
      );
  }
}

/** `conflict: src/app.ts`, on one line; null when nothing is known. */
export function whyOf({ reason, detail }: Project): string | null {
  const said = [reason, detail].filter((part) => part !== null && part !== "").join(": ");
  return said === "" ? null : oneLine(said);
}

const oneLine = (text: string): string => visible(text.replace(/\s*[\r\n]+\s*/g, " ").trim());

/** `first: second`, or the one that there is. What is long comes second, since the end is what gets cut. */
const joined = (first: string, second: string): string => [first, second].filter((part) => part !== "").join(": ");

/** Why what is merged is not on the remote; empty when it is, or when nobody knows. */
export function pushNote(project: Project, view: View): string {
  const { attempt } = project;
  switch (attempt?.push) {
    case "none":
      return "not pushed: no remote";
    case "off":
      return "not pushed: pushing is off";
    case "pending":
    case "withheld":
    case "refused": {
      const next = nextTry(attempt.pushNextAt, view);
      return joined(`push ${attempt.push}${next === "" ? "" : `, ${next}`}`, oneLine(attempt.pushDetail ?? ""));
    }
    default:
      return "";
  }
}

function nextTry(at: number | null, view: View): string {
  if (at === null) return "";
  return at <= view.now
    ? "due at the next run"
    : `next try ${view.width === null ? `at ${exactTime(at)}` : until(at, view.now)}`;
}
