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
import type { ConsolaReporter, LogType } from "consola/core";
import { LogLevels } from "consola/core";
import { visible } from "../core/describe.ts";
import type { Stream } from "./voice.ts";
import { isJournal, speaker, stderrReporter } from "./voice.ts";

/** `notice` is what a person is glad to read: a landing. */
export type Level = "error" | "warn" | "notice" | "info" | "debug";

/** What an event is about: said at the end of its line, in JSON as keys of their own. */
export type About = { readonly project?: number; readonly attempt?: string | null; readonly run?: string };

/** Where events go. One call is one line, whatever the text holds; no call ever throws. */
export type Log = { readonly [L in Level]: (text: string, about?: About) => void };

/** `log` with what all its events are about. */
export function logAbout(log: Log, always: About): Log {
  const adding =
    (level: Level): Log[Level] =>
    (text, about) =>
      log[level](text, { ...about, ...always });
  return {
    error: adding("error"),
    warn: adding("warn"),
    notice: adding("notice"),
    info: adding("info"),
    debug: adding("debug"),
  };
}

type Look = { readonly name: string; readonly sign: string; readonly color: number };

const info: Look = { name: "info", sign: "ℹ", color: 36 };
/** What a line begins with: in words, and at a terminal. */
const looks: Partial<Record<LogType, Look>> = {
  error: { name: "error", sign: "✖", color: 31 },
  warn: { name: "warn", sign: "⚠", color: 33 },
  success: { name: "notice", sign: "✔", color: 32 },
  info,
  debug: { name: "debug", sign: "⚙", color: 90 },
};
const look = (type: LogType): Look => looks[type] ?? info;

/** How many full log files stay beside the current one. */
const kept = 10;

/**
 * A log to `file` (made with its directory at the first line, so a run that logs nothing leaves nothing) and to `stderr`.
 * Lines less urgent than `level` are dropped; on stderr `quiet` keeps warnings and errors only, `verbose` shows everything.
 * A file that cannot be written is said once, on stderr, and then done without.
 */
export function openLog(given: {
  readonly file: string;
  readonly maxBytes: number;
  readonly level: "error" | "warn" | "info" | "debug";
  /** of the file's lines */
  readonly format: "text" | "json";
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** whether stderr takes colour */
  readonly color: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: Stream;
  now(): Date;
}): Log {
  const { file, maxBytes, stderr } = given;
  const fileLevel = LogLevels[given.level];
  const stderrLevel = given.quiet ? LogLevels.warn : given.verbose ? LogLevels.debug : fileLevel;
  const journal = isJournal(given.env);
  let writable = true;

  // A person at a terminal, or one who reads the mail of cron, has no use for the ids; who searches the journal has.
  const toStderr = stderrReporter(stderr, journal, (type, text, about) => {
    const { name, sign, color } = look(type);
    if (journal) return text + inText(about);
    if (stderr.isTTY !== true) return `[${name}] ${text}`;
    return `${given.color ? `\x1b[${color}m${sign}\x1b[39m` : sign} ${text}`;
  });
  const toFile: ConsolaReporter = {
    log({ type, args }) {
      if (!writable) return;
      try {
        const now = given.now();
        const [text = "", ...about] = args.map(String);
        const { name } = look(type);
        const line =
          given.format === "json"
            ? JSON.stringify({ time: now.toISOString(), level: name, text, ...inJson(about) })
            : `${now.toISOString()} ${name.toUpperCase().padEnd(6)} ${text}${inText(about)}`;
        append(file, `${line}\n`, maxBytes, now);
      } catch (error) {
        writable = false;
        log.warn(visible(`no log is kept: ${error instanceof Error ? error.message : String(error)}`));
      }
    },
  };
  const log = speaker(Math.max(fileLevel, stderrLevel), [upTo(fileLevel, toFile), upTo(stderrLevel, toStderr)]);
  return {
    error: (text, about) => log.error(visible(text), ...idsOf(about)),
    warn: (text, about) => log.warn(visible(text), ...idsOf(about)),
    notice: (text, about) => log.success(visible(text), ...idsOf(about)),
    info: (text, about) => log.info(visible(text), ...idsOf(about)),
    debug: (text, about) => log.debug(visible(text), ...idsOf(about)),
  };
}

const names = ["project", "attempt", "run"] as const;

/** The ids in the order of `names`; "" for those that there are not. */
const idsOf = (about: About = {}): string[] => names.map((name) => String(about[name] ?? ""));

/** ` project=4 attempt=01J... run=01J...`: last on the line, so that nothing in the text can pass for it. */
const inText = (ids: readonly string[]): string =>
  names.map((name, i) => (ids[i] ? ` ${name}=${ids[i]}` : "")).join("");

const inJson = (ids: readonly string[]): object =>
  Object.fromEntries(
    names.flatMap((name, i) => (ids[i] ? [[name, name === "project" ? Number(ids[i]) : ids[i]]] : [])),
  );

const upTo = (limit: number, reporter: ConsolaReporter): ConsolaReporter => ({
  log(said, context) {
    if (said.level <= limit) reporter.log(said, context);
  },
});

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
