import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** One line of the log file, as log.ts wrote it, in either format. */
export type LogEvent = {
  /** unix milliseconds */
  readonly at: number;
  readonly level: string;
  /** not yet safe for a terminal: whoever can write the file may have put anything into it */
  readonly text: string;
  readonly project: number | null;
  readonly attempt: string | null;
  readonly run: string | null;
};

/**
 * The log file and those that were put aside when they were full, oldest first. Only regular files: the log may be a device or a pipe,
 * and reading that would wait for ever.
 */
export function logFiles(file: string): string[] {
  const prefix = `${basename(file)}.`;
  const aside = namesIn(dirname(file))
    .filter((name) => name.startsWith(prefix) && /^\d{8}T/.test(name.slice(prefix.length)))
    .sort()
    .map((name) => join(dirname(file), name));
  return [...aside, file].filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // nothing was ever logged
  }
}

/**
 * The events of a file whose line `concerns` accepts, in their order; the others are not even parsed. Read in pieces: a file may be
 * larger than a string can be. 10 MB take 60 ms. Throws what node:fs throws.
 */
export function* readEvents(file: string, concerns: (line: string) => boolean): Generator<LogEvent> {
  for (const line of linesOf(file)) {
    const event = concerns(line) ? parseEvent(line) : null;
    if (event !== null) yield event;
  }
}

const piece = 1 << 20;
/** No event of ours is longer; a file of something else may have no line end at all. */
const longest = 1 << 24;

function* linesOf(file: string): Generator<string> {
  const fd = openSync(file, "r");
  try {
    const buffer = Buffer.alloc(piece);
    let begun: Buffer[] = [];
    let length = 0;
    for (;;) {
      const read = readSync(fd, buffer);
      if (read === 0) break;
      const end = buffer.subarray(0, read).lastIndexOf(10);
      if (end < 0) {
        length += read;
        begun = length > longest ? [] : [...begun, Buffer.from(buffer.subarray(0, read))];
        continue;
      }
      yield* Buffer.concat([...begun, buffer.subarray(0, end)])
        .toString("utf8")
        .split("\n");
      begun = [Buffer.from(buffer.subarray(end + 1, read))];
      length = read - end;
    }
    const rest = Buffer.concat(begun).toString("utf8");
    if (rest !== "") yield rest;
  } finally {
    closeSync(fd);
  }
}

const ulid = "[0-9A-HJKMNP-TV-Z]{26}";
const written = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([A-Z]+) +(.*)$/;
const ids = new RegExp(`(?: project=(\\d+))?(?: attempt=(${ulid}))?(?: run=(${ulid}))?$`);

/** Null for what is no line of ours. */
function parseEvent(line: string): LogEvent | null {
  if (line.startsWith("{")) return parseJson(line);
  const [, time = "", level = "", said = ""] = written.exec(line) ?? [];
  if (time === "") return null;
  const found = ids.exec(said);
  const [all = "", project, attempt = null, run = null] = found ?? [];
  return {
    at: Date.parse(time),
    level: level.toLowerCase(),
    text: said.slice(0, said.length - all.length),
    project: project === undefined ? null : Number(project),
    attempt,
    run,
  };
}

function parseJson(line: string): LogEvent | null {
  let found: unknown;
  try {
    found = JSON.parse(line);
  } catch {
    return null;
  }
  const event: Partial<Record<string, unknown>> = { ...Object(found) };
  const { time, level, text, project, attempt, run } = event;
  const at = typeof time === "string" ? Date.parse(time) : Number.NaN;
  if (Number.isNaN(at) || typeof level !== "string" || typeof text !== "string") return null;
  return {
    at,
    level,
    text,
    project: typeof project === "number" ? project : null,
    attempt: typeof attempt === "string" ? attempt : null,
    run: typeof run === "string" ? run : null,
  };
}
