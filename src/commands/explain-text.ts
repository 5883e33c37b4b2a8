import type { Look } from "../app/look.ts";
import { advice } from "../core/advice.ts";
import { ago, exactTime, span, visible } from "../core/describe.ts";
import { curable } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import type { PastAttempt } from "../queue/attempts.ts";
import type { Project } from "../queue/projects.ts";
import type { View } from "./status-list.ts";
import { marker, whyOf } from "./status-list.ts";
import { type Fact, labelled } from "./status-one.ts";
import { wrap } from "./table.ts";

/** One effective value, and the rule that set it. */
export type Setting = { readonly key: string; readonly value: string; readonly source: string };

/** All that is known of one project. `look` is null for one that does not wait. */
export type Explained = {
  readonly project: Project;
  readonly look: Look | null;
  readonly settings: readonly Setting[];
  readonly attempts: readonly PastAttempt[];
};

/** So many lines of what a command said are shown without -v. */
const tailLines = 12;

/** Why a project is where it is, for a person: what is in the way first, what to do, then the rules and the history. */
export function explanation({ project, look, settings, attempts }: Explained, view: View, verbose: boolean): string[] {
  const { paint } = view;
  const { text, style = "plain" } = marker(project);
  const heading = (title: string) => ["", paint("strong", title)];
  const lines = [`${paint("strong", `#${project.id} ${visible(project.name)}`)}  ${paint(style, text)}`];
  const last = whyOf(project);
  if (last !== null) lines.push(...indented(last, view));
  if (look !== null) lines.push(...heading("Now"), ...labelled(nowOf(project, look, view), view));
  if (settings.length > 0) {
    lines.push(...heading("Rules"));
    const width = Math.max(...settings.map(({ key }) => key.length));
    for (const { key, value, source } of settings) {
      const said = `${key.padEnd(width)}  ${visible(value)}`;
      lines.push(`  ${source === "no rule" ? paint("faint", said) : `${said}  ${paint("faint", `(${source})`)}`}`);
    }
  }
  lines.push(...heading(attempts.length === 0 ? "No attempt yet" : "Attempts"));
  for (const attempt of attempts) lines.push(...story(attempt, view));
  const output = attempts.at(-1)?.output?.trim().split(/\r?\n/) ?? [];
  if (output.length > 0) {
    const shown = verbose ? output : output.slice(-tailLines);
    const rest = output.length - shown.length;
    lines.push(...heading("What the command said"));
    if (rest > 0) lines.push(paint("faint", `  (${rest} lines before it: -v shows all)`));
    lines.push(...shown.map((line) => `  ${visible(line)}`));
  }
  return lines;
}

function nowOf(project: Project, look: Look, view: View): Fact[] {
  const [first] = look.troubles;
  const target = look.target === null ? "its target" : shortName(look.target);
  const failed = project.standing === "failed";
  const again = curable.has(project.reason ?? "")
    ? "tried again when its commits or the target move"
    : "not tried again by itself";
  const state = failed
    ? [`failed; ${again}`]
    : first !== undefined
      ? look.troubles.map(({ reason, detail }) => `${reason}: ${detail}`)
      : look.lastHeld !== null
        ? [`${look.lastHeld} (as the last run found it; nothing has moved since)`]
        : [`nothing is in the way: the next run merges it into ${visible(target)}`];
  const next = failed
    ? advice("failed", project.reason, project.id, view.options)
    : first !== undefined
      ? advice(first.outcome === "held" ? "held" : "failed", first.reason, project.id, view.options)
      : look.lastHeld !== null
        ? advice("held", project.reason, project.id, view.options)
        : `To land it at once: orchestrator-merge run${view.options} --only ${project.id}`;
  const roles = Math.max(0, ...(look.heads ?? []).map(({ role }) => role.length));
  const { word } = look;
  return [
    [failed || (first === undefined && look.lastHeld === null) ? "State" : "In the way", state.map(visible)],
    ["What to do", [next]],
    ["Target", look.target === null ? [] : [visible(shortName(look.target))]],
    [
      "Heads",
      (look.heads ?? []).map(({ role, oid, branch }) =>
        visible(`${role.padEnd(roles)}  ${oid.slice(0, 12)}  ${branch === null ? "detached" : shortName(branch)}`),
      ),
    ],
    [
      "Waits for",
      look.dependencies.map(
        ({ id, name, met, standing }) => `${`${id} ${visible(name)}`.trim()}: ${met ? "landed" : standing}`,
      ),
    ],
    [
      "Window",
      look.closed === null ? [] : [look.closed.until === null ? "not within a year" : `opens ${look.closed.until}`],
    ],
    [
      "Approval",
      word === null
        ? []
        : [
            `${word.verdict} by ${visible(word.by)}, ${when(word.at, view)}: ${word.heads.map((oid) => oid.slice(0, 12)).join(", ")}`,
          ],
    ],
  ];
}

/** One attempt: when and how it ended, then what it did. */
function story(attempt: PastAttempt, view: View): string[] {
  const { paint } = view;
  const { startedAt, finishedAt, outcome, reason, detail, target } = attempt;
  const began = startedAt === null ? "unknown when" : when(startedAt, view);
  const took = finishedAt === null || startedAt === null ? "not finished" : `took ${span(finishedAt - startedAt)}`;
  const ended = [outcome?.replaceAll("_", " "), reason].filter((word) => word != null).join(": ");
  const lines = [`  ${began}  ${paint("strong", ended)}  ${paint("faint", took)}`];
  if (detail !== null) lines.push(...indented(visible(detail), view, 4));
  const steps: Fact[] = [
    ["backup", attempt.backupRef === null ? [] : [shortName(attempt.backupRef)]],
    [
      attempt.strategy,
      attempt.mergeCommit === null
        ? []
        : [`${attempt.mergeCommit}${target === null ? "" : ` on ${shortName(target)}`}`],
    ],
    ["tag", attempt.tag === null ? [] : [attempt.tag]],
    ["push", attempt.push === null ? [] : [attempt.push]],
    [
      "gates",
      attempt.gates.map(
        ({ name, verdict, durationMs }) => `${name}: ${verdict}${durationMs == null ? "" : ` (${span(durationMs)})`}`,
      ),
    ],
    ["conflicts", attempt.conflicts],
    ["warnings", attempt.warnings],
  ];
  const done = steps.map(([label, values]): Fact => [label, values.map(visible)]);
  lines.push(...labelled(done, view).map((line) => `  ${line}`));
  return lines;
}

const when = (at: number, view: View): string =>
  view.width === null ? exactTime(at) : `${exactTime(at)} (${ago(at, view.now)})`;

function indented(text: string, view: View, by = 2): string[] {
  return wrap(text, view.width === null ? null : view.width - by).map((line) => " ".repeat(by) + line);
}
