import { createHash } from "node:crypto";
import service from "../../systemd/tmux-orchestrator-auto-merge.service";
import timer from "../../systemd/tmux-orchestrator-auto-merge.timer";
import failed from "../../systemd/tmux-orchestrator-auto-merge-failed.service";
import { parseDuration } from "../core/durations.ts";
import { exitCode, UserError } from "../core/errors.ts";

/*
 * The unit files as they are installed: those of systemd/ with this host's paths, under a line that says which version wrote them and
 * what they were then. By that line a file is known as ours, and by its hash whether somebody has changed it since.
 */

export const serviceUnit = "tmux-orchestrator-auto-merge.service";
export const timerUnit = "tmux-orchestrator-auto-merge.timer";
export const failedUnit = "tmux-orchestrator-auto-merge-failed.service";

/** What is this host's in the units. Paths are absolute. */
export type UnitSettings = {
  readonly version: string;
  readonly program: string;
  /** a path, or a server's URL */
  readonly database: string;
  readonly configFile: string | null;
  /** OnCalendar=, see calendarOf */
  readonly calendar: string;
};

/**
 * The unit files by name. Throws UserError(2) for a path with a control character, and for a program with a `$` or a quote in its path:
 * systemd has no notation for them there (systemd.service(5), "Command lines").
 */
export function renderUnits(settings: UnitSettings): ReadonlyMap<string, string> {
  const { program, database, configFile, calendar } = settings;
  if (/["'\\$]/.test(program)) throw unfit(program);
  const environment = [
    ["ORCHESTRATOR_MERGE_DB", database],
    ...(configFile === null ? [] : [["ORCHESTRATOR_MERGE_CONFIG", configFile]]),
  ].map(([name = "", path = ""]) => `Environment=${quoted(path, `${name}=`)}`);
  const start = ["# The files that install was given, so that the timer and your shell use the same.", ...environment];
  const texts = [
    [serviceUnit, replaceLine(service, "ExecStart", [...start, `ExecStart=${quoted(program)} run`])],
    [timerUnit, replaceLine(timer, "OnCalendar", [`OnCalendar=${calendar}`])],
    [
      failedUnit,
      failed.replace(/^ExecStart=-.*$/m, () => [...start, `ExecStart=-${quoted(program)} notify died`].join("\n")),
    ],
  ] as const;
  return new Map(texts.map(([name, text]) => [name, signed(text, settings.version)]));
}

/** A path as one word in a unit file: quotes, backslashes and specifiers as systemd.syntax(7) and systemd.unit(5) want them. */
function quoted(path: string, before = ""): string {
  if (/\p{Cc}/u.test(path)) throw unfit(path);
  return `"${before}${path.replace(/[\\"]/g, "\\$&").replaceAll("%", "%%")}"`;
}

const unfit = (path: string): UserError =>
  new UserError(
    exitCode.usage,
    `the path ${JSON.stringify(path)} cannot stand in a unit file.`,
    "Use a path without quotes, dollars, backslashes and control characters.",
  );

function replaceLine(text: string, key: string, lines: readonly string[]): string {
  return text.replace(new RegExp(`^${key}=.*$`, "m"), () => lines.join("\n"));
}

const hash = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The first line, which holds the version and the hash of everything below it. */
function signed(text: string, version: string): string {
  return `# Written by orchestrator-merge ${version}, sha256 of the lines below: ${hash(text)}\n${text}`;
}

const signature = /^# Written by orchestrator-merge (\S+), sha256 of the lines below: ([0-9a-f]{64})\n/;

/** Whose a unit file is: ours as we wrote it, ours with changes of the user, or somebody else's. */
export type Origin = { readonly by: "us" | "us, edited"; readonly version: string } | { readonly by: "others" };

export function originOf(text: string): Origin {
  const [line, version, sum] = signature.exec(text) ?? [];
  if (line === undefined || version === undefined) return { by: "others" };
  return { by: hash(text.slice(line.length)) === sum ? "us" : "us, edited", version };
}

/** What a service and a timer of ours say, read back; null for what is not there. */
export function readUnits(serviceText: string, timerText: string) {
  const variable = (name: string): string | null => {
    const value = new RegExp(`^Environment="${name}=(.*)"$`, "m").exec(serviceText)?.[1];
    return value === undefined ? null : value.replaceAll("%%", "%").replace(/\\(.)/g, "$1");
  };
  return {
    program: /^ExecStart="(.*)" run$/m.exec(serviceText)?.[1]?.replaceAll("%%", "%") ?? null,
    database: variable("ORCHESTRATOR_MERGE_DB"),
    configFile: variable("ORCHESTRATOR_MERGE_CONFIG"),
    calendar: /^OnCalendar=(.*)$/m.exec(timerText)?.[1] ?? null,
  };
}

/** Five minutes, as systemd/ has it. */
export const defaultCalendar = "*:0/5";

/**
 * How often, as a time of the day (systemd.time(7)): `5m` is `*:0/5`, `2h` is `0/2:00`. Throws UserError(2) for what does not divide an
 * hour or a day evenly: between the last time of one hour and the first of the next it would be another interval.
 */
export function calendarOf(every: string, label: string): string {
  const ms = parseDuration(every) ?? 0;
  const minutes = ms / 60_000;
  const hours = minutes / 60;
  if (minutes >= 1 && 60 % minutes === 0 && Number.isInteger(minutes) && hours < 1) return `*:0/${minutes}`;
  if (hours >= 1 && 24 % hours === 0 && Number.isInteger(hours)) return hours === 24 ? "*-*-* 00:00" : `0/${hours}:00`;
  throw new UserError(
    exitCode.usage,
    `${label} does not take ${JSON.stringify(every)}.`,
    "Give minutes that divide an hour (1m, 2m, 3m, 5m, 10m, 15m, 20m, 30m), or hours that divide a day (1h, 2h, 6h, 12h, 24h).",
  );
}

/** The other way round, for a person: `*:0/5` is `every 5 min`; a calendar of the user's own is shown as it is. */
export function everyOf(calendar: string): string {
  const [, minutes] = /^\*:0\/(\d+)$/.exec(calendar) ?? [];
  const [, hours] = /^0\/(\d+):00$/.exec(calendar) ?? [];
  if (minutes !== undefined) return `every ${minutes} min`;
  if (hours !== undefined) return `every ${hours} h`;
  return calendar === "*-*-* 00:00" ? "every 24 h" : calendar;
}
