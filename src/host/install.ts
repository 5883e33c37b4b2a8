import { existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { exitCode, UserError } from "../core/errors.ts";
import type { Env } from "./config.ts";
import { unitDirectory } from "./paths.ts";
import type { ServiceManager } from "./service-manager.ts";
import type { Step } from "./steps.ts";
import { asideOf, findUnits, lingerMarker, type UnitFile } from "./unit-files.ts";
import { renderUnits, serviceUnit, timerUnit, type UnitSettings } from "./units.ts";

/** What becomes of a unit file. `kept`: the user has changed it. `replaced`: it was somebody else's. */
export type Fate = "written" | "updated" | "unchanged" | "kept" | "replaced";

export type InstallPlan = {
  readonly units: readonly { readonly path: string; readonly fate: Fate; readonly backup: string | null }[];
  readonly steps: readonly Step[];
  readonly warnings: readonly string[];
};

type Unit = InstallPlan["units"][number] & { readonly text: string; readonly file: UnitFile | undefined };

/**
 * What has to be done so that the timer runs `settings.program`; no step when it does. A unit of that name which is not ours is stopped
 * first, for two programs must not merge one queue, and kept as a copy. Throws UserError(2) where the whole system has such a timer on.
 */
export async function planInstall(settings: UnitSettings, env: Env, manager: ServiceManager): Promise<InstallPlan> {
  await refuseSystemTimer(manager);
  const texts = renderUnits(settings);
  const found = findUnits(env);
  const units = [...texts].map(([name, text]): Unit => {
    const path = join(unitDirectory(env), name);
    const file = found.get(name);
    const fate = fateOf(text, file);
    return { path, fate, file, text, backup: fate === "replaced" && file !== undefined ? asideOf(file, env) : null };
  });
  const changed = units.filter(({ fate }) => fate !== "unchanged" && fate !== "kept");
  const elsewhere = await unitsElsewhere(found, manager);

  const steps: Step[] = [];
  if (changed.length > 0) steps.push({ do: "verify", files: texts });
  // Written first: where that fails, what was there goes on as it was. systemd reads the new files at the reload.
  for (const { path, text, file, backup } of changed) {
    if (backup !== null && file !== undefined) steps.push({ do: "write", path: backup, text: file.text });
    steps.push({ do: "write", path, text });
  }
  if (elsewhere.length > 0 || units.some(({ fate }) => fate === "replaced")) {
    // Stopped before disable, which reloads: their run ends as their unit says. That it is cut short is no failure of ours.
    for (const words of [
      ["stop", timerUnit, serviceUnit],
      ["disable", timerUnit],
      ["reset-failed", serviceUnit],
    ])
      steps.push({ ...systemctl(...words), otherwise: "" });
  }
  const is = async (unit: string, property: string, value: string): Promise<boolean> =>
    (await manager.property(unit, property)) === value;
  const stale =
    changed.length > 0 ||
    (await is(timerUnit, "NeedDaemonReload", "yes")) ||
    (await is(serviceUnit, "NeedDaemonReload", "yes"));
  if (stale) steps.push(systemctl("daemon-reload"));
  if (changed.length > 0 || !(await is(timerUnit, "UnitFileState", "enabled")))
    steps.push(systemctl("enable", timerUnit));
  // A timer that is active goes by its old times until it is started anew.
  if (stale) steps.push(systemctl("restart", timerUnit));
  else if (!(await is(timerUnit, "ActiveState", "active"))) steps.push(systemctl("start", timerUnit));
  if (!(await lingers(manager))) steps.push(switchLingerOn(env, manager.user));

  const warnings = [
    ...units.flatMap(warningsOf),
    ...elsewhere.map((path) => `${path}, which is not ours, stays; from now on the unit of install takes its place.`),
  ];
  return { units: units.map(({ path, fate, backup }) => ({ path, fate, backup })), steps, warnings };
}

const systemctl = (...words: readonly string[]): Extract<Step, { do: "run" }> => ({
  do: "run",
  command: ["systemctl", "--user", ...words],
});

/** By name: without one, loginctl looks for a session, which `sudo -u` has not. */
const switchLingerOn = (env: Env, user: string): Step => ({
  do: "run",
  command: ["loginctl", "enable-linger", user],
  marker: lingerMarker(env),
  otherwise:
    `without linger the timer runs only while ${user} is logged in, and it could not be switched on. ` +
    `Have root do it: loginctl enable-linger ${user}`,
});

function warningsOf({ fate, file }: Unit): string[] {
  if (file === undefined) return [];
  if (fate === "kept") {
    return [
      `${file.path} was changed by hand and is left as it is, so it is no longer updated. Changes belong into a drop-in: ` +
        `systemctl --user edit ${file.name}; then remove the file and run install again.`,
    ];
  }
  return fate === "replaced" && file.hasDropIns
    ? [`the drop-ins in ${file.path}.d still apply: look through them.`]
    : [];
}

async function refuseSystemTimer(manager: ServiceManager): Promise<void> {
  const { stdout } = await manager.ask(["systemctl", "show", timerUnit, "-p", "ActiveState", "-p", "UnitFileState"]);
  const [state] = /\b(active|enabled)$/m.exec(stdout) ?? [];
  if (state === undefined) return;
  throw new UserError(
    exitCode.usage,
    `in the whole system ${timerUnit} is ${state} already, and two programs must not merge one queue.`,
    `Have root stop it: systemctl disable --now ${timerUnit}`,
  );
}

/** Timer and service of that name in another directory that the manager reads (systemd.unit(5), "User Unit Search Path"). */
async function unitsElsewhere(here: ReadonlyMap<string, UnitFile>, manager: ServiceManager): Promise<string[]> {
  const missing = [timerUnit, serviceUnit].filter((name) => !here.has(name));
  const paths: string[] = [];
  for (const name of missing) paths.push(await manager.property(name, "FragmentPath"));
  return paths.filter((path) => existsSync(path) && realpathSync(path) !== "/dev/null");
}

function fateOf(text: string, file: UnitFile | undefined): Fate {
  if (file === undefined) return "written";
  if (file.origin.by === "others") return "replaced";
  if (file.origin.by === "us, edited") return "kept";
  return file.text === text ? "unchanged" : "updated";
}

/** Whether the user's manager, and so the timer, runs while the user is not logged in. */
export async function lingers({ ask, user }: ServiceManager): Promise<boolean> {
  return (await ask(["loginctl", "show-user", user, "-p", "Linger", "--value"])).stdout.trim() === "yes";
}
