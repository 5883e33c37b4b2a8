import { visible } from "../../core/describe.ts";
import { isTrouble } from "../../core/reasons.ts";
import { revList } from "../../git/ancestry.ts";
import { listPaths } from "../../git/dirty.ts";
import { localDrivers } from "../../git/drivers.ts";
import type { Marked } from "../../git/marked.ts";
import type { MergeResult, Merger } from "../../git/merge.ts";
import { showPath } from "../../git/paths.ts";
import { lastWords } from "../../git/remote.ts";
import { type Change, openDiffer } from "../../git/trees.ts";
import { attributedMergers } from "../chain.ts";
import { broughtBack } from "../contained.ts";
import type { App, Workplace } from "../context.ts";
import { keptBy, restored } from "../mergeProject.ts";

/** A merge commit of ours, with the tree of its first parent and the merges of ours that came before it, oldest first. */
export type Landed = { readonly commit: Marked; readonly before: string; readonly earlier: readonly Marked[] };

/** Whether a merge made again is what was landed: null when it is. */
export type Comparison =
  | null
  /** It is another tree, and nothing explains it. */
  | { readonly kind: "differs"; readonly detail: string }
  | { readonly kind: "unsure"; readonly why: string };

export type Recomputer = {
  /** Merges again in the scratch; `warnings` are those of the landing, which name what was set aside then. */
  compare(landed: Landed, warnings: readonly string[]): Promise<Comparison>;
  /** What a landing changed, from `before` on to `after` (trees); null when git cannot tell. */
  changes(before: string, after: string): Promise<Change[] | null>;
  close(): Promise<void>;
};

/**
 * Makes merges again, with the attributes of the first parent's tree and the rule of `[merge] keep_target`. One process for all merges
 * (where the host has stdbuf), one for all comparisons; ask in the order of history, so that attributes are seldom read again.
 */
export function openRecomputer(
  app: Pick<App, "git" | "config">,
  place: Pick<Workplace, "scratch" | "snapshot" | "trusted">,
  expected: number,
): Recomputer {
  const differ = openDiffer(app.git, place.scratch);
  const mergers = attributedMergers(app, place, null, expected);
  const isKept = keptBy(app.config);
  let attributesOf: string | null = null;

  /** The merger for merges onto a tree: it goes by that tree's attributes. */
  async function mergerOnto(commit: string, tree: string): Promise<Merger | null> {
    const moved = attributesOf === null ? [] : await differ.diff(attributesOf, tree);
    if (moved === null) return null;
    await mergers.moved(moved);
    attributesOf = tree;
    const merger = await mergers.at({ commit, tree });
    return isTrouble(merger) ? null : merger;
  }

  async function compare(landed: Landed, warnings: readonly string[]): Promise<Comparison> {
    const { before, commit } = landed;
    const [ours = "", theirs = ""] = commit.parents;
    const merger = await mergerOnto(ours, before);
    if (merger === null) return unsure("git could not read the attributes");
    const hold = async (tree: string | NonNullable<Comparison>): Promise<Comparison> => {
      if (typeof tree !== "string") return tree;
      const [brought, off] = [await differ.diff(before, tree), await differ.diff(tree, commit.tree)];
      return brought === null || off === null
        ? unsure("git could not compare two trees")
        : judge(brought, off, isKept, warnings);
    };
    const plain = treeOf(await merger.merge(ours, theirs), isKept);
    const judged = await hold(plain);
    if (judged?.kind !== "differs") return judged;
    // What had been reverted before it, the engine does again: in place of the merge, or under it.
    const ways = [
      async () => (plain === before ? await doneAgain(merger, landed) : null),
      async () => await mergedOntoRestored(merger, landed, ofProject(landed)),
      async () => await mergedOntoRestored(merger, landed, await ofHead(landed)),
    ];
    for (const way of ways) {
      const tree = await way();
      const again = tree === null ? judged : await hold(tree);
      if (again?.kind !== "differs") return again;
    }
    return judged;
  }

  /** A head that was there already, and reverted: what brought it first, done again. Null when that is nothing. */
  async function doneAgain(merger: Merger, { commit, before }: Landed): Promise<string | null> {
    const [ours = "", theirs = ""] = commit.parents;
    const options = ["--first-parent", "--ancestry-path"];
    const mainline = await revList(app.git, place.scratch.gitDir, options, [ours, `^${theirs}`]);
    const brought = Array.isArray(mainline) ? mainline.at(-1) : undefined;
    if (brought === undefined) return null;
    const back = await broughtBack(app, place, merger, { tree: before }, brought);
    return back?.kind === "clean" ? back.tree : null;
  }

  /** A head that goes on from work that was reverted: merged onto the target with that work done again. Null when there is none. */
  async function mergedOntoRestored(
    merger: Merger,
    { commit, before }: Landed,
    earlier: readonly string[],
  ): Promise<string | NonNullable<Comparison> | null> {
    const [ours = "", theirs = ""] = commit.parents;
    const stamp = { name: "audit", email: "audit@localhost", seconds: 0 };
    const start = await restored({ app, place, merger, stamp, tip: { commit: ours, tree: before } }, { earlier });
    if (isTrouble(start) || start.commit === ours) return null;
    return treeOf(await merger.merge(start.commit, theirs), isKept);
  }

  /** The earlier merges whose head this one's goes on from: work that several rows shared bears the number of one of them only. */
  async function ofHead({ commit, earlier }: Landed): Promise<string[]> {
    const [, theirs = ""] = commit.parents;
    const heads = earlier.flatMap(({ parents }) => parents[1] ?? []);
    if (heads.length === 0) return [];
    const outside = await revList(app.git, place.scratch.gitDir, [], [...new Set(heads), `^${theirs}`]);
    if (!Array.isArray(outside)) return [];
    return earlier.filter(({ parents }) => !outside.includes(parents[1] ?? "")).map(({ oid }) => oid);
  }

  return {
    async compare(landed, warnings) {
      const judged = await compare(landed, warnings);
      if (judged?.kind !== "differs" || place.trusted || localDrivers(place.snapshot.config).size === 0) return judged;
      return unsure(
        "the repository's own configuration defines filters or merge drivers, which are not run unless a rule trusts it",
      );
    },
    changes: (before, after) => differ.diff(before, after),
    async close() {
      await mergers.close();
      await differ.close();
    },
  };
}

/** The merges with which the same project landed before. */
const ofProject = ({ commit, earlier }: Landed): string[] =>
  earlier.filter(({ project }) => project !== null && project === commit.project).map(({ oid }) => oid);

const unsure = (why: string): Comparison => ({ kind: "unsure", why });

function treeOf(result: MergeResult, isKept: (path: string) => boolean): string | NonNullable<Comparison> {
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
function judge(
  brought: readonly Change[],
  off: readonly Change[],
  isKept: (path: string) => boolean,
  warnings: readonly string[],
): Comparison {
  const mergedAt = new Map(brought.map((change) => [change.path, change]));
  const offAt = new Set(off.map(({ path }) => path));
  const wasKept = (path: string) =>
    warnings.some(
      (warning) =>
        / was kept \(/.test(warning) &&
        (warning.includes(visible(showPath(path))) || / more was kept \(/.test(warning)),
    );
  const wrong: string[] = [];
  const settings: string[] = brought.map(({ path }) => path).filter((path) => isKept(path) && !offAt.has(path));
  for (const { path, newMode, newOid } of off) {
    const merged = mergedAt.get(path);
    const targets = merged !== undefined && merged.oldMode === newMode && merged.oldOid === newOid;
    if (targets && isKept(path)) continue;
    (targets && wasKept(path) ? settings : wrong).push(path);
  }
  if (wrong.length > 0) return { kind: "differs", detail: `another version of ${visible(listPaths(wrong))}` };
  if (settings.length === 0) return null;
  return unsure(
    `${visible(listPaths(settings))} would come out otherwise today: [merge] keep_target has changed since`,
  );
}
