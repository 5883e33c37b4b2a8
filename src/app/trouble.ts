import { visible } from "../core/describe.ts";
import { refusal } from "../core/errors.ts";
import { failed, held, type Trouble } from "../core/reasons.ts";
import type { GitResult } from "../git/process.ts";
import { lastWords } from "../git/remote.ts";

/** What goes wrong outside of any project's work: git, disks, directories. */

/** git itself failed: not the project's fault, so it is looked at again, more and more rarely. */
export function unreadable(what: string, result: GitResult): Trouble {
  if (result.timedOut)
    return failed("timeout", `git did not answer in time for ${visible(what)}.`, { output: result.transcript });
  return held("repository_busy", `git could not read ${visible(what)}: ${visible(lastWords(result))}`, {
    output: result.transcript,
    transient: true,
  });
}

/** A disk or directory that refused is trouble like any other, and likely to pass. Throws on what is no such refusal. */
export function refused(error: unknown): Trouble {
  const said = refusal(error);
  if (said === null) throw error;
  return held("repository_busy", `${visible(said)}.`, { transient: true });
}
