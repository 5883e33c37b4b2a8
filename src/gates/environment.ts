type Env = Readonly<Record<string, string | undefined>>;

/**
 * What a gate inherits: enough to find programs and caches. No token, key agent, bus or proxy (its URL may hold a password) comes along by
 * itself; what a gate needs of those its `env` names.
 */
const passed = [
  "HOME",
  "PATH",
  "USER",
  "LOGNAME",
  "SHELL",
  "TZ",
  "LANG",
  "XDG_CONFIG_HOME",
  "XDG_CACHE_HOME",
  "XDG_DATA_HOME",
  "XDG_STATE_HOME",
];

/** The environment of a gate: the small part of `inherited`, `CI`, what its configuration gives, and then `facts`, which always hold. */
export function gateEnvironment(
  inherited: Env,
  own: Readonly<Record<string, string>>,
  facts: Readonly<Record<string, string>>,
): Record<string, string> {
  const env: Record<string, string> = { LANG: "C.UTF-8", CI: "1" };
  for (const name of passed) {
    const value = inherited[name];
    if (value !== undefined) env[name] = value;
  }
  return { ...env, ...own, ...facts };
}
