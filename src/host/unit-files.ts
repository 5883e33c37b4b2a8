import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { exitCode, refusal, UserError } from "../core/errors.ts";
import type { Env } from "./config.ts";
import { stateDirectory, unitDirectory } from "./paths.ts";
import { failedUnit, type Origin, originOf, serviceUnit, timerUnit } from "./units.ts";

/** A unit file in the user's directory: who wrote it, and what it says. */
export type UnitFile = {
  readonly name: string;
  readonly path: string;
  readonly text: string;
  readonly origin: Origin;
  /** the user's own directory of drop-ins is there */
  readonly hasDropIns: boolean;
};

/** Those of our names that are there, masks and links to elsewhere too. Throws UserError(2) for one that cannot be read. */
export function findUnits(env: Env): ReadonlyMap<string, UnitFile> {
  const found = new Map<string, UnitFile>();
  for (const name of [serviceUnit, timerUnit, failedUnit]) {
    const path = join(unitDirectory(env), name);
    const text = readUnit(path);
    if (text === null) continue;
    found.set(name, { name, path, text, origin: originOf(text), hasDropIns: existsSync(`${path}.d`) });
  }
  return found;
}

/** Where a unit file that is not ours, or no longer as we wrote it, is put: never twice the same name for different content. */
export function asideOf(file: UnitFile, env: Env): string {
  const sum = createHash("sha256").update(file.text).digest("hex").slice(0, 12);
  return join(stateDirectory(env), "replaced-units", `${file.name}.${sum}`);
}

/** Says that linger was switched on by install: then uninstall switches it off again, and never otherwise. */
export const lingerMarker = (env: Env): string => join(stateDirectory(env), "linger-enabled-by-install");

/** The text of a unit file; "" for one that leads nowhere; null when there is none. */
function readUnit(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const said = refusal(error);
    if (said === null) throw error;
    if (said.startsWith("ENOTDIR:")) return null;
    if (said.startsWith("ENOENT:")) return lstatSync(path, { throwIfNoEntry: false }) === undefined ? null : "";
    throw new UserError(
      exitCode.usage,
      `the unit file ${path} cannot be read: ${said}.`,
      "Remove it, or correct its rights.",
    );
  }
}
