import { join } from "node:path";
import { expect, test } from "vitest";
import { chooseConfigFile, chooseDatabase, logFile } from "../../src/host/paths.ts";
import { temporaryDirectory } from "../helpers/directory.ts";

/** A place where every source of a database location is present, to be taken away one by one. */
function everything() {
  const root = temporaryDirectory({ "cwd/task_queue.db": "", "orchestrator/task_queue.db": "" });
  const env: Record<string, string> = {
    HOME: join(root, "home"),
    XDG_STATE_HOME: join(root, "state"),
    ORCHESTRATOR_MERGE_DB: join(root, "env.db"),
    TMUX_ORCHESTRATOR_HOME: join(root, "orchestrator"),
  };
  const configured = { value: join(root, "config.db"), source: "config file line 2" };
  return { root, env, cwd: join(root, "cwd"), configured };
}

test("the database: flag, environment, config, the orchestrator's home, the current directory, the state directory", () => {
  const { root, env, cwd, configured } = everything();
  const { ORCHESTRATOR_MERGE_DB: _, ...orchestrator } = env;
  const { TMUX_ORCHESTRATOR_HOME: __, ...bare } = orchestrator;
  const where = (given: Parameters<typeof chooseDatabase>[0]) => {
    const { location, source } = chooseDatabase(given);
    return [location.replace(root, ""), source];
  };
  expect(where({ flag: "flag.db", env, cwd, configured })).toEqual(["/cwd/flag.db", "--db"]);
  expect(where({ flag: undefined, env, cwd, configured })).toEqual(["/env.db", "environment ORCHESTRATOR_MERGE_DB"]);
  expect(where({ flag: undefined, env: orchestrator, cwd, configured })).toEqual(["/config.db", "config file line 2"]);
  const unset = { flag: undefined, configured: null };
  expect(where({ ...unset, env: orchestrator, cwd })).toEqual([
    "/orchestrator/task_queue.db",
    "environment TMUX_ORCHESTRATOR_HOME",
  ]);
  expect(where({ ...unset, env: bare, cwd })).toEqual(["/cwd/task_queue.db", "found in the current directory"]);
  expect(where({ ...unset, env: bare, cwd: root })).toEqual(["/state/orchestrator-merge/task_queue.db", "default"]);
});

test("under the orchestrator's home, the registry is searched in the original's order", () => {
  const choose = (home: string) =>
    chooseDatabase({ flag: undefined, env: { TMUX_ORCHESTRATOR_HOME: home }, cwd: "/", configured: null }).location;
  const both = temporaryDirectory({ "registry/project_queue.db": "", "registry/task_queue.db": "" });
  expect(choose(both)).toBe(join(both, "registry/project_queue.db"));
  const second = temporaryDirectory({ "registry/task_queue.db": "" });
  expect(choose(second)).toBe(join(second, "registry/task_queue.db"));
  const none = temporaryDirectory();
  expect(choose(none)).toBe(join(none, "task_queue.db"));
});

test("empty variables count as unset, a relative XDG directory is ignored", () => {
  const cwd = temporaryDirectory();
  const env = { ORCHESTRATOR_MERGE_DB: "", TMUX_ORCHESTRATOR_HOME: "", XDG_STATE_HOME: "state", HOME: "/home/me" };
  expect(chooseDatabase({ flag: undefined, env, cwd, configured: null }).location).toBe(
    "/home/me/.local/state/orchestrator-merge/task_queue.db",
  );
});

test.each([
  ["~/q.db", "/home/me/q.db", "file"],
  ["file:///srv/a%20b.db", "/srv/a b.db", "file"],
  ["/srv/%41.db", "/srv/%41.db", "file"],
  ["libsql://queue.example", "libsql://queue.example", "server"],
  ["http://127.0.0.1:8080", "http://127.0.0.1:8080", "server"],
])("--db %s is %s", (flag, location, kind) => {
  expect(chooseDatabase({ flag, env: { HOME: "/home/me" }, cwd: "/", configured: null })).toMatchObject({
    location,
    kind,
  });
});

test("the config file: flag, environment, the config directory, none", () => {
  const root = temporaryDirectory({ "config/orchestrator-merge/config.toml": "" });
  const xdg = { XDG_CONFIG_HOME: join(root, "config"), HOME: "/home/me" };
  const env = { ...xdg, ORCHESTRATOR_MERGE_CONFIG: "~/my.toml" };
  expect(chooseConfigFile({ flag: "a.toml", env, cwd: "/w" })?.path).toBe("/w/a.toml");
  expect(chooseConfigFile({ flag: undefined, env, cwd: "/w" })?.path).toBe("/home/me/my.toml");
  expect(chooseConfigFile({ flag: undefined, env: xdg, cwd: "/w" })?.path).toBe(
    join(root, "config/orchestrator-merge/config.toml"),
  );
  expect(chooseConfigFile({ flag: undefined, env: { HOME: root }, cwd: "/w" })).toBeUndefined();
});

test("the log is beside the database file; for a server, in the state directory", () => {
  const env = { XDG_STATE_HOME: "/state" };
  expect(logFile({ location: "/srv/q.db", kind: "file", source: "" }, env)).toBe("/srv/logs/auto_merge.log");
  expect(logFile({ location: "libsql://x", kind: "server", source: "" }, env)).toBe(
    "/state/orchestrator-merge/logs/auto_merge.log",
  );
});
