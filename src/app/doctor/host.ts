import { accessSync, constants, existsSync } from "node:fs";
import { exactTime, visible } from "../../core/describe.ts";
import { UserError } from "../../core/errors.ts";
import type { Env } from "../../host/config.ts";
import { lingers } from "../../host/install.ts";
import type { DatabaseChoice } from "../../host/paths.ts";
import { listed, openServiceManager, type ServiceManager } from "../../host/service-manager.ts";
import { findUnits, type UnitFile } from "../../host/unit-files.ts";
import { failedUnit, readUnits, renderUnits, serviceUnit, timerUnit } from "../../host/units.ts";
import { version } from "../../host/version.ts";
import { type Check, fail, failed, ok, warn } from "./check.ts";

const install = "orchestrator-merge install";

/** The service manager, or the trouble with it: there may be none, and it may not answer. Asked once, for each question costs its patience. */
export async function meetManager(env: Env): Promise<ServiceManager | UserError> {
  try {
    return await openServiceManager(env);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error;
  }
}

/** The units, the timer and its last run, and linger. `database` is what a command of this shell uses; null when that is not known. */
export async function checkUnits(
  env: Env,
  manager: ServiceManager | UserError,
  database: DatabaseChoice | null,
): Promise<Check[]> {
  let units: ReadonlyMap<string, UnitFile>;
  try {
    units = findUnits(env);
  } catch (error) {
    return [failed("units", error)];
  }
  const service = units.get(serviceUnit);
  const timer = units.get(timerUnit);
  const none = units.size === 0;
  // Somebody may want to run it by hand alone, where there is no systemd at all.
  if (manager instanceof UserError) return [failed("units", manager, none ? "warn" : "fail")];
  if (service === undefined || timer === undefined) {
    const missing = [serviceUnit, timerUnit].filter((name) => !units.has(name)).join(" and ");
    return [warn("units", `${none ? "not installed" : `${missing} is missing`}: nothing lands by itself.`, install)];
  }
  const foreign = [...units.values()].find(({ origin }) => origin.by === "others");
  if (foreign !== undefined) {
    return [fail("units", `${foreign.path} is not of this program, which must not run beside another.`, install)];
  }
  const said = readUnits(service.text, timer.text);
  const inForce = listed(await manager.property(serviceUnit, "Environment")); // drop-ins too; nothing when it does not say
  const variable = (name: string) => inForce.findLast((word) => word.startsWith(name))?.slice(name.length) ?? null;
  return [
    judgeConfigFile(variable("ORCHESTRATOR_MERGE_CONFIG=") ?? said.configFile) ??
      (await judgeDropIns(manager, said.program)) ??
      judgeFiles(units, service, timer),
    ...judgeDatabase(variable("ORCHESTRATOR_MERGE_DB=") ?? said.database, database),
    await judgeTimer(manager),
    await judgeLastRun(manager),
    await judgeLinger(manager),
  ];
}

/** A drop-in may have the service start something else; null when it does not. */
async function judgeDropIns(manager: ServiceManager, program: string | null): Promise<Check | null> {
  const start = await manager.property(serviceUnit, "ExecStart");
  if (program === null || start === "" || start.includes(`path=${program} ;`)) return null;
  const path = /path=(.*?) ;/.exec(start)?.[1] ?? "nothing";
  return warn("units", `a drop-in has them start ${path}.`, `systemctl --user cat ${serviceUnit} shows which`);
}

/** Null when the timer's runs find the configuration that they are given, or are given none. */
function judgeConfigFile(path: string | null): Check | null {
  if (path === null || existsSync(path)) return null;
  return fail("units", `they name the configuration ${path}, which is not there.`, `Put it there, or: ${install}`);
}

function judgeFiles(units: ReadonlyMap<string, UnitFile>, service: UnitFile, timer: UnitFile): Check {
  const { program, database, configFile, calendar } = readUnits(service.text, timer.text);
  if (program === null || !isExecutable(program)) {
    return fail(
      "units",
      `they start ${program ?? "another program"}, which is not there, or may not be executed.`,
      `Run from where it is now: ${install}`,
    );
  }
  const edited = [...units.values()].find(({ origin }) => origin.by === "us, edited");
  if (edited !== undefined) {
    const fix = `Put the changes into a drop-in (systemctl --user edit ${edited.name}), remove the file, then: ${install}`;
    return warn("units", `${edited.path} was changed by hand, so install leaves it as it is.`, fix);
  }
  const settings = { version, program, database: database ?? "", configFile, calendar: calendar ?? "" };
  const texts = renderUnits(settings);
  const old = [serviceUnit, timerUnit, failedUnit].find((name) => units.get(name)?.text !== texts.get(name));
  if (old !== undefined) {
    const { origin } = units.get(old) ?? service;
    const by = origin.by === "others" || origin.version === version ? "another build" : `version ${origin.version}`;
    return warn("units", `${old} was written by ${by}, and this is ${version}.`, install);
  }
  return ok("units", `of this version, in ${service.path.slice(0, -serviceUnit.length - 1)}, start ${program}`);
}

/** Timer and shell must look at one queue, or status tells of another one than lands. */
function judgeDatabase(ofTimer: string | null, ofShell: DatabaseChoice | null): Check[] {
  if (ofShell === null || ofTimer === null || ofTimer === ofShell.location) return [];
  const says = `the timer uses ${visible(ofTimer)}, this shell ${visible(ofShell.location)} (${ofShell.source}).`;
  return [warn("one queue", says, `Name one in the configuration, [queue] database, then: ${install}`)];
}

async function judgeTimer(manager: ServiceManager): Promise<Check> {
  const switchOn = `systemctl --user enable --now ${timerUnit}`;
  const [enabled, active] = [
    await manager.property(timerUnit, "UnitFileState"),
    await manager.property(timerUnit, "ActiveState"),
  ];
  if (active !== "active") return fail("timer", `it is ${active || "unknown"}: nothing lands by itself.`, switchOn);
  if (enabled !== "enabled")
    return fail("timer", `it is ${enabled || "unknown"}: it stops with the next boot.`, switchOn);
  return ok("timer", `active, next at ${await manager.property(timerUnit, "NextElapseUSecRealtime")}`);
}

async function judgeLastRun(manager: ServiceManager): Promise<Check> {
  const result = await manager.property(serviceUnit, "Result");
  if (result === "success" || result === "") return ok("last run", "ended well, or there was none since the boot");
  return fail(
    "last run",
    `it died: ${result}.`,
    `journalctl --user -u ${serviceUnit}; the next run takes up what it left`,
  );
}

async function judgeLinger(manager: ServiceManager): Promise<Check> {
  if (await lingers(manager)) return ok("linger", "on: the timer runs while nobody is logged in");
  const says = `off: the timer runs only while ${manager.user} is logged in.`;
  return warn("linger", says, `loginctl enable-linger ${manager.user}`);
}

/**
 * What the timer's git sees of an ssh agent: the service manager's, and not this shell's, with which everything would seem to work. The
 * environment as it is where there is no manager, or no timer.
 */
export async function timerEnvironment(env: Env, manager: ServiceManager | UserError): Promise<Env> {
  if (manager instanceof UserError) return env;
  if ((await manager.property(timerUnit, "ActiveState")) !== "active") return env;
  const { stdout } = await manager.ask(["systemctl", "--user", "show-environment"]);
  return { ...env, SSH_AUTH_SOCK: /^SSH_AUTH_SOCK=(.*)$/m.exec(stdout)?.[1] };
}

/** This program is younger than that. */
const earliest = Date.UTC(2026, 0, 1);
/** What clocks of hosts that share a queue may differ. */
const tolerance = 5 * 60_000;

/** `latest`: a moment that the queue knows has been. Times of day decide backoff, windows and names of tags. */
export function checkClock(now: number, latest: number | null): Check {
  const fix = "Set the clock: timedatectl set-ntp true";
  if (now < earliest) return fail("clock", `it is at ${exactTime(now)}, before this program was written.`, fix);
  if (latest !== null && latest > now + tolerance) {
    return fail("clock", `it is at ${exactTime(now)}, and the queue knows of a run at ${exactTime(latest)}.`, fix);
  }
  return ok("clock", "plausible");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
