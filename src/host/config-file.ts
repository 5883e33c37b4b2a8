import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse, TomlError } from "smol-toml";
import { parseDuration } from "../core/durations.ts";
import { exitCode, UserError } from "../core/errors.ts";
import type { Rule } from "../core/rules.ts";
import { parseSize } from "../core/sizes.ts";
import type { Config, Env, Inspected } from "./config.ts";
import { defaults } from "./config.ts";
import { keyLines } from "./config-lines.ts";
import { notifySettings } from "./config-notify.ts";
import type { Origins, Problem } from "./config-problems.ts";
import { findProblems } from "./config-problems.ts";
import { readGate, readRules } from "./config-rules.ts";
import type { RawConfig } from "./config-schema.ts";
import { configSchema } from "./config-schema.ts";
import { applyVariables } from "./config-variables.ts";
import type { ConfigFile } from "./paths.ts";
import { expandHome } from "./paths.ts";

/** Reads the file and the overriding variables. Throws UserError(2) only when the file cannot be read; other trouble is in `problems`. */
export async function inspectFile(
  file: ConfigFile | undefined,
  variables: ReadonlyMap<string, string>,
  host: { readonly env: Env; readonly cwd: string },
): Promise<Inspected> {
  const text = file === undefined ? "" : readText(file);
  let raw: Record<string, unknown>;
  try {
    raw = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError) || file === undefined) throw error;
    return { file, loaded: undefined, problems: [syntaxProblem(error, file)] };
  }
  const origins: Origins = { file: file?.path ?? "", lines: keyLines(text), variables: new Map() };
  const warnings = applyVariables(raw, variables, origins.variables);
  const [first, ...others] = findProblems(raw, origins);
  if (first !== undefined) return { file, loaded: undefined, problems: [first, ...others] };
  const sources = new Map<string, string>();
  for (const [key, line] of origins.lines) sources.set(key, `config file line ${line}`);
  for (const [key, variable] of origins.variables) sources.set(key, `environment ${variable}`);
  const valid = configSchema.parse(raw);
  const path = (key: string, value: string): string => {
    const base = file === undefined || origins.variables.has(key) ? host.cwd : dirname(file.path);
    return resolve(base, expandHome(value, host.env));
  };
  const config = effective(valid, path, host.env, await readRules(valid, sources, host.env));
  return { file, loaded: { config, file, sources, warnings }, problems: [] };
}

function readText(file: ConfigFile): string {
  try {
    return readFileSync(file.path, "utf8").replace(/^\uFEFF/, "");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const why = code === "ENOENT" ? "is not there" : `cannot be read${code === "" ? "" : ` (${code})`}`;
    throw new UserError(
      exitCode.usage,
      `the configuration file ${file.path} (${file.source}) ${why}.`,
      "Name a file that can be read, or none.",
      { cause },
    );
  }
}

function syntaxProblem(error: TomlError, file: ConfigFile): Problem {
  const what = (error.message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
  return {
    line: error.line,
    key: null,
    sentence: `${file.path}:${error.line}: this is not TOML: ${what}.`,
    wayOut: `Look at column ${error.column}; https://toml.io shows the notation.`,
  };
}

/** Almost 25 days: a longer setTimeout of Node fires at once. All durations that `ms` reads are limits, so nobody can tell the difference. */
const longestTimer = 2 ** 31 - 1;

/** The file's names and units become the program's. Paths are seen from the file's directory, those of variables from the current one. */
function effective(
  raw: RawConfig,
  path: (key: string, value: string) => string,
  env: Env,
  rules: readonly Rule[],
): Config {
  const { queue, run, merge, push, tag, backup, gate, log } = raw;
  const d = defaults;
  const ms = (text: string | undefined, otherwise: number): number =>
    text === undefined ? otherwise : Math.min(parseDuration(text) ?? otherwise, longestTimer);
  const isUrl = (value: string): boolean => /^[a-z][a-z0-9+.-]*:/i.test(value);
  const database = queue?.database;
  return {
    queue: {
      database: database === undefined || isUrl(database) ? (database ?? null) : path("queue.database", database),
      authTokenFile: queue?.auth_token_file === undefined ? null : path("queue.auth_token_file", queue.auth_token_file),
    },
    run: {
      batchSize: run?.batch_size ?? d.run.batchSize,
      mergeTimeoutMs: ms(run?.merge_timeout, d.run.mergeTimeoutMs),
      maxRuntimeMs: ms(run?.max_runtime, d.run.maxRuntimeMs),
      parallel: run?.parallel ?? d.run.parallel,
    },
    merge: {
      target: merge?.target ?? d.merge.target,
      strategy: merge?.strategy ?? d.merge.strategy,
      heads: merge?.heads ?? d.merge.heads,
      uncommitted: merge?.uncommitted ?? d.merge.uncommitted,
      ignoreUncommitted: merge?.ignore_uncommitted ?? d.merge.ignoreUncommitted,
      keepTarget: merge?.keep_target ?? d.merge.keepTarget,
    },
    push: {
      mode: push?.mode ?? d.push.mode,
      remote: push?.remote ?? d.push.remote,
      unpublished: push?.unpublished ?? d.push.unpublished,
      diverged: push?.diverged ?? d.push.diverged,
      timeoutMs: ms(push?.timeout, d.push.timeoutMs),
    },
    tag: { mode: tag?.mode ?? d.tag.mode },
    backup: { keepMs: parseDuration(backup?.keep ?? "") ?? d.backup.keepMs },
    gate: {
      gates: gate?.command === undefined ? d.gate.gates : [readGate({ ...gate, command: gate.command })],
      mode: gate?.mode ?? d.gate.mode,
    },
    notify: notifySettings(raw.notify, path, env),
    log: {
      file: log?.file === undefined ? null : path("log.file", log.file),
      level: log?.level ?? d.log.level,
      format: log?.format ?? d.log.format,
      maxSizeBytes: log?.max_size === undefined ? d.log.maxSizeBytes : (parseSize(log.max_size) ?? d.log.maxSizeBytes),
    },
    rules,
  };
}
