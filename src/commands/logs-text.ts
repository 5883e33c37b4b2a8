import { logLine } from "../app/report.ts";
import type { Story } from "../app/story.ts";
import { ago, count, exactTime, span, visible } from "../core/describe.ts";
import { shortName } from "../core/target.ts";
import type { LogEvent } from "../host/log-read.ts";
import type { PastAttempt } from "../queue/attempts.ts";
import type { Project } from "../queue/projects.ts";
import type { Style } from "./paint.ts";
import { type View as ListView, marker } from "./status-list.ts";
import { flow, wrap } from "./table.ts";

type View = Pick<ListView, "width" | "paint" | "now">;

/** The story as a person reads it: a block for each attempt, and what the log has beside where it belongs in time. */
export function storyText(
  id: number,
  project: Project | undefined,
  attempts: readonly PastAttempt[],
  story: Story,
  view: View,
  verbose: boolean,
): string[] {
  const { paint } = view;
  const name = visible(project?.name ?? attempts.at(-1)?.name ?? "");
  const state = project === undefined ? { text: "no longer in the queue", style: "faint" as const } : marker(project);
  const lines = [`${paint("strong", `#${id} ${name}`)}  ${paint(state.style ?? "plain", state.text)}`];
  const blocks: { readonly at: number; readonly lines: string[] }[] = attempts.map((attempt) => ({
    at: attempt.startedAt ?? 0,
    lines: ["", ...attemptText(attempt, view, verbose)],
  }));
  const told = new Map(attempts.map((attempt) => [attempt, repeats(id, attempt)]));
  for (const event of story.events) {
    if ([...told.values()].some((isRepeat) => isRepeat(event))) continue;
    const before = blocks.findLast(({ at }) => at <= event.at);
    if (before === undefined) blocks.unshift({ at: event.at, lines: ["", ...eventText(event, view)] });
    else before.lines.push(...eventText(event, view));
  }
  if (blocks.length === 0) lines.push("", "  Nothing was tried yet, and the log says nothing of it.");
  lines.push(...blocks.flatMap((block) => block.lines));
  const read = story.files.length === 0 ? "no log file was found" : `${count(story.files.length, "log file")} read`;
  return [...lines, "", paint("faint", `${count(attempts.length, "attempt")}, ${read}`)];
}

/** Tells of an event whether it only says what the block of the attempt has said. A minute, since they are not written at one instant. */
function repeats(id: number, attempt: PastAttempt): (event: LogEvent) => boolean {
  const { outcome, reason, detail, name, finishedAt } = attempt;
  if (outcome === null || outcome === "abandoned" || finishedAt === null) return () => false;
  const known = ["merged", "already_merged", "merge_failed", "held"] as const;
  const ended = known.find((one) => one === outcome);
  const said = new Set(attempt.warnings.map((warning) => visible(`Project ${id}: ${visible(warning)}`)));
  if (ended !== undefined) said.add(visible(logLine({ id, name, outcome: ended, reason, detail }).text));
  if (attempt.output !== null) said.add(visible(attempt.output));
  return ({ at, text }) => said.has(text) && Math.abs(at - finishedAt) < 60_000;
}

const outcomes: Readonly<Record<string, readonly [mark: string, style: Style]>> = {
  merged: ["🔀", "good"],
  already_merged: ["🔀", "good"],
  merge_failed: ["❌", "bad"],
  held: ["⏸ ", "hold"],
  abandoned: ["↩ ", "faint"],
};

function attemptText(attempt: PastAttempt, view: View, verbose: boolean): string[] {
  const { paint, width, now } = view;
  const { startedAt, finishedAt, outcome } = attempt;
  const begun = startedAt ?? 0;
  const when = `${exactTime(begun)}${width === null ? "" : ` (${ago(begun, now)})`}`;
  const parts = [
    paint("strong", when),
    ...(finishedAt === null ? [] : [`took ${span(Math.max(0, finishedAt - begun))}`]),
  ];
  const [mark, style] = outcomes[outcome ?? ""] ?? ["… ", "wait" as const];
  const room = width === null ? null : Math.max(20, width - 5);
  const indented = (text: string): string[] => wrap(text, room).map((line) => `     ${line}`);
  const [first = "", ...rest] = indented(visible(whatCame(attempt)));
  const lines = [...flow(parts, " · ", width), `  ${mark} ${paint(style, first.trimStart())}`, ...rest];
  const roles = Math.max(0, ...attempt.heads.map(({ role }) => role.length));
  for (const { role, oid, branch } of attempt.heads) {
    const from = branch == null ? "" : `  ${shortName(branch)}`;
    lines.push(`     ${visible(`${role.padEnd(roles)}  ${oid.slice(0, 12)}${from}`)}`);
  }
  for (const warning of attempt.warnings) lines.push(...indented(`⚠ ${visible(warning)}`));
  if (verbose && attempt.output !== null) {
    lines.push(
      ...attempt.output
        .trim()
        .split(/\r?\n/)
        .map((line) => paint("faint", `     │ ${visible(line)}`)),
    );
  }
  const ids = flow([`attempt ${visible(attempt.attemptId)}`, `run ${visible(attempt.runId)}`], " · ", room);
  return [...lines, ...ids.map((line) => paint("faint", `     ${line}`))];
}

/** `merged into main as 3424a91e2b0c, pushed`, `conflict: src/app.ts`. */
function whatCame({ outcome, reason, detail, target, mergeCommit, tag, push }: PastAttempt): string {
  const why = [reason, detail].filter((part) => part !== null && part !== "").join(": ");
  const into = target === null ? "" : ` into ${shortName(target)}`;
  switch (outcome) {
    case "merged": {
      const commit = mergeCommit === null ? "" : ` as ${mergeCommit.slice(0, 12)}`;
      return [
        `merged${into}${commit}`,
        ...(tag === null ? [] : [tag]),
        ...(push === null ? [] : [push === "pushed" ? "pushed" : `push ${push}`]),
      ].join(", ");
    }
    case "already_merged":
      return `was in ${target === null ? "the target" : shortName(target)} already`;
    case "abandoned":
      return why === "" ? "given up: its run was killed" : why;
    case null:
      return "no outcome: its run is at work, or was killed";
    default:
      return why.replace(/\s*[\r\n]+\s*/g, " ");
  }
}

const levels: Readonly<Record<string, Style>> = { error: "bad", warn: "hold", notice: "good" };

/** A line of the log beside the attempts: `  10:00:03  Pushed main in …`. */
function eventText({ at, level, text }: LogEvent, { paint, width }: View): string[] {
  const time = `  ${exactTime(at)}`;
  const room = width === null ? null : Math.max(20, width - time.length - 2);
  const [first = "", ...rest] = wrap(visible(text), room);
  return [
    `${paint("faint", time)}  ${paint(levels[level] ?? "plain", first)}`,
    ...rest.map((line) => `${" ".repeat(time.length + 2)}${line}`),
  ];
}
