import { fstatSync } from "node:fs";
import type { ConsolaInstance, ConsolaReporter, LogType } from "consola/core";
import { createConsola, LogLevels, LogTypes } from "consola/core";

export type Stream = { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
type Variables = Readonly<Record<string, string | undefined>>;

/**
 * A consola that tells `reporters` what is at most `level`. Its levels, error 0 to debug 4, are those of syslog(3) less three;
 * `success`, a landing, is a notice. Never throttled: consola keeps the sixth of equal lines back, and the process alive for it.
 * consola/core takes 1 ms to load; consola/basic takes 3 and consola itself 20, which an idle run would feel.
 */
export const speaker = (level: number, reporters: ConsolaReporter[]): ConsolaInstance =>
  createConsola({
    level,
    reporters,
    types: { ...LogTypes, success: { level: LogLevels.log } },
    throttle: Number.NEGATIVE_INFINITY,
  });

/** Writes to `stderr` what `face` makes of a text and what came with it; for the journal each line begins with its priority. */
export const stderrReporter = (
  stderr: Stream,
  journal: boolean,
  face: (type: LogType, text: string, more: readonly string[]) => string,
): ConsolaReporter => ({
  log({ type, level, args }) {
    const [said = "", ...more] = args.map(String);
    const text = face(type, said, more);
    stderr.write(`${journal ? text.replace(/^/gm, `<${level + 3}>`) : text}\n`);
  },
});

const words: Partial<Record<LogType, string>> = { error: "error: ", warn: "warning: " };

/**
 * What a command says on `stderr` beside its log: `log` for remarks, `warn`, `error`, and `debug` for what only --verbose shows.
 * With `quiet` warnings and errors are left.
 */
export function openVoice(given: {
  readonly stderr: Stream;
  readonly env: Variables;
  readonly quiet: boolean;
  readonly verbose: boolean;
}): Pick<ConsolaInstance, "log" | "warn" | "error" | "debug"> {
  const level = given.quiet ? LogLevels.warn : given.verbose ? LogLevels.debug : LogLevels.info;
  const face = (type: LogType, text: string): string => `${words[type] ?? ""}${text}`;
  return speaker(level, [stderrReporter(given.stderr, isJournal(given.env), face)]);
}

/**
 * `stream`, whose last line, where it is a terminal's, can show what is in hand: whatever is written next takes its place. What takes
 * long has its seconds counted beside it, so that a person sees that it is not stuck.
 */
export function withStatus(stream: Stream) {
  let counting: NodeJS.Timeout | null = null;
  const clear = (): void => {
    if (counting === null) return;
    clearInterval(counting);
    counting = null;
    stream.write("\r\x1b[K");
  };
  return {
    isTTY: stream.isTTY === true,
    clear,
    write(text: string): void {
      clear();
      stream.write(text);
    },
    show(step: string): void {
      if (stream.isTTY !== true) return;
      clear();
      const columns = (stream.columns || 80) - 3;
      const since = process.uptime();
      const paint = (): void => {
        const took = ` (${Math.floor(process.uptime() - since)} s)`;
        stream.write(`\r… ${cut(step, columns - took.length)}${took}\x1b[K`);
      };
      stream.write(`… ${cut(step, columns)}`);
      counting = setInterval(paint, 2000).unref();
    },
  };
}

/** Scripts and pictures that take two columns. Roughly, and rather too many: string-width's pattern would cost every run 10 ms. */
const wide =
  /[\u1100-\u115f\u2329-\u232a\u23e9-\u23ff\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{3ffff}]/u;

function cut(text: string, columns: number): string {
  let [kept, used] = ["", 0];
  for (const character of text) {
    used += wide.test(character) ? 2 : 1;
    if (used > columns) break;
    kept += character;
  }
  return kept;
}

/**
 * systemd.exec(5): JOURNAL_STREAM holds device and inode of the stream that goes to the journal; a program compares it with its
 * own stderr, because the variable is inherited by children whose stderr goes elsewhere.
 */
export function isJournal(env: Variables): boolean {
  const stream = env["JOURNAL_STREAM"];
  if (stream === undefined || stream === "") return false;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
