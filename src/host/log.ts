import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { visible } from "../core/describe.ts";

/** `notice` is what a person is glad to read: a landing. */
export type Level = "error" | "warn" | "notice" | "info" | "debug";

/** Where events go. One call is one line, whatever the text holds; no call ever throws. */
export type Log = { readonly [L in Level]: (text: string) => void };

type Stream = { write(text: string): unknown; readonly isTTY?: boolean };

/** The numbers are those of syslog(3), which journald takes from the start of a line. */
const looks: Readonly<Record<Level, { priority: number; sign: string; color: number }>> = {
  error: { priority: 3, sign: "✖", color: 31 },
  warn: { priority: 4, sign: "⚠", color: 33 },
  notice: { priority: 5, sign: "✔", color: 32 },
  info: { priority: 6, sign: "ℹ", color: 36 },
  debug: { priority: 7, sign: "⚙", color: 90 },
};

/** How many full log files stay beside the current one. */
const kept = 10;

/**
 * A log to `file` (made with its directory at the first line, so a run that logs nothing leaves nothing) and to `stderr`.
 * Lines less urgent than `level` are dropped; on stderr `quiet` keeps warnings and errors only, `verbose` shows everything.
 * A file that cannot be written is said once, on stderr, and then done without.
 * The terminal look is consola's, which itself takes 30 ms to load: half of an idle run.
 */
export function openLog(given: {
  readonly file: string;
  readonly maxBytes: number;
  readonly level: "error" | "warn" | "info" | "debug";
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** whether stderr takes colour */
  readonly color: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: Stream;
  now(): Date;
}): Log {
  const { file, maxBytes, stderr } = given;
  const fileLimit = looks[given.level].priority;
  const stderrLimit = given.quiet ? looks.warn.priority : given.verbose ? looks.debug.priority : fileLimit;
  const journal = isJournal(given.env["JOURNAL_STREAM"]);
  let writable = true;

  const show = (level: Level, text: string): void => {
    if (looks[level].priority > stderrLimit) return;
    const { priority, sign, color } = looks[level];
    if (journal) stderr.write(`<${priority}>${text}\n`);
    else if (stderr.isTTY !== true) stderr.write(`[${level}] ${text}\n`);
    else stderr.write(`${given.color ? `\x1b[${color}m${sign}\x1b[39m` : sign} ${text}\n`);
  };
  const keep = (level: Level, text: string): void => {
    if (!writable || looks[level].priority > fileLimit) return;
    try {
      const now = given.now();
      append(file, `${now.toISOString()} ${level.toUpperCase().padEnd(6)} ${text}\n`, maxBytes, now);
    } catch (error) {
      writable = false;
      show("warn", visible(`no log is kept: ${error instanceof Error ? error.message : String(error)}`));
    }
  };
  const event = (level: Level) => (text: string) => {
    const line = visible(text);
    keep(level, line);
    show(level, line);
  };
  return {
    error: event("error"),
    warn: event("warn"),
    notice: event("notice"),
    info: event("info"),
    debug: event("debug"),
  };
}

/**
 * systemd.exec(5): JOURNAL_STREAM holds device and inode of the stream that goes to the journal; a program compares it with its
 * own stderr, because the variable is inherited by children whose stderr goes elsewhere.
 */
function isJournal(stream: string | undefined): boolean {
  if (stream === undefined || stream === "") return false;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** Opened anew for every line, so that a file which another process put aside is never written to for long. 30 µs a line. */
function append(file: string, line: string, maxBytes: number, now: Date): void {
  let fd = openAppend(file);
  try {
    const { size, ino } = fstatSync(fd);
    if (size > 0 && size + Buffer.byteLength(line) > maxBytes && fstatSync(fd).isFile()) {
      putAside(file, ino, now);
      closeSync(fd);
      fd = openAppend(file);
    }
    writeSync(fd, line);
  } finally {
    closeSync(fd);
  }
}

function openAppend(file: string): number {
  try {
    return openSync(file, "a", 0o644);
  } catch {
    mkdirSync(dirname(file), { recursive: true });
    return openSync(file, "a", 0o644);
  }
}

/**
 * Renames the full file to a name that nobody else can choose (time, process, inode), and drops the oldest beyond `kept`.
 * Names are not shifted from .1 to .2 as logrotate does: two processes that shift at once overwrite each other's files.
 */
function putAside(file: string, inode: number, now: Date): void {
  const stamp = now.toISOString().replace(/[-:]/g, "");
  try {
    if (statSync(file).ino !== inode) return; // another process was first
    renameSync(file, `${file}.${stamp}-${process.pid}-${inode}`);
    const prefix = `${basename(file)}.`;
    const full = readdirSync(dirname(file)).filter(
      (name) => name.startsWith(prefix) && /^\d{8}T/.test(name.slice(prefix.length)),
    );
    for (const name of full.sort().slice(0, -kept)) unlinkSync(join(dirname(file), name));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}
