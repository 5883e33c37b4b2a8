/**
 * What every git process of ours sees. Agents write the repositories we work on, so nothing is inherited by accident: the
 * environment is an allow-list, every GIT_* of the caller is dropped, and our overrides go in as GIT_CONFIG_COUNT/KEY/VALUE,
 * which beat the repository's own file and reach git's subprocesses.
 */

const passed = [
  "HOME",
  "PATH",
  "USER",
  "LOGNAME",
  "TMPDIR",
  "TZ",
  "XDG_CONFIG_HOME",
  "XDG_RUNTIME_DIR",
  "SSH_AUTH_SOCK",
  "SSH_AGENT_PID",
  "GNUPGHOME",
  "DBUS_SESSION_BUS_ADDRESS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "http_proxy",
  "https_proxy",
  "HTTPS_PROXY",
  "all_proxy",
  "ALL_PROXY",
  "no_proxy",
  "NO_PROXY",
];

type ConfigEntry = readonly [key: string, value: string];

const overrides: readonly ConfigEntry[] = [
  // Nothing planted in a repository may run.
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["core.alternateRefsCommand", "true"],
  ["commit.gpgSign", "false"],
  ["tag.gpgSign", "false"],
  ["push.gpgSign", "false"],
  ["submodule.recurse", "false"],
  ["fetch.recurseSubmodules", "false"],
  ["push.recurseSubmodules", "no"],
  ["push.followTags", "false"],
  // git's default leaves loose objects and refs unsynced; a power cut must not take a landing with it (git-config(1), core.fsync).
  ["core.fsync", "committed,reference"],
  // One thread and no background children: the unit's TasksMax counts every one of them.
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  ["core.preloadIndex", "false"],
  ["index.threads", "1"],
  ["pack.threads", "1"],
  ["checkout.workers", "1"],
];

const configEntry = ([key, value]: ConfigEntry, index: number): Record<string, string> => ({
  [`GIT_CONFIG_KEY_${index}`]: key,
  [`GIT_CONFIG_VALUE_${index}`]: value,
});

/** What is the same for every process. */
const fixed: Readonly<Record<string, string>> = Object.assign(
  {
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "true",
    SSH_ASKPASS_REQUIRE: "never",
    GIT_ALLOW_PROTOCOL: "file:https:http:ssh",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_NO_LAZY_FETCH: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
  },
  ...overrides.map(configEntry),
);

/** Names the environment variable that marks our children, so that a later run can find those of a dead one. */
export const runMarker = "ORCHESTRATOR_MERGE_RUN";

/**
 * Builds the environment of one git process.
 * `inherited` is the program's own environment; `extra` holds GIT_DIR and its like; `config` entries come after the common ones.
 */
export function gitEnvironment(
  inherited: Readonly<Record<string, string | undefined>>,
  runId: string,
  extra: Readonly<Record<string, string>>,
  config: readonly ConfigEntry[] = [],
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of passed) {
    const value = inherited[name];
    if (value !== undefined) env[name] = value;
  }
  Object.assign(env, fixed, extra);
  env[runMarker] = runId;
  env["GIT_CONFIG_COUNT"] = String(overrides.length + config.length);
  config.forEach((entry, index) => {
    Object.assign(env, configEntry(entry, overrides.length + index));
  });
  return env;
}
