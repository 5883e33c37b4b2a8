import { parseArgs } from "node:util";
import { parseDuration } from "../core/durations.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { didYouMean } from "../host/nearest.ts";

/** Turns the text of one argument into a value; throws UserError(2). `label` is how the argument is called: `--limit`, `ID`. */
export type Parse<T> = (text: string, label: string) => T;

export type Flag = { readonly kind: "flag"; readonly about: string; readonly short?: string };
export type Option<T> = {
  readonly kind: "option" | "list";
  readonly value: string;
  readonly about: string;
  readonly parse: Parse<T>;
  /** `--only 3,4` is `--only 3 --only 4` */
  readonly split?: string;
};
type Single<T> = Option<T> & { readonly kind: "option" };
type List<T> = Option<T> & { readonly kind: "list" };
export type Arg = Flag | Single<unknown> | List<unknown>;
/** Names are camelCase; on the command line `dryRun` is `--dry-run`. */
export type Args = Readonly<Record<string, Arg>>;
export type Positionals<T> = {
  readonly value: string;
  readonly about: string;
  readonly parse: Parse<T>;
  readonly min: number;
  readonly max: number;
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
  kind: "flag",
  about,
  ...(short === undefined ? {} : { short }),
});
export const option = <T>(value: string, about: string, parse: Parse<T>): Single<T> => ({
  kind: "option",
  value,
  about,
  parse,
});
export const list = <T>(value: string, about: string, parse: Parse<T>, split?: string): List<T> => ({
  kind: "list",
  value,
  about,
  parse,
  ...(split === undefined ? {} : { split }),
});

/** Any text but the empty one. */
export const text: Parse<string> = (given, label) => {
  if (given === "") throw badValue(label, given, "a value that is not empty");
  return given;
};

/** A whole number from 1 up. */
export const count: Parse<number> = (given, label) => {
  const n = Number(given);
  if (!/^[0-9]+$/.test(given) || n < 1 || !Number.isSafeInteger(n))
    throw badValue(label, given, "a whole number from 1 up");
  return n;
};

export const countOrAll: Parse<number | "all"> = (given, label) => {
  if (given === "all") return "all";
  const n = Number(given);
  if (!/^[0-9]+$/.test(given) || n < 1 || !Number.isSafeInteger(n)) {
    throw badValue(label, given, 'a whole number from 1 up, or "all"');
  }
  return n;
};

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

export const oneOf =
  <const T extends string>(...known: readonly T[]): Parse<T> =>
  (given, label) => {
    const found = known.find((name) => name === given);
    if (found === undefined) throw badValue(label, given, `one of: ${known.join(", ")}`, didYouMean(given, known));
    return found;
  };

const badValue = (label: string, given: string, wanted: string, hint = ""): UserError =>
  new UserError(exitCode.usage, `${label} does not take ${JSON.stringify(given)}.${hint}`, `Give ${wanted}.`);

export const flagName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The options that every command takes. */
export const commonArgs = {
  db: option("PATH|URL", "the queue database: a SQLite file or a libSQL server", text),
  config: option("FILE", "the configuration file", text),
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
 * The index in `argv` of the command's name: the first word that is neither a common option nor its value; -1 when there
 * is none. citty loses options written before the command (`--db x status`), so this is ours.
 */
export function commandIndex(argv: readonly string[]): number {
  for (const token of tokenize(argv, commonArgs)) {
    if (token.kind === "positional") return token.index;
    if (token.kind === "option-terminator" || (token.kind === "option" && !token.known)) return -1;
  }
  return -1;
}

/**
 * Reads `argv` against `args`. Throws UserError(2) for what is not known, for a missing or an unwanted value, and for
 * what a parser refuses. Of an option given twice the last one counts, as with git.
 */
export function readArgs(argv: readonly string[], args: Args, helpCommand: string): Parsed {
  const values: Record<string, unknown> = {};
  for (const [name, arg] of Object.entries(args))
    values[name] = arg.kind === "flag" ? false : arg.kind === "list" ? [] : undefined;
  const positionals: string[] = [];
  for (const token of tokenize(argv, args)) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      positionals.push(token.value);
      continue;
    }
    const arg = token.known ? args[token.name] : undefined;
    if (arg === undefined) {
      const hint = token.raw.startsWith("--")
        ? didYouMean(token.raw.slice(2), Object.keys(args).map(flagName), "--")
        : "";
      throw new UserError(exitCode.usage, `unknown flag ${token.raw}.${hint}`, `${helpCommand} lists the flags.`);
    }
    const label = `--${flagName(token.name)}`;
    if (arg.kind === "flag") {
      if (token.value !== undefined) {
        throw new UserError(exitCode.usage, `${label} takes no value.`, `Leave out ${JSON.stringify(token.value)}.`);
      }
      values[token.name] = true;
      continue;
    }
    if (token.value === undefined || (!token.inline && isFlag(token.value, args))) {
      throw new UserError(exitCode.usage, `${label} needs a value.`, `Write ${label} ${arg.value}.`);
    }
    if (arg.kind === "option") values[token.name] = arg.parse(token.value, label);
    else {
      const parts = arg.split === undefined ? [token.value] : token.value.split(arg.split);
      const before = values[token.name];
      values[token.name] = [
        ...(Array.isArray(before) ? before : []),
        ...parts.map((part) => arg.parse(part.trim(), label)),
      ];
    }
  }
  return { values, positionals };
}

type Token =
  | { kind: "positional"; index: number; value: string }
  | { kind: "option-terminator"; index: number }
  | {
      kind: "option";
      index: number;
      name: string;
      raw: string;
      value: string | undefined;
      inline: boolean;
      known: boolean;
    };

/** node:util's own parser, not strict: its messages are for programmers, and it knows no nearest name. */
function tokenize(argv: readonly string[], args: Args): Token[] {
  const names = new Map(Object.keys(args).map((name) => [flagName(name), name]));
  const options = Object.fromEntries(
    Object.entries(args).map(([name, arg]) => [
      flagName(name),
      {
        type: arg.kind === "flag" ? ("boolean" as const) : ("string" as const),
        ...(arg.kind === "flag" && arg.short !== undefined ? { short: arg.short } : {}),
      },
    ]),
  );
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
  return tokens.map((token): Token => {
    if (token.kind !== "option") return token;
    const name = names.get(token.name);
    return {
      kind: "option",
      index: token.index,
      name: name ?? token.name,
      raw: token.rawName,
      value: token.value,
      inline: token.inlineValue ?? false,
      known: name !== undefined,
    };
  });
}

/** A value that is itself a flag of this command was not meant as one: `--limit --json`. */
function isFlag(value: string, args: Args): boolean {
  return (
    value.startsWith("-") &&
    Object.keys(args).some((name) => value === `--${flagName(name)}` || value === `-${shortOf(args[name])}`)
  );
}

const shortOf = (arg: Arg | undefined): string | undefined => (arg?.kind === "flag" ? arg.short : undefined);
