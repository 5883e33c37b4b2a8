import { visible } from "../../core/describe.ts";
import { shortName } from "../../core/target.ts";
import type { GitResult } from "../../git/process.ts";
import { lastWords } from "../../git/remote.ts";
import { shellWord } from "../../queue/location.ts";

/** What is untrue of a row that says merged, and the command that shows or mends it. */
export type Wrong = { readonly what: string; readonly next: string };
/** What could be neither proved nor refuted, and why not. */
export type Unproved = { readonly what: string; readonly why: string };

/** What came of one row: neither list has an entry when everything is proved. */
export type Verdict = { readonly wrong: Wrong[]; readonly unproved: Unproved[] };

export const verdict = (): Verdict => ({ wrong: [], unproved: [] });

/** An id as people read it. */
export const short = (oid: string): string => oid.slice(0, 10);

/** A branch or tag as people read it. */
export const named = (ref: string): string => visible(shortName(ref));

/** Why git could not tell. */
export const saying = (result: GitResult): string => `git said: ${lastWords(result)}`;

/** A git command for the person's shell. */
export const gitCommand = (directory: string, ...words: readonly string[]): string =>
  ["git", "-C", directory, ...words].map(shellWord).join(" ");
