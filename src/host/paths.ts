import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

type Env = Readonly<Record<string, string | undefined>>;

/** Which queue database, and who chose it, in words for a person. `location` is an absolute path or a server's URL. */
export type DatabaseChoice = { readonly location: string; readonly kind: "file" | "server"; readonly source: string };

export type ConfigFile = { readonly path: string; readonly source: string };

type Configured = { readonly value: string; readonly source: string };

/**
 * The queue database: flag, environment, config, the orchestrator's home, ./task_queue.db if it exists, the user's state directory.
 * Reads which files exist, opens nothing. A URL is taken as it is.
 */
export function chooseDatabase(given: {
  readonly flag: string | undefined;
  readonly env: Env;
  readonly cwd: string;
  readonly configured: Configured | null;
}): DatabaseChoice {
  const { flag, env, cwd, configured } = given;
  if (flag !== undefined) return choice(flag, "--db", cwd, env);
  const named = env["ORCHESTRATOR_MERGE_DB"];
  if (named) return choice(named, "environment ORCHESTRATOR_MERGE_DB", cwd, env);
  if (configured !== null) return choice(configured.value, configured.source, cwd, env);
  const home = env["TMUX_ORCHESTRATOR_HOME"];
  if (home) {
    const candidates = ["task_queue.db", "registry/project_queue.db", "registry/task_queue.db"].map((name) =>
      resolve(cwd, home, name),
    );
    const location = candidates.find((path) => existsSync(path)) ?? resolve(cwd, home, "task_queue.db");
    return { location, kind: "file", source: "environment TMUX_ORCHESTRATOR_HOME" };
  }
  const here = resolve(cwd, "task_queue.db");
  if (existsSync(here)) return { location: here, kind: "file", source: "found in the current directory" };
  return { location: join(stateDirectory(env), "task_queue.db"), kind: "file", source: "default" };
}

/** The configuration file, or undefined when there is none. One that is named but missing is found out by whoever reads it. */
export function chooseConfigFile(given: {
  readonly flag: string | undefined;
  readonly env: Env;
  readonly cwd: string;
}): ConfigFile | undefined {
  const { flag, env, cwd } = given;
  if (flag !== undefined) return { path: resolve(cwd, flag), source: "--config" };
  const named = env["ORCHESTRATOR_MERGE_CONFIG"];
  if (named) return { path: resolve(cwd, expandHome(named, env)), source: "environment ORCHESTRATOR_MERGE_CONFIG" };
  const path = join(xdg(env, "XDG_CONFIG_HOME", ".config"), "orchestrator-merge", "config.toml");
  return existsSync(path) ? { path, source: "default place" } : undefined;
}

/** Where the log goes when the config does not say: beside the database file; for a server, in the user's state directory. */
export function logFile(database: DatabaseChoice, env: Env): string {
  const directory = database.kind === "file" ? dirname(database.location) : stateDirectory(env);
  return join(directory, "logs", "auto_merge.log");
}

/** `~` and `~/x` as a shell reads them; nothing else. */
export function expandHome(path: string, env: Env): string {
  return path === "~" || path.startsWith("~/") ? join(home(env), path.slice(1)) : path;
}

/** Where the program keeps what is its own. */
export const stateDirectory = (env: Env): string =>
  join(xdg(env, "XDG_STATE_HOME", ".local/state"), "orchestrator-merge");

/** Where the checkouts are that gates run in: not in TMPDIR, which a unit may have to itself while its gates run in units of their own. */
export const gatesDirectory = (env: Env): string =>
  join(xdg(env, "XDG_CACHE_HOME", ".cache"), "orchestrator-merge", "gates");

/** Where a user's own units are (systemd.unit(5), "User Unit Search Path"). */
export const unitDirectory = (env: Env): string => join(xdg(env, "XDG_CONFIG_HOME", ".config"), "systemd", "user");

/** The XDG specification: a value that is not absolute is to be ignored. */
function xdg(env: Env, name: string, fallback: string): string {
  const value = env[name];
  return value !== undefined && isAbsolute(value) ? value : join(home(env), fallback);
}

/** An empty HOME is none: os.homedir would believe it. */
export const home = (env: Env): string => env["HOME"] || userInfo().homedir;

/** Whether the text is the URL of a server is all that is decided here; src/queue/location.ts says which URLs will do. */
function choice(value: string, source: string, cwd: string, env: Env): DatabaseChoice {
  // As SQLite and libSQL write it, `file:/abs` and `file:rel` too; the decoded rest is a path like any other.
  if (/^file:(?!\/\/(?!localhost\/)[^/])/i.test(value)) {
    const rest = value.slice("file:".length);
    const path = rest.startsWith("/") ? fileURLToPath(value) : decodeURIComponent(rest);
    return { location: resolve(cwd, path), kind: "file", source };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return { location: value, kind: "server", source };
  return { location: resolve(cwd, expandHome(value, env)), kind: "file", source };
}
