import { ago, isoTime, until, visible } from "../core/describe.ts";
import { nextStep } from "../core/next-step.ts";
import type { Counts, Filter, Overview } from "../queue/overview.ts";
import type { Project } from "../queue/projects.ts";
import type { Standing } from "../queue/standing.ts";
import type { Link } from "./links.ts";
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
  readonly link: Link;
  /** so many projects land at one run */
  readonly batch: number;
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
  { title: "NEXT", worth: 2 },
  { title: "WHY", under: 56 },
  { title: "TO DO", under: Number.POSITIVE_INFINITY, mark: "→ " },
];

/** More than these of one group are counted instead of listed, where a person reads and has not asked for them. */
export const mostOfAGroup = 20;

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
  const { counts, projects } = overview;
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  if (total === 0) {
    return [
      `The queue is empty: no project was ever queued in ${visible(location)}.`,
      view.paint("faint", `Add finished work by hand: orchestrator-merge add${view.options} --project DIR`),
    ];
  }
  const rows: (Cell[] | null)[] = [];
  let inLine = 0;
  for (const [i, project] of projects.entries()) {
    const before = projects[i - 1];
    if (before !== undefined && groups[before.standing] !== groups[project.standing]) rows.push(null);
    const why =
      whyOf(project) ?? (project.standing === "merged" ? pushNote(project) : project.again ? "completed again" : "");
    const toDo =
      project.standing === "failed" || project.standing === "held"
        ? nextStep(project.standing, project.reason, project.id)
        : "";
    const next = nextOf(project, view, inLine);
    if (project.standing === "pending" && !backsOff(project, view)) inLine++;
    const cells = [
      { text: String(project.id) },
      marker(project),
      { text: visible(project.name), path: project.projectPath },
      { text: moment(whenOf(project), view), style: "faint" as const },
      { text: next, style: "faint" as const },
    ];
    // A pipe has no use for the padding that a reason of a thousand letters would put before the last column.
    if (view.width === null) rows.push([...cells, { text: [why, toDo].filter((part) => part !== "").join(" → ") }]);
    else rows.push([...cells, { text: why }, { text: toDo }]);
  }
  const waiting = counts.failed + counts.held + counts.pending;
  return [
    ...(rows.length > 0 ? [...table(columns, rows, view), ""] : []),
    ...more(overview, filter, view),
    ...(filter === "default" && waiting === 0 ? ["Nothing waits, is held or failed."] : []),
    ...(filter !== "default" && rows.length === 0 ? ["No such project."] : []),
    ...flow([...summary(counts, view.paint), ...lastRun(overview, view)], " · ", view.width),
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

/** What of a long list is not shown, and how to see it. */
function more({ projects, matching, counts }: Overview, filter: Filter, { options, width, paint }: View): string[] {
  const hidden = matching - projects.length;
  if (hidden <= 0) return [];
  const flags = { failed: "--merge-failed", held: "--held", pending: "--pending-merge" } as const;
  const shown = (standing: Standing): number => projects.filter((project) => project.standing === standing).length;
  const cut = (["failed", "held", "pending"] as const).filter((standing) => shown(standing) < counts[standing]);
  const whole = filter === "default" ? cut.map((standing) => flags[standing]).join(" ") : "";
  const how = whole === "" ? [] : [`see them: orchestrator-merge status${options} ${whole}`];
  const said = `${projects.length} of ${matching.toLocaleString("en-US")} shown, ${hidden.toLocaleString("en-US")} more`;
  return flow([said, ...how], "; ", width).map((line) => paint("strong", line));
}

/** `last run 3 min ago`, or that one is at work; for a timer that died without a word. */
function lastRun({ lastRunAt, runningSince }: Overview, view: View): string[] {
  const at = (time: number): string => moment(time, view);
  if (runningSince !== null) return [view.paint("strong", `a run began ${at(runningSince)}`)];
  return lastRunAt === null ? [] : [view.paint("faint", `last run ${at(lastRunAt)}`)];
}

/** One line on how to learn more about the first that needs it; where it breaks, the command begins a line. */
function hint(projects: readonly Project[], view: View): string[] {
  const first = projects.find(({ standing }) => standing === "failed" || standing === "held");
  if (first === undefined || view.width === null) return [];
  const parts = ["More about one:", `orchestrator-merge status${view.options} --id ${first.id}`];
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

const backsOff = ({ nextAttemptAt }: Project, { now }: View): boolean => nextAttemptAt !== null && nextAttemptAt > now;

/** When it is tried again, by itself: `next run`, `in 2 runs`, `in 4 min`. `before`: so many wait their turn before it. */
function nextOf(project: Project, view: View, before: number): string {
  const { standing, attempt, nextAttemptAt } = project;
  if (standing === "merged") {
    return attempt?.push === "pending" || attempt?.push === "refused" ? nextTry(attempt.pushNextAt, view) : "";
  }
  if (backsOff(project, view)) return nextTry(nextAttemptAt, view);
  if (standing !== "pending") return standing === "held" ? "next run" : "";
  const runs = Math.floor(before / view.batch) + 1;
  return runs === 1 ? "next run" : `in ${runs} runs`;
}

/** `conflict: src/app.ts`, on one line; null when nothing is known. */
export function whyOf({ reason, detail }: Project): string | null {
  const said = [reason, detail].filter((part) => part !== null && part !== "").join(": ");
  return said === "" ? null : oneLine(said);
}

const oneLine = (text: string): string => visible(text.replace(/\s*[\r\n]+\s*/g, " ").trim());

/** Why what is merged is not on the remote; empty when it is, or when nobody knows. */
export function pushNote({ attempt }: Project): string {
  switch (attempt?.push) {
    case "none":
      return "not pushed: no remote";
    case "off":
      return "not pushed: pushing is off";
    case "pending":
    case "withheld":
    case "refused":
      return [`push ${attempt.push}`, oneLine(attempt.pushDetail ?? "")].filter((part) => part !== "").join(": ");
    default:
      return "";
  }
}

/** `in 4 min`, `next run`; empty when it is not known. */
export function nextTry(at: number | null, view: View): string {
  if (at === null) return "";
  if (at <= view.now) return "next run";
  return view.width === null ? (isoTime(at) ?? "").replace(/\.\d+Z$/, "Z") : until(at, view.now);
}
