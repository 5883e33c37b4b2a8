import { advice } from "../core/advice.ts";
import { ago, exactTime, until, visible } from "../core/describe.ts";
import { shortName } from "../core/target.ts";
import type { AttemptFacts } from "../queue/attempts.ts";
import type { Project } from "../queue/projects.ts";
import type { View } from "./status-list.ts";
import { marker, nextTry, pushNote, whyOf } from "./status-list.ts";
import { wrap } from "./table.ts";

/** One project in full, as `systemctl status` does it: who, why, what to do, then the facts. Nothing is cut. */
export function story(project: Project, facts: AttemptFacts | undefined, view: View, verbose: boolean): string[] {
  const { paint } = view;
  const { text, style = "plain" } = marker(project);
  const lines = [`${paint("strong", `#${project.id} ${visible(project.name)}`)}  ${paint(style, text)}`];
  const why =
    whyOf(project) ?? (project.again ? "Completed again after it had an outcome: it waits like a new one." : null);
  if (why !== null) lines.push(...wrap(why, view.width === null ? null : view.width - 2).map((line) => `  ${line}`));
  lines.push("", ...labelled(factsOf(project, facts, view), view));
  const output = facts?.output?.trim() ?? "";
  if (output !== "" && verbose) {
    lines.push(
      "",
      paint("faint", "What the command said:"),
      ...output.split(/\r?\n/).map((line) => `  ${visible(line)}`),
    );
  } else if (output !== "") {
    lines.push(
      "",
      ...wrap("With -v also what the failing command said.", view.width).map((line) => paint("faint", line)),
    );
  }
  return lines;
}

const shortened = (ref: string | null | undefined): string | null => (ref ? shortName(ref) : null);

export type Fact = readonly [label: string, values: readonly string[], path?: string | null];

function factsOf(project: Project, facts: AttemptFacts | undefined, view: View): Fact[] {
  const { attempt, standing, completedAt, mergedAt, since, nextAttemptAt } = project;
  const time = (at: number | null | undefined): string[] => (at === null || at === undefined ? [] : [moment(at, view)]);
  const known = (value: string | null | undefined): string[] =>
    value === null || value === undefined ? [] : [visible(value)];
  const stuck = standing === "failed" || standing === "held";
  return [
    ["What to do", stuck ? [advice(standing, project.reason, project.id, view.options)] : []],
    ["Completed", standing === "not_completed" ? [] : completedAt === null ? ["unknown when"] : time(completedAt)],
    ["Merged", time(mergedAt)],
    [standing === "failed" ? "Failed" : "Since", standing === "merged" ? [] : time(since)],
    ["Next try", nextAttemptAt === null ? [] : nextAttemptAt <= view.now ? ["at the next run"] : time(nextAttemptAt)],
    ["Push", attempt?.push === "pushed" ? ["pushed"] : known(pushNote(project).replace(/^push /, "") || null)],
    [
      "Next push",
      attempt?.push === "pending" || attempt?.push === "refused"
        ? known(nextTry(attempt.pushNextAt, view) || null)
        : [],
    ],
    ["Target", known(shortened(attempt?.target))],
    ["Merge commit", known(attempt?.mergeCommit)],
    ["Before it", known(facts?.base)],
    ["Backup", known(shortened(attempt?.backupRef))],
    ["Tag", known(attempt?.tag)],
    ["Heads", headLines(facts?.heads ?? [])],
    ["Conflicts", (facts?.conflicts ?? []).map(visible)],
    ["Warnings", (facts?.warnings ?? []).map(visible)],
    ["Attempts", project.attempts === 0 ? [] : [attemptsLine(project, facts, view)]],
    ["Priority", project.priority === null ? [] : [String(project.priority)]],
    ["Tags", project.tags.length === 0 ? [] : [project.tags.map(visible).join(", ")]],
    ["Spec", known(project.specPath), project.specPath],
    [
      "Project",
      project.projectPath === null ? ["not named: the directory of the spec"] : known(project.projectPath),
      project.projectPath,
    ],
    [
      "Row says",
      [`status ${visible(project.status ?? "NULL")}, merged_status ${visible(project.mergedStatus ?? "NULL")}`],
    ],
  ];
}

/** `developer  0123456789ab  developer-branch`, the ids long enough for git to know them by. */
function headLines(heads: AttemptFacts["heads"]): string[] {
  const roles = Math.max(0, ...heads.map(({ role }) => role.length));
  return heads.map(({ role, oid, branch, worktree }) => {
    const place = shortened(branch) ?? worktree ?? "";
    return visible(`${role.padEnd(roles)}  ${oid.slice(0, 12)}  ${place}`.trimEnd());
  });
}

function attemptsLine(project: Project, facts: AttemptFacts | undefined, view: View): string {
  const last = project.attempt?.finishedAt ?? facts?.startedAt ?? null;
  return last === null ? String(project.attempts) : `${project.attempts}, the last ${moment(last, view)}`;
}

/** `2026-11-22 12:01:03 UTC (3 min ago)`; without the second half in a pipe. */
function moment(at: number, view: View): string {
  if (view.width === null) return exactTime(at);
  return `${exactTime(at)} (${at > view.now ? until(at, view.now) : ago(at, view.now)})`;
}

/** Labels in a column of their own, long values wrapped beside them; without room for that, below them. */
export function labelled(facts: readonly Fact[], { width, paint, link }: View): string[] {
  const shown = facts.filter(([, values]) => values.length > 0);
  if (shown.length === 0) return [];
  const left = Math.max(...shown.map(([label]) => label.length)) + 4;
  const stacked = width !== null && width - left < 30;
  return shown.flatMap(([label, values, path = null]) => {
    const lines = values
      .flatMap((value) => wrap(value, width === null ? null : stacked ? width - 4 : width - left))
      .map((line) => link(line, path));
    if (stacked) return [paint("faint", `  ${label}`), ...lines.map((line) => `    ${line}`)];
    return lines.map((line, i) => (i === 0 ? paint("faint", `  ${label}`.padEnd(left)) : " ".repeat(left)) + line);
  });
}
