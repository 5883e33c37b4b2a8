import type { Rule } from "../core/rules.ts";
import type { ConfigFile } from "./paths.ts";
import { chooseConfigFile } from "./paths.ts";

/** The effective configuration. Times are milliseconds, sizes bytes, paths absolute; `null` is "not set". */
export type Config = {
  readonly queue: { readonly database: string | null; readonly authTokenFile: string | null };
  readonly run: {
    readonly batchSize: number;
    readonly mergeTimeoutMs: number;
    readonly maxRuntimeMs: number;
    readonly parallel: 1;
  };
  readonly merge: {
    /** a branch name, or "auto" */
    readonly target: string;
    readonly strategy: "merge";
    readonly heads: "all" | "newest";
    readonly uncommitted: "hold" | "ignore";
    /** globs of paths that never count as uncommitted work */
    readonly ignoreUncommitted: readonly string[];
    /** paths that stay as the target has them */
    readonly keepTarget: readonly string[];
  };
  readonly push: {
    readonly mode: "auto" | "off";
    readonly remote: string;
    readonly unpublished: "withhold" | "push";
    readonly diverged: "merge" | "hold";
    readonly timeoutMs: number;
  };
  readonly tag: { readonly mode: "push" | "local" | "off" };
  readonly log: {
    /** null: beside the database */
    readonly file: string | null;
    readonly level: "error" | "warn" | "info" | "debug";
    readonly maxSizeBytes: number;
  };
  /** in the order of the file; see core/rules.ts */
  readonly rules: readonly Rule[];
};

export const defaults: Config = {
  queue: { database: null, authTokenFile: null },
  run: { batchSize: 5, mergeTimeoutMs: 300_000, maxRuntimeMs: 540_000, parallel: 1 },
  merge: {
    target: "auto",
    strategy: "merge",
    heads: "all",
    uncommitted: "hold",
    ignoreUncommitted: ["*.log", "logs/**", "tmp/**"],
    keepTarget: ["CLAUDE.md", ".mcp.json", ".claude/settings.local.json"],
  },
  push: { mode: "auto", remote: "origin", unpublished: "withhold", diverged: "merge", timeoutMs: 60_000 },
  tag: { mode: "push" },
  log: { file: null, level: "info", maxSizeBytes: 10_000_000 },
  rules: [],
};

export type LoadedConfig = {
  readonly config: Config;
  readonly file: ConfigFile | undefined;
  /** who set a key, by its name in the file (`run.batch_size`): "config file line 3", "environment X"; absent means default */
  readonly sources: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
};

export type Env = Readonly<Record<string, string | undefined>>;

const variablePrefix = "ORCHESTRATOR_MERGE_";
/** Variables of that prefix which are not keys of the configuration. */
const otherVariables = new Set(["DB", "CONFIG", "AUTH_TOKEN", "PROJECT", "TARGET", "BASE", "TIP", "RUN"]);

/** The variables that may override a key: theirs are the names in which a section follows the prefix. */
export function overrides(env: Env): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(variablePrefix) || value === undefined || value === "") continue;
    if (!otherVariables.has(name.slice(variablePrefix.length))) found.set(name, value);
  }
  return found;
}

/**
 * Reads the configuration. Throws UserError(2) that names the file and line, or the variable. Without a file and without
 * overrides the parser and the validator are not even loaded (bundled: 25 ms of a run that takes 60).
 */
export async function loadConfig(given: {
  readonly flag: string | undefined;
  readonly env: Env;
  readonly cwd: string;
}): Promise<LoadedConfig> {
  const file = chooseConfigFile(given);
  const variables = overrides(given.env);
  if (file === undefined && variables.size === 0) {
    return { config: defaults, file, sources: new Map(), warnings: [] };
  }
  const { readConfig } = await import("./config-file.ts");
  return readConfig(file, variables, given);
}
