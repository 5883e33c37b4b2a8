import { exitCode, UserError } from "../core/errors.ts";
import type { NotifySettings } from "../core/notify.ts";
import type { Gate, Rule, Strategy } from "../core/rules.ts";
import type { Problem } from "./config-problems.ts";
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
    readonly strategy: Strategy;
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
  /** how long backup branches and proofs of landings stay */
  readonly backup: { readonly keepMs: number };
  readonly gate: {
    /** for projects whose rules name no other; none or one */
    readonly gates: readonly Gate[];
    /** each landing by itself, or the whole of a run's landings at once */
    readonly mode: "each" | "batch";
  };
  readonly notify: NotifySettings;
  readonly log: {
    /** null: beside the database */
    readonly file: string | null;
    readonly level: "error" | "warn" | "info" | "debug";
    readonly format: "text" | "json";
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
  backup: { keepMs: 14 * 86_400_000 },
  gate: { gates: [], mode: "each" },
  notify: {
    on: ["failed", "held", "approval", "push", "died"],
    heldAfterMs: 3_600_000,
    pushAfterMs: 3_600_000,
    slack: null,
    webhook: null,
    email: null,
    desktop: false,
    command: null,
  },
  log: { file: null, level: "info", format: "text", maxSizeBytes: 10_000_000 },
  rules: [],
};

export type LoadedConfig = {
  readonly config: Config;
  readonly file: ConfigFile | undefined;
  /** who set a key, by its name in the file (`run.batch_size`): "config file line 3", "environment X"; absent means default */
  readonly sources: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
};

/** What a look at the configuration found: its value, or everything that is wrong with it. */
export type Inspected = { readonly file: ConfigFile | undefined } & (
  | { readonly loaded: LoadedConfig; readonly problems: readonly [] }
  | { readonly loaded: undefined; readonly problems: readonly [Problem, ...Problem[]] }
);

export type Env = Readonly<Record<string, string | undefined>>;

const variablePrefix = "ORCHESTRATOR_MERGE_";
/** Variables of that prefix which are not keys of the configuration. */
const otherVariables = new Set(["DB", "CONFIG", "AUTH_TOKEN", "PROJECT", "TARGET", "BASE", "TIP", "RUN"]);

/** The variables that may override a key: theirs are the names in which a section follows the prefix. */
function overrides(env: Env): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(variablePrefix) || value === undefined || value === "") continue;
    if (!otherVariables.has(name.slice(variablePrefix.length))) found.set(name, value);
  }
  return found;
}

type Place = { readonly flag: string | undefined; readonly env: Env; readonly cwd: string };

/**
 * Reads the configuration. Throws UserError(2) that names the file and line, or the variable. Without a file and without
 * overrides the parser and the validator are not even loaded.
 */
export async function loadConfig(place: Place): Promise<LoadedConfig> {
  const { loaded, problems } = await inspectConfig(place);
  if (loaded !== undefined) return loaded;
  const [first, ...others] = problems;
  const more = others.length === 0 ? "" : ` (${others.length} more: orchestrator-merge config check)`;
  throw new UserError(exitCode.usage, first.sentence, `${first.wayOut}${more}`);
}

/** As loadConfig, with everything that is wrong as a value. Throws UserError(2) only when the file cannot be read. */
export async function inspectConfig(place: Place): Promise<Inspected> {
  const file = chooseConfigFile(place);
  const variables = overrides(place.env);
  if (file === undefined && variables.size === 0) {
    return { file, loaded: { config: defaults, file, sources: new Map(), warnings: [] }, problems: [] };
  }
  const { inspectFile } = await import("./config-file.ts");
  return inspectFile(file, variables, place);
}
