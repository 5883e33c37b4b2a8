import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

type Env = Readonly<Record<string, string | undefined>>;

/** How gates are started as units of the user's systemd: because we are one of its units ourselves, whose limits no test run fits into. */
export type Units = {
  /** the unit that we are */
  readonly own: string;
  /** variables of the manager, which every unit would be given */
  readonly inherited: readonly string[];
  /** of systemd-run and systemctl */
  readonly env: Readonly<Record<string, string>>;
};

/** So much a gate may use, memory of what the host has. */
const limits = ["MemoryMax=75%", "MemorySwapMax=0", "TasksMax=2048", "CPUWeight=50"];

/** Null when this process is in no unit of a user's systemd, or that cannot be spoken to: gates are then started plainly. */
export async function findUnits(env: Env): Promise<Units | null> {
  const runtime = env["XDG_RUNTIME_DIR"];
  if (env["INVOCATION_ID"] === undefined || runtime === undefined) return null;
  if (!existsSync(join(runtime, "systemd", "private")) && !existsSync(join(runtime, "bus"))) return null;
  const own = ownUnit();
  if (own === null) return null;
  const mine: Record<string, string> = { XDG_RUNTIME_DIR: runtime, PATH: env["PATH"] ?? "/usr/bin:/bin" };
  const bus = env["DBUS_SESSION_BUS_ADDRESS"];
  if (bus !== undefined) mine["DBUS_SESSION_BUS_ADDRESS"] = bus;
  try {
    const { stdout } = await systemctl(mine, ["show-environment"]);
    const inherited = [...stdout.matchAll(/^([A-Za-z_][A-Za-z0-9_]*)=/gm)].map(([, name = ""]) => name);
    return { own, inherited, env: mine };
  } catch {
    return null;
  }
}

/** The service that this process is in, below `user@<id>.service` (cgroups(7), /proc/pid/cgroup); null when it is in none. */
function ownUnit(): string | null {
  try {
    const groups = readFileSync("/proc/self/cgroup", "utf8");
    return /\/user@\d+\.service\/.*?([^/\n]+\.service)$/m.exec(groups)?.[1] ?? null;
  } catch {
    return null;
  }
}

const systemctl = (env: Units["env"], args: readonly string[]) =>
  promisify(execFile)("systemctl", ["--user", ...args], { env, timeout: 10_000 });

/**
 * The words that start `command` as a transient unit, and wait for it with its output in theirs. It is stopped when our own unit ends in
 * whatever way (systemd.unit(5), BindsTo=). Its exit code goes into `statusFile`: systemd-run's own would not tell it from a refusal, or
 * from the end by the memory limit.
 */
export function asUnit(
  units: Units,
  given: {
    readonly name: string;
    readonly command: readonly string[];
    readonly cwd: string;
    readonly env: Readonly<Record<string, string>>;
    readonly timeoutMs: number;
    readonly statusFile: string;
  },
): string[] {
  const names = Object.keys(given.env);
  // Each once: systemd refuses a list that names one twice.
  const managers = new Set([
    ...units.inherited,
    "INVOCATION_ID",
    "MANAGERPID",
    "SYSTEMD_EXEC_PID",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
  ]);
  const strange = [...managers].filter((name) => !names.includes(name));
  const properties = [
    ...limits,
    "KillMode=control-group",
    "TimeoutStopSec=3s",
    // Ours comes first; this one is for when nobody is there to keep it.
    `RuntimeMaxSec=${Math.ceil(given.timeoutMs / 1000) + 10}`,
    `BindsTo=${units.own}`,
    `UnsetEnvironment=${strange.join(" ")}`,
  ];
  const script = '"$@"; echo $? > "$0"';
  return [
    "systemd-run",
    "--user",
    "--pipe",
    "--wait",
    "--collect",
    "--quiet",
    "--service-type=exec",
    `--unit=${given.name}`,
    `--working-directory=${given.cwd}`,
    ...properties.flatMap((property) => ["-p", property]),
    // Without values: they would stand in the list of processes.
    ...names.flatMap((name) => ["-E", name]),
    "--",
    // systemd replaces variables in the words of a command: a doubled dollar is one (systemd.service(5), "Command lines").
    ...["/bin/sh", "-c", script, given.statusFile, ...given.command].map((word) => word.replaceAll("$", "$$$$")),
  ];
}

/** Ends a unit with all its processes, and waits for that. Nothing when it is gone already. */
export async function stopUnit(units: Units, name: string): Promise<void> {
  await systemctl(units.env, ["stop", name]).catch(() => {});
}
