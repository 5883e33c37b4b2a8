/*
 * The frame of every command: what it declares, and what it is given when it runs. In ten lines:
 *
 *   export default command({
 *     name: "retry",
 *     about: "Puts failed projects back in line.",
 *     args: { allFailed: flag("every project that failed"), roles: list("ROLE", "only these agents", text, ",") },
 *     positionals: { value: "ID", about: "numbers of projects", parse: projectId, min: 0, max: Infinity },
 *     examples: [["retry 3 4", "Tries projects 3 and 4 again at the next run."]],
 *     async run({ args, rest, json, print, printJson, database, config, now }) {
 *       const { location } = await database();    // args.allFailed: boolean, args.roles: string[], rest: number[]
 *       if (json) printJson({ retried: rest });   // "schema": 1 is added; at most once
 *       else print(`${rest.length} projects wait again.`);
 *     },
 *   });
 *
 * The builders (flag, option, list) and parsers (text, count, countOrAll, projectId, duration, oneOf) are in argv.ts. `run` gives
 * back an exit code, or nothing for 0, and throws UserError for what the person can mend. Import heavy things inside `run`.
 */
import { visible } from "../core/describe.ts";
import type { ExitCode } from "../core/errors.ts";
import { exitCode, UserError } from "../core/errors.ts";
import type { Config } from "../host/config.ts";
import type { Log } from "../host/log.ts";
import type { DatabaseChoice } from "../host/paths.ts";
import { statusTeller } from "../host/status-text.ts";
import type { Stream } from "../host/voice.ts";
import { openVoice, withStatus } from "../host/voice.ts";
import type { Args, CommonValues, Positionals, Values } from "./argv.ts";
import { commonArgs, dashedLast, readArgs, wantsHelp } from "./argv.ts";

/** What the process has around it: handed in by main.ts, made up in tests. */
export type Host = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdout: Stream;
  readonly stderr: Stream;
  now(): Date;
  /** From the first call on, SIGINT and SIGTERM abort this signal instead of ending the process; a second one ends it. */
  interruption(): AbortSignal;
};

export type Context<A extends Args, P> = {
  readonly args: Values<A>;
  /** the positional arguments */
  readonly rest: readonly P[];
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** whether stdout takes colour: --color, then NO_COLOR, FORCE_COLOR, then whether it is a terminal */
  readonly color: boolean;
  /** the width of the terminal, or undefined when stdout is none or does not know */
  readonly columns: number | undefined;
  readonly env: Host["env"];
  readonly cwd: string;
  /** the value of --config, for `config` itself */
  readonly configFlag: string | undefined;
  /** The effective configuration; read once. Throws UserError(2). */
  config(): Promise<Config>;
  /** Which database to use, and who said so; says it on stderr with -v. Throws UserError(2). Nothing is opened or made. */
  database(): Promise<DatabaseChoice>;
  /** The token for a libSQL server, if there is one. Throws UserError(2). */
  authToken(): Promise<string | undefined>;
  /** Where the log file is, or would be. Throws UserError(2). */
  logFile(): Promise<string>;
  /** The log file and stderr; nothing is made before the first line. Lines below `level` of the config are dropped. */
  log(): Promise<Log>;
  now(): Date;
  interruption(): AbortSignal;
  /** The result, to stdout; a line end is added. */
  print(text: string): void;
  /** The result with --json: one document, `schema` added. A second call is a bug. */
  printJson(value: object): void;
  /** A remark, to stderr, unless --quiet. */
  note(text: string): void;
  /** A warning, to stderr, whatever --quiet says. */
  warn(text: string): void;
  /**
   * What is in hand: on the last line of a terminal's stderr until the next line of anything, unless --quiet; and for
   * `systemctl status`.
   */
  progress(step: string): void;
};

export type Example = readonly [commandLine: string, meaning: string];

/** A command with its types forgotten: what citty and the help are told of it, and how it runs. */
export type Command = {
  readonly name: string;
  readonly about: string;
  readonly args: Args;
  readonly positionals?: Positionals<unknown>;
  readonly examples: readonly Example[];
  /** Reads `argv` and runs, or shows the help. Throws UserError. */
  execute(argv: readonly string[], host: Host, output: Output): Promise<ExitCode>;
};

/** What went to stdout so far: an error after a JSON document must not add a second one. */
export type Output = { json: boolean; verbose: boolean; printed: boolean };

/** Declares a command; see the top of this file. */
export function command<const A extends Args, P = unknown>(definition: {
  readonly name: string;
  readonly about: string;
  readonly args: A;
  readonly positionals?: Positionals<P>;
  readonly examples: readonly Example[];
  readonly run: (context: Context<A, P>) => Promise<ExitCode | undefined> | Promise<void>;
}): Command {
  const helpCommand = `orchestrator-merge ${definition.name} --help`;
  const all = { ...definition.args, ...commonArgs };
  const declared: Command = {
    ...definition,
    async execute(given, host, output) {
      const argv = definition.positionals?.dashed === true ? dashedLast(given, all) : given;
      if (wantsHelp(argv, all)) {
        const { commandHelp } = await import("./help.ts");
        host.stdout.write(`${commandHelp(declared)}\n`);
        return exitCode.ok;
      }
      const parsed = readArgs(argv, all, helpCommand);
      // readArgs fills every name of both with what its own parser gave, which is what Values says; a mapped type cannot be proved
      const values = parsed.values as Values<A> & CommonValues;
      const rest = readPositionals(parsed.positionals, definition.positionals, helpCommand);
      const stderr = withStatus(host.stderr);
      try {
        return (await definition.run({ args: values, rest, ...context(values, host, stderr, output) })) ?? exitCode.ok;
      } finally {
        stderr.clear();
      }
    },
  };
  return declared;
}

function readPositionals<P>(given: readonly string[], wanted: Positionals<P> | undefined, helpCommand: string): P[] {
  const max = wanted?.max ?? 0;
  const extra = given[max];
  if (extra !== undefined) {
    throw new UserError(
      exitCode.usage,
      `unexpected argument ${JSON.stringify(extra)}.`,
      `${helpCommand} shows the usage.`,
    );
  }
  if (wanted === undefined) return [];
  if (given.length < wanted.min) {
    throw new UserError(
      exitCode.usage,
      `${wanted.value} is missing: ${wanted.about}.`,
      `${helpCommand} shows the usage.`,
    );
  }
  return given.map((word) => wanted.parse(word, wanted.value));
}

function context(
  common: CommonValues,
  host: Host,
  stderr: ReturnType<typeof withStatus>,
  output: Output,
): Omit<Context<Args, never>, "args" | "rest"> {
  const { env, cwd } = host;
  const { quiet, verbose } = common;
  const voice = openVoice({ stderr, env, quiet, verbose });
  const tellSystemd = statusTeller(env);
  const write = (text: string): void => {
    output.printed = true;
    stderr.clear();
    host.stdout.write(`${text}\n`);
  };
  const loaded = once(async () => {
    const { loadConfig } = await import("../host/config.ts");
    const result = await loadConfig({ flag: common.config, env, cwd });
    for (const warning of result.warnings) voice.warn(warning);
    const { file } = result;
    voice.debug(`config    ${file === undefined ? "none, all defaults" : `${file.path} (${file.source})`}`);
    return result;
  });
  const config = async (): Promise<Config> => (await loaded()).config;
  const database = once(async () => {
    const [{ chooseDatabase }, { parseLocation }] = await Promise.all([
      import("../host/paths.ts"),
      import("../queue/location.ts"),
    ]);
    const { config, sources } = await loaded();
    const value = config.queue.database;
    const configured = value === null ? null : { value, source: sources.get("queue.database") ?? "config" };
    const choice = chooseDatabase({ flag: common.db, env, cwd, configured });
    parseLocation(choice.location); // refuses a URL with a secret in it, before -v shows it
    voice.debug(`database  ${choice.location} (${choice.source})`);
    return choice;
  });
  const logFile = once(async () => {
    const { logFile } = await import("../host/paths.ts");
    return (await config()).log.file ?? logFile(await database(), env);
  });
  const log = once(async () => {
    const { openLog } = await import("../host/log.ts");
    const { log: settings } = await config();
    return openLog({
      file: await logFile(),
      maxBytes: settings.maxSizeBytes,
      level: settings.level,
      format: settings.format,
      quiet,
      verbose,
      color: wantsColor(common.color, env, stderr.isTTY === true),
      env,
      stderr,
      now: host.now,
    });
  });
  return {
    json: common.json,
    quiet,
    verbose,
    color: wantsColor(common.color, env, host.stdout.isTTY === true),
    columns: (host.stdout.isTTY === true && host.stdout.columns) || undefined,
    env,
    cwd,
    configFlag: common.config,
    config,
    database,
    async authToken() {
      const { readAuthToken } = await import("../host/secrets.ts");
      return readAuthToken(env, (await config()).queue.authTokenFile);
    },
    logFile,
    log,
    now: host.now,
    interruption: host.interruption,
    note: (text) => voice.log(text),
    warn: (text) => voice.warn(text),
    progress(step) {
      if (!quiet) stderr.show(visible(step));
      tellSystemd(visible(step));
    },
    print: write,
    printJson(value) {
      if (output.printed) throw new Error("printJson: stdout already has a document");
      write(JSON.stringify({ schema: 1, ...value }, null, 2));
    },
  };
}

/** https://no-color.org: a NO_COLOR that is not empty; FORCE_COLOR as Node reads it (0 and false mean no). */
function wantsColor(when: "auto" | "always" | "never" | undefined, env: Host["env"], isTerminal: boolean): boolean {
  if (when === "always" || when === "never") return when === "always";
  if (env["NO_COLOR"]) return false;
  const force = env["FORCE_COLOR"];
  if (force !== undefined) return force !== "0" && force !== "false";
  return isTerminal && env["TERM"] !== "dumb";
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
