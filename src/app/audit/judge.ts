import { visible } from "../../core/describe.ts";
import { listPaths } from "../../git/dirty.ts";
import type { MergeResult } from "../../git/merge.ts";
import { showPath } from "../../git/paths.ts";
import { lastWords } from "../../git/remote.ts";
import type { Change } from "../../git/trees.ts";

/** Whether a landing made again is what was landed: null when it is. */
export type Comparison =
  | null
  /** It is another tree, and nothing explains it. */
  | { readonly kind: "differs"; readonly detail: string }
  | { readonly kind: "unsure"; readonly why: string };

/** What can be neither proved nor refuted, and why not. */
export const unsure = (why: string): Comparison => ({ kind: "unsure", why });

/** The tree that a merge made again gives; of kept paths that conflict the target's side is taken anyway. */
export function treeOf(result: MergeResult, isKept: (path: string) => boolean): string | NonNullable<Comparison> {
  switch (result.kind) {
    case "clean":
      return result.tree;
    case "conflict": {
      const paths = result.paths.filter((path) => !isKept(path));
      if (paths.length === 0) return result.tree;
      return { kind: "differs", detail: `its sides conflict in ${visible(listPaths(paths))}` };
    }
    case "unrelated":
      return { kind: "differs", detail: "its sides share no history" };
    case "failed":
      return { kind: "unsure", why: `git could not merge again: ${lastWords(result.result)}` };
  }
}

/**
 * Compares what was landed with the merge made again: `brought` is what the merge changes, `off` how the landed tree differs from it.
 * It must differ in the kept paths alone, and have the target's side there. A path that only a change of `keep_target` since then
 * would explain is no proof of anything: what was set aside stands in the landing's warnings, what was not is the merge's version.
 */
export function judge(
  brought: readonly Change[],
  off: readonly Change[],
  isKept: (path: string) => boolean,
  warnings: readonly string[],
): Comparison {
  const mergedAt = new Map(brought.map((change) => [change.path, change]));
  const offAt = new Set(off.map(({ path }) => path));
  const wrong: string[] = [];
  const settings: string[] = brought.map(({ path }) => path).filter((path) => isKept(path) && !offAt.has(path));
  for (const { path, newMode, newOid } of off) {
    const merged = mergedAt.get(path);
    const targets = merged !== undefined && merged.oldMode === newMode && merged.oldOid === newOid;
    if (targets && isKept(path)) continue;
    (targets && wasKept(path, warnings) ? settings : wrong).push(path);
  }
  if (wrong.length > 0) return { kind: "differs", detail: `another version of ${visible(listPaths(wrong))}` };
  if (settings.length === 0) return null;
  return unsure(keptSince(settings));
}

/** Why paths (byte strings) that were left as the target had them would come out otherwise. */
export const keptSince = (paths: readonly string[]): string =>
  `${visible(listPaths(paths))} would come out otherwise today: [merge] keep_target has changed since`;

/** Whether the landing said that it left this path (a byte string) as the target had it. */
export const wasKept = (path: string, warnings: readonly string[]): boolean =>
  warnings.some(
    (warning) =>
      / was kept \(/.test(warning) && (warning.includes(visible(showPath(path))) || / more was kept \(/.test(warning)),
  );
