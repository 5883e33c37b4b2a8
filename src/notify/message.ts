import { createHash } from "node:crypto";
import { advice } from "../core/advice.ts";
import { count, exactTime, isoTime, visible } from "../core/describe.ts";
import type { Happening } from "../core/notify.ts";

/** One message: to one person by one channel, about one happening or several. */
export type Message = {
  /** The same whenever the same message is sent again. */
  readonly id: string;
  /** one line */
  readonly title: string;
  /** what there is to say besides, some lines; "" when the title says it all */
  readonly body: string;
  /** what programs are sent, as docs/notifications.md has it */
  readonly payload: object;
  /** unix milliseconds */
  readonly at: number;
  readonly happenings: readonly Happening[];
};

/** From so many happenings on, one message tells of all of them. */
const digestFrom = 6;
/** So many of them it names. */
const named = 20;
const longestDetail = 500;

/** The messages for these happenings: one each, or one for all when they are many. `host` names this computer. */
export function messagesOf(happenings: readonly Happening[], host: string, now: number): Message[] {
  if (happenings.length < digestFrom) return happenings.map((one) => single(one, host, now));
  const sum = createHash("sha256").update(happenings.map(({ id }) => id).join("\n"));
  const kinds = [...new Set(happenings.map(({ event }) => event))];
  const parts = kinds.map((kind) => `${happenings.filter(({ event }) => event === kind).length} ${plural[kind]}`);
  const lines = happenings
    .slice(0, named)
    .map((one) => `- ${titleOf(one)}${one.detail === null ? "" : `: ${shown(one.detail)}`}`);
  const more = happenings.length - lines.length;
  if (more > 0) lines.push(`and ${count(more, "more", "more")}: orchestrator-merge status`);
  const title = `${count(happenings.length, "event")}: ${parts.join(", ")}`;
  return [message(`digest:${sum.digest("hex").slice(0, 32)}`, title, lines.join("\n"), happenings, host, now)];
}

function single(happening: Happening, host: string, now: number): Message {
  const next = nextStep(happening);
  const lines = [happening.detail === null ? null : shown(happening.detail), next].filter((line) => line !== null);
  return message(happening.id, titleOf(happening), lines.join("\n"), [happening], host, now);
}

function message(
  id: string,
  title: string,
  body: string,
  happenings: readonly Happening[],
  host: string,
  now: number,
): Message {
  const events = happenings.map((one) => {
    const { id, event, at, ...known } = one;
    return { id, event, at: isoTime(at), ...known, text: titleOf(one), nextStep: nextStep(one) };
  });
  const payload = { schema: 1, id, host, sentAt: isoTime(now), text: title, events };
  return { id, title, body, payload, at: now, happenings };
}

const plural: Record<Happening["event"], string> = {
  merged: "landed",
  failed: "failed",
  held: "held for long",
  approval: "waiting for approval",
  push: "not pushed",
  died: "died",
  test: "tests",
};

function titleOf(happening: Happening): string {
  const { event, project, reason, target, at } = happening;
  const who = project === null ? "A project" : `Project ${project.id} ${visible(project.name)}`;
  const where = visible(target ?? "the target");
  switch (event) {
    case "merged":
      return reason === "already_merged" ? `${who} was in ${where} already` : `${who} landed on ${where}`;
    case "failed":
      return `${who} failed: ${reason}`;
    case "held":
      return `${who} is held since ${exactTime(at)}: ${reason}`;
    case "approval":
      return `${who} waits for approval`;
    case "push":
      return `${where} in ${visible(happening.repository ?? "")} is not pushed since ${exactTime(at)}: ${reason}`;
    case "died":
      return "A run died";
    case "test":
      return "A test of orchestrator-merge's notifications";
  }
}

function nextStep({ event, project, reason }: Happening): string | null {
  if (event === "approval" && project !== null) return `To let it land: orchestrator-merge approve ${project.id}`;
  if ((event === "failed" || event === "held") && project !== null) return advice(event, reason, project.id, "");
  if (event === "push") return "Every later run tries again; why it fails: orchestrator-merge doctor";
  if (event === "died")
    return "The next run takes up what it left; why it died: journalctl --user, orchestrator-merge doctor";
  return null;
}

function shown(detail: string): string {
  const text = visible(detail);
  return text.length > longestDetail ? `${text.slice(0, longestDetail - 1)}…` : text;
}
