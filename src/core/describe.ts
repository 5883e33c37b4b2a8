import { posix } from "node:path";

/** How names, moments and spans of time are put into words for a person. Pure: the present is a parameter. */

/**
 * Characters that a terminal would obey instead of show, or that a reader cannot see: controls, line separators, bidi
 * controls, zero-width and other ignorable characters, lone surrogates. Three uses are kept because names need them: a joiner
 * or variation selector inside an emoji, and joiners inside words of scripts that spell with them.
 */
const unprintable = new RegExp(
  [
    /(?<=\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f)\u200d(?=\p{Extended_Pictographic})/u,
    /(?<=\p{Emoji})\ufe0f/u,
    /(?<=[\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Malayalam}\p{Script=Kannada}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Sinhala}])(?:\u200c|\u200d)(?=\p{L})/u,
    /([\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Cf}\p{Default_Ignorable_Code_Point}])/u,
  ]
    .map(({ source }) => source)
    .join("|"),
  "gu",
);

const short: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Text that came from outside (a name, a path, a reason), safe and honest on a terminal: what cannot be seen is written as
 * `\n`, `\x1b`, `\u{202e}`. Everything else stays as it is.
 */
export function visible(text: string): string {
  // Nearly every name is plain ASCII, and the long expression costs 20 times this test.
  if (/^[ -~]*$/.test(text)) return text;
  return text.replace(unprintable, (match, hidden: string | undefined) => {
    if (hidden === undefined) return match;
    const code = hidden.codePointAt(0) ?? 0;
    return short[hidden] ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`);
  });
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** A span in its largest unit, rounded down: `12 s`, `3 min`, `5 h`, `9 days`. Milliseconds in. */
function roughly(ms: number): string {
  if (ms < minute) return `${Math.floor(ms / second)} s`;
  if (ms < hour) return `${Math.floor(ms / minute)} min`;
  if (ms < 2 * day) return `${Math.floor(ms / hour)} h`;
  return `${Math.floor(ms / day)} days`;
}

/**
 * A past moment as a person says it: `just now`, `3 min ago`, `5 h ago`, `9 days ago`, and the day itself beyond 60 days.
 * Both in unix milliseconds. A moment ahead of the clock is told as its day, or as `just now` within a minute: two hosts
 * never agree to the second.
 */
export function ago(at: number, now: number): string {
  const passed = now - at;
  if (passed < -minute || passed > 60 * day) return exactTime(at).slice(0, 10);
  return passed < 5 * second ? "just now" : `${roughly(passed)} ago`;
}

/** A coming moment: `in 4 min`; `now` when it is due. Both in unix milliseconds. */
export function until(at: number, now: number): string {
  return at - now < second ? "now" : `in ${roughly(at - now)}`;
}

/** A span in its two largest units: `0.8 s`, `42 s`, `3 min 20 s`, `5 h 1 min`, `2 d 3 h`. Milliseconds in. */
export function span(ms: number): string {
  if (ms < 10 * second) return `${(ms / second).toFixed(1)} s`;
  const pair = (big: number, bigName: string, small: number, smallName: string): string => {
    const rest = Math.floor((ms % big) / small);
    return `${Math.floor(ms / big)} ${bigName}${rest === 0 ? "" : ` ${rest} ${smallName}`}`;
  };
  if (ms < minute) return `${Math.floor(ms / second)} s`;
  if (ms < hour) return pair(minute, "min", second, "s");
  if (ms < day) return pair(hour, "h", minute, "min");
  return pair(day, "d", hour, "h");
}

/** `2025-11-22 12:01:03 UTC`, from unix milliseconds; what no calendar holds is `unknown`. */
export function exactTime(at: number): string {
  const iso = isoTime(at);
  return iso === null ? "unknown" : `${iso.slice(0, iso.indexOf("T"))} ${iso.slice(iso.indexOf("T") + 1, -5)} UTC`;
}

/** `2025-11-22T12:01:03.456Z`, from unix milliseconds; null for what is not known or what no calendar holds. */
export function isoTime(at: number | null): string | null {
  // Dates end at 8.64e15 ms; a column may hold any number, and toISOString throws beyond.
  return at === null || !(Math.abs(at) <= 8.64e15) ? null : new Date(at).toISOString();
}

/** `1 project`, `2 projects`, `1,204 projects`. For whole numbers. */
export function count(n: number, one: string, many = `${one}s`): string {
  // Not toLocaleString: its first call loads ICU's data, 20 ms of every run that lands something.
  return `${String(n).replace(/\B(?=(\d{3})+$)/g, ",")} ${n === 1 ? one : many}`;
}

/** The name of a project: the stem of its spec file, as it is, or its number when its row names no spec. Show it through `visible`. */
export function projectName(id: number, specPath: string | null): string {
  return specPath === null ? `project ${id}` : posix.parse(specPath).name;
}
