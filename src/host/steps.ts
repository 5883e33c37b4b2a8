import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { exitCode, refusal, UserError } from "../core/errors.ts";
import type { ServiceManager } from "./service-manager.ts";

/*
 * What install and uninstall do to the host, as a list that is made first: --dry-run shows it, otherwise it is carried out.
 */
export type Step =
  /** systemd reads the files, in a directory of their own, and complains of nothing */
  | { readonly do: "verify"; readonly files: ReadonlyMap<string, string> }
  /** `otherwise`: it may fail, and this is then said of it; "": nothing is. `marker`: a file that is made when it went well */
  | { readonly do: "run"; readonly command: readonly string[]; readonly otherwise?: string; readonly marker?: string }
  | { readonly do: "write"; readonly path: string; readonly text: string }
  | { readonly do: "remove"; readonly path: string };

/** Carries out the steps in their order and gives the warnings. Throws UserError(2) at the first that fails and may not. */
export async function carryOut(steps: readonly Step[], manager: ServiceManager): Promise<string[]> {
  const warnings: string[] = [];
  for (const step of steps) {
    switch (step.do) {
      case "verify":
        warnings.push(...(await verify(step.files, manager)));
        break;
      case "run": {
        if (step.otherwise === undefined) await manager.tell(step.command);
        else if ((await manager.ask(step.command)).code !== 0) {
          if (step.otherwise !== "") warnings.push(step.otherwise);
          break;
        }
        const { marker } = step;
        if (marker !== undefined) onDisk(marker, () => put(marker, ""));
        break;
      }
      case "write":
        onDisk(step.path, () => put(step.path, step.text));
        break;
      case "remove":
        onDisk(step.path, () => rmSync(step.path, { force: true }));
        break;
    }
  }
  return warnings;
}

/** Whole or not at all: systemd may read the directory at any moment. */
function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.draft-${process.pid}`;
  writeFileSync(draft, text, { mode: 0o644 });
  renameSync(draft, path);
}

function onDisk(path: string, change: () => void): void {
  try {
    change();
  } catch (cause) {
    const said = refusal(cause);
    if (said === null) throw cause;
    throw new UserError(
      exitCode.usage,
      `${path} cannot be changed: ${said}.`,
      "Correct its rights or those of its directory.",
      {
        cause,
      },
    );
  }
}

/**
 * Has systemd-analyze read the units. It exits with 0 whatever it warns of (systemd 252), and it may complain of units of others that
 * ours lead to: what names one of ours counts. Throws UserError(2) with its first such line.
 */
async function verify(files: ReadonlyMap<string, string>, manager: ServiceManager): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), "orchestrator-merge-units-"));
  try {
    const paths = [...files].map(([name, text]) => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    });
    const { code, stderr, missing } = await manager.ask(["systemd-analyze", "verify", "--user", ...paths]);
    if (missing) return ["systemd-analyze is not installed, so the units were not verified."];
    const lines = stderr.split("\n").filter((line) => line.trim() !== "");
    const ours = lines.find((line) => [...files.keys()].some((name) => line.includes(basename(name, ".service"))));
    if (ours !== undefined) {
      throw new UserError(
        exitCode.usage,
        `systemd does not accept the units: ${ours.replaceAll(`${directory}/`, "")}`,
        "Nothing was changed. If it speaks of a drop-in (a .conf file), correct that; else please report it.",
      );
    }
    return code === 0 ? [] : [`systemd-analyze verify complained of other units: ${lines.at(-1) ?? `exit ${code}`}`];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A step in a line, for a person. */
export function describeStep(step: Step): string {
  switch (step.do) {
    case "verify":
      return `verify  ${[...step.files.keys()].join(", ")}`;
    case "run":
      return `run     ${step.command.join(" ")}`;
    case "write":
      return `write   ${step.path}`;
    case "remove":
      return `remove  ${step.path}`;
  }
}
