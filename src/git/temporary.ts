import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exitCode, UserError } from "../core/errors.ts";

/** A new directory with a name of that beginning in TMPDIR. Throws UserError(2) when nothing can be written there. */
export function temporaryDirectory(prefix: string): string {
  try {
    return realpathSync(mkdtempSync(join(tmpdir(), prefix)));
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new UserError(
      exitCode.usage,
      `nothing can be written in the temporary directory ${tmpdir()} (${said}).`,
      "Make room there, or set TMPDIR to another directory.",
      { cause: error },
    );
  }
}
