import { realpathSync } from "node:fs";
import { exitCode, UserError } from "../core/errors.ts";
import type { Env } from "./config.ts";
import { home } from "./paths.ts";

/** Declared by the build in the .mjs alone: its own path. */
declare const __scriptFile: string | undefined;

/**
 * The executable that runs now, links resolved, to be named in a unit. Throws UserError(2) for the .mjs, whose Node or Deno takes more
 * tasks than the unit's TasksMax allows, and for a program in a temporary place.
 */
export function ownExecutable(env: Env): string {
  if (typeof __scriptFile === "string") {
    throw new UserError(
      exitCode.usage,
      "this is the script, and the limits of the units are those of the executable.",
      "Run install with the executable, dist/orchestrator-merge.",
    );
  }
  return demandLasting(process.execPath, env);
}

/**
 * The real path of `program`. Throws UserError(2) when it is not there any more, or below a directory that is emptied by itself; unless
 * HOME is below it too, for then all of this user is.
 */
export function demandLasting(program: string, env: Env): string {
  const path = real(program);
  if (path === null) {
    const sentence = `the executable ${program} has been replaced or removed since it was started.`;
    throw new UserError(exitCode.usage, sentence, "Run the same command again.");
  }
  const roots = ["/tmp", "/var/tmp", "/dev/shm", "/run", env["TMPDIR"] ?? "/tmp"].map((root) => real(root) ?? root);
  const homeOf = real(home(env)) ?? home(env);
  const temporary = roots.find((root) => isBelow(path, root) && !isBelow(homeOf, root));
  if (temporary === undefined) return path;
  throw new UserError(
    exitCode.usage,
    `the executable is ${path}, and what is in ${temporary} does not stay.`,
    "Copy it to ~/.local/bin, and run it from there: orchestrator-merge install.",
  );
}

const isBelow = (path: string, root: string): boolean => path === root || path.startsWith(`${root}/`);

function real(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
