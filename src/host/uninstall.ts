import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import type { Env } from "./config.ts";
import { unitDirectory } from "./paths.ts";
import type { ServiceManager } from "./service-manager.ts";
import type { Step } from "./steps.ts";
import { asideOf, findUnits, lingerMarker } from "./unit-files.ts";
import { serviceUnit, timerUnit } from "./units.ts";

export type Removal = {
  /** `backup`: the user had changed it, and this is where it is kept */
  readonly removed: readonly { readonly path: string; readonly backup: string | null }[];
  /** unit files of our names that others wrote */
  readonly left: readonly string[];
  readonly steps: readonly Step[];
};

/** What removes all that install did, and nothing else: no unit that others wrote, and no linger that was on before. */
export function planUninstall(env: Env, manager: Pick<ServiceManager, "user">): Removal {
  const found = [...findUnits(env).values()];
  const ours = found.filter(({ origin }) => origin.by !== "others");
  const left = found.filter((file) => !ours.includes(file));
  const names = ours.map(({ name }) => name);
  // Where somebody has removed the file by hand, the timer is active still, and what enabled it leads nowhere.
  if (leadsNowhere(join(unitDirectory(env), "timers.target.wants", timerUnit))) names.push(timerUnit);
  const steps: Step[] = [];
  // May fail: the manager has perhaps never read the files.
  const systemctl = (...words: readonly string[]): void => {
    steps.push({ do: "run", command: ["systemctl", "--user", ...words], otherwise: "" });
  };
  if (names.includes(timerUnit)) systemctl("disable", "--now", timerUnit);
  if (names.includes(serviceUnit)) systemctl("stop", serviceUnit);
  // Persistent= keeps the time of the last tick in a file of systemd's own.
  if (names.includes(timerUnit)) systemctl("clean", "--what=state", timerUnit);
  if (names.length > 0) systemctl("reset-failed", ...names);
  const removed = ours.map((file) => {
    const backup = file.origin.by === "us, edited" ? asideOf(file, env) : null;
    if (backup !== null) steps.push({ do: "write", path: backup, text: file.text });
    steps.push({ do: "remove", path: file.path });
    return { path: file.path, backup };
  });
  if (names.length > 0) steps.push({ do: "run", command: ["systemctl", "--user", "daemon-reload"] });
  const marker = lingerMarker(env);
  if (existsSync(marker)) {
    const otherwise = `linger, which install had switched on, could not be switched off: loginctl disable-linger ${manager.user}`;
    steps.push(
      { do: "run", command: ["loginctl", "disable-linger", manager.user], otherwise },
      { do: "remove", path: marker },
    );
  }
  return { removed, left: left.map(({ path }) => path), steps };
}

const leadsNowhere = (link: string): boolean =>
  lstatSync(link, { throwIfNoEntry: false }) !== undefined && !existsSync(link);
