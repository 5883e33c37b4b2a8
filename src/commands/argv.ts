import { parseArgs } from "node:util";
import type { BooleanArgDef, StringArgDef } from "citty";
import { parseDuration } from "../core/durations.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { didYouMean } from "../host/nearest.ts";

/**
 * Turns the text of one argument into a value; throws UserError(2). `label` is how the argument is called: `--limit`, `ID`.
 * `offers` is what a shell completes it with; nothing where that is not known.
 */
export type Parse<T> = { (text: string, label: string): T; readonly offers?: Offers };
export type Offers = readonly string[] | "file" | "directory";

/** citty's definitions of arguments, with what it has no word for: how a value is read, and whether it may be repeated. */
export type Flag = BooleanArgDef & { readonly type: "boolean"; readonly description: string; readonly alias?: string };
type Valued<T> = StringArgDef & {
  readonly type: "string";
  readonly description: string;
  readonly valueHint: string;
  readonly parse: Parse<T>;
};
type Single<T> = Valued<T> & { readonly repeats: false };
/** `split`: with "," `--only 3,4` is `--only 3 --only 4` */
type List<T> = Valued<T> & { readonly repeats: true; readonly split?: string };
export type Arg = Flag | Single<unknown> | List<unknown>;
/** Names are camelCase; on the command line `dryRun` is `--dry-run`. */
export type Args = Readonly<Record<string, Arg>>;
export type Positionals<T> = {
  readonly value: string;
  readonly about: string;
  readonly parse: Parse<T>;
  readonly min: number;
  readonly max: number;
  /** words such as `-wip` are arguments here; what is a flag of the command stays one */
  readonly dashed?: boolean;
};

export type Values<A extends Args> = {
  readonly [K in keyof A]: A[K] extends Flag
    ? boolean
    : A[K] extends List<infer T>
      ? readonly T[]
      : A[K] extends Single<infer T>
        ? T | undefined
        : never;
};

export const flag = (about: string, short?: string): Flag => ({
  type: "boolean",
  description: about,
  ...(short === undefined ? {} : { alias: short }),
});
export const option = <T>(value: string, about: string, parse: Parse<T>): Single<T> => ({
  type: "string",
  description: about,
  valueHint: value,
  parse,
  repeats: false,
});
export const list = <T>(value: string, about: string, parse: Parse<T>, split?: string): List<T> => ({
  ...option(value, about, parse),
  repeats: true,
  ...(split === undefined ? {} : { split }),
});

/** A parser that does as `parse`, with what a shell completes its argument with. */
export const offering = <T>(offers: Offers, parse: Parse<T>): Parse<T> & { readonly offers: Offers } =>
  Object.assign((given: string, label: string) => parse(given, label), { offers });

/** Any text but the empty one. */
export const text: Parse<string> = (given, label) => {
  if (given === "") throw badValue(label, given, "a value that is not empty");
  return given;
};

/** Texts that name a file, or a directory; whether it is there is not asked. */
export const filePath = offering("file", text);
export const directoryPath = offering("directory", text);

/** A whole number from 1 up. */
export const count: Parse<number> = (given, label) => {
  const n = Number(given);
  if (!/^[0-9]+$/.test(given) || n < 1 || !Number.isSafeInteger(n))
    throw badValue(label, given, "a whole number from 1 up");
  return n;
};

export const countOrAll = offering<number | "all">(["all"], (given, label) => {
  if (given === "all") return "all";
  const n = Number(given);
  if (!/^[0-9]+$/.test(given) || n < 1 || !Number.isSafeInteger(n)) {
    throw badValue(label, given, 'a whole number from 1 up, or "all"');
  }
  return n;
});

/** The id of a queue row. */
export const projectId: Parse<number> = (given, label) => {
  const n = Number(given);
  if (!/^[0-9]+$/.test(given) || !Number.isSafeInteger(n))
    throw badValue(label, given, "the number of a project, as status shows it");
  return n;
};

/** Milliseconds, more than none. */
export const duration: Parse<number> = (given, label) => {
  const ms = parseDuration(given);
  if (ms === undefined || ms === 0) throw badValue(label, given, "a time such as 90s, 5m, 1h30m or 14d");
  return ms;
};

export const oneOf = <const T extends string>(...known: readonly T[]) =>
  offering<T>(known, (given, label) => {
    const found = known.find((name) => name === given);
    if (found === undefined) throw badValue(label, given, `one of: ${known.join(", ")}`, didYouMean(given, known));
    return found;
  });

const badValue = (label: string, given: string, wanted: string, hint = ""): UserError =>
  new UserError(exitCode.usage, `${label} does not take ${JSON.stringify(given)}.${hint}`, `Give ${wanted}.`);

export const flagName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The options that every command takes. */
export const commonArgs = {
  db: option("PATH|URL", "the queue database: a SQLite file or a libSQL server", filePath),
  config: option("FILE", "the configuration file", filePath),
  json: flag("print one JSON document on stdout"),
  quiet: flag("say nothing but warnings and errors on stderr", "q"),
  verbose: flag("say more on stderr, and which files are used", "v"),
  color: option("WHEN", "colour the output: auto, always or never", oneOf("auto", "always", "never")),
  help: flag("show this help", "h"),
  version: flag("print the version"),
} as const satisfies Args;

export type CommonValues = Values<typeof commonArgs>;

export type Parsed = { readonly values: Readonly<Record<string, unknown>>; readonly positionals: readonly string[] };

/**
 * Takes the command's name out of `argv`: the first word that is neither a common option nor its value; undefined when there is
 * none. citty drops the options that stand before a command (`--db x status`); `rest` has them, and what came after the name.
 */
export function splitCommand(argv: readonly string[]): { readonly name: string | undefined; readonly rest: string[] } {
  const flags = flagsOf(commonArgs);
  const first = tokenize(argv, commonArgs).find((token) => token.kind !== "option" || !flags.has(token.name));
  if (first?.kind !== "positional") return { name: undefined, rest: [...argv] };
  return { name: first.value, rest: argv.toSpliced(first.index, 1) };
}

/** Whether `--help` or `-h` is among the words, right or wrong as the others may be. */
export const wantsHelp = (argv: readonly string[], args: Args): boolean =>
  tokenize(argv, args).some((token) => token.kind === "option" && token.name === "help");

/**
 * Reads `argv` against `args`. Throws UserError(2) for what is not known, for a missing or an unwanted value, and for
 * what a parser refuses. Of an option given twice the last one counts, as with git. citty's own reader (0.2.2) lets unknown
 * flags pass, gives the last of repeated ones only, takes `--limit --json` for a limit, and throws a TypeError at `--_`.
 */
export function readArgs(argv: readonly string[], args: Args, helpCommand: string): Parsed {
  const flags = flagsOf(args);
  const values: Record<string, unknown> = {};
  for (const [name, arg] of Object.entries(args))
    values[name] = arg.type === "boolean" ? false : arg.repeats ? [] : undefined;
  const positionals: string[] = [];
  for (const token of tokenize(argv, args)) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const { rawName, value, inlineValue } = token;
    const found = flags.get(token.name);
    if (found === undefined) {
      const hint = rawName.startsWith("--") ? didYouMean(rawName.slice(2), flags.keys(), "--") : "";
      throw new UserError(exitCode.usage, `unknown flag ${rawName}.${hint}`, `${helpCommand} lists the flags.`);
    }
    const [name, arg] = found;
    const label = `--${token.name}`;
    if (arg.type === "boolean") {
      if (value !== undefined) {
        throw new UserError(exitCode.usage, `${label} takes no value.`, `Leave out ${JSON.stringify(value)}.`);
      }
      values[name] = true;
    } else if (value === undefined || (!inlineValue && isFlag(value, flags))) {
      throw new UserError(exitCode.usage, `${label} needs a value.`, `Write ${label} ${arg.valueHint}.`);
    } else if (!arg.repeats) values[name] = arg.parse(value, label);
    else {
      const parts = arg.split === undefined ? [value] : value.split(arg.split);
      const parsed = parts.map((part) => arg.parse(part.trim(), label));
      const before = values[name];
      values[name] = Array.isArray(before) ? [...before, ...parsed] : parsed;
    }
  }
  return { values, positionals };
}

/** The words with those that only look like short flags put last, behind `--`, in their order. */
export function dashedLast(argv: readonly string[], args: Args): string[] {
  const shorts = new Set(Object.values(args).flatMap(({ alias }) => (typeof alias === "string" ? [`-${alias}`] : [])));
  const end = argv.indexOf("--");
  const before = end === -1 ? argv : argv.slice(0, end);
  const isDashed = (word: string) => /^-[^-]/.test(word) && !shorts.has(word);
  const after = end === -1 ? [] : argv.slice(end + 1);
  return [...before.filter((word) => !isDashed(word)), "--", ...before.filter(isDashed), ...after];
}

type Flags = ReadonlyMap<string, readonly [name: string, arg: Arg]>;

/** The arguments by their names on the command line. */
const flagsOf = (args: Args): Flags => new Map(Object.entries(args).map((entry) => [flagName(entry[0]), entry]));

/** node:util's own parser, not strict: its messages are for programmers, and it knows no nearest name. */
function tokenize(argv: readonly string[], args: Args) {
  const options = Object.fromEntries(
    Object.entries(args).map(([name, { type, alias }]) => [
      flagName(name),
      typeof alias === "string" ? { type, short: alias } : { type },
    ]),
  );
  return parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

/** A value that is itself a flag of this command was not meant as one: `--limit --json`. */
const isFlag = (value: string, flags: Flags): boolean =>
  [...flags].some(([flag, [, { alias }]]) => value === `--${flag}` || (alias !== undefined && value === `-${alias}`));
