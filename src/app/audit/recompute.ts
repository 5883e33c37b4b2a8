import { visible } from "../../core/describe.ts";
import { isTrouble } from "../../core/reasons.ts";
import { isAncestor, revList } from "../../git/ancestry.ts";
import { listPaths } from "../../git/dirty.ts";
import { localDrivers } from "../../git/drivers.ts";
import { lookUp } from "../../git/marked.ts";
import type { Merger } from "../../git/merge.ts";
import { type Change, openDiffer } from "../../git/trees.ts";
import { seenWith } from "../absorbed.ts";
import { attributedMergers } from "../chain.ts";
import { type Brought, broughtBack, mergedBy } from "../contained.ts";
import type { App, Workplace } from "../context.ts";
import { restored } from "../mergeProject.ts";
import { keptBy } from "../strategies/planting.ts";
import { newCommits, replay } from "../strategies/replay.ts";
import type { Part } from "./evidence.ts";
import { type Comparison, judge, keptSince, treeOf, unsure, wasKept } from "./judge.ts";

/** What brought one head, the tree it was brought onto, and what of ours came before it, oldest first; of that, what was never reverted. */
export type Landed = {
  readonly part: Part;
  readonly before: string;
  readonly earlier: readonly Part[];
  readonly standing: readonly Part[];
  /** The repository no longer has the head itself. */
  readonly isGone: boolean;
};

export type Recomputer = {
  /** Brings the head in again, in the scratch; `warnings` are those of the landing, which name what was set aside then. */
  compare(landed: Landed, warnings: readonly string[]): Promise<Comparison>;
  /** What a landing changed, from `before` on to `after` (trees); null when git cannot tell. */
  changes(before: string, after: string): Promise<Change[] | null>;
  close(): Promise<void>;
};

/**
 * Makes merges, squashes and rebases again, with the attributes of the first parent's tree and the rule of `[merge] keep_target`. One process for all merges
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
  async function mergerOnto(tree: string): Promise<Merger | null> {
    const moved = attributesOf === null ? [] : await differ.diff(attributesOf, tree);
    if (moved === null) return null;
    await mergers.moved(moved);
    attributesOf = tree;
    const merger = await mergers.at({ tree });
    return isTrouble(merger) ? null : merger;
  }

  async function compare(landed: Landed, warnings: readonly string[]): Promise<Comparison> {
    const { before, part } = landed;
    const { ours, theirs } = sidesOf(part);
    const merger = await mergerOnto(before);
    if (merger === null) return unsure("git could not read the attributes");
    const hold = async (tree: string | NonNullable<Comparison>): Promise<Comparison> => {
      if (typeof tree !== "string") return tree;
      const [brought, off] = [await differ.diff(before, tree), await differ.diff(tree, part.last.tree)];
      return brought === null || off === null
        ? unsure("git could not compare two trees")
        : judge(brought, off, isKept, warnings);
    };
    if (landed.isGone) return unsure("the commits that it was made of are gone with their branch");
    if (part.commits.length > 1) return await rebased(merger, landed, warnings);
    const plain = treeOf(await merger.merge(ours, theirs), isKept);
    const judged = await hold(plain);
    if (judged?.kind !== "differs") return judged;
    // What had been reverted before it, the engine does again: in place of the merge, or under it.
    const ways = [
      async () => (plain === before ? await doneAgain(merger, landed) : null),
      async () => await mergedOntoRestored(merger, landed, ofProject(landed)),
      async () => await mergedOntoRestored(merger, landed, await ofHead(landed)),
      // What had been squashed or rebased before it, the engine takes for merged.
      async () => treeOf(await merger.merge(await seenBy(landed), theirs), isKept),
      async () => await mergedOntoRestored(merger, landed, ofProject(landed), await seenBy(landed)),
    ];
    for (const way of ways) {
      const tree = await way();
      const again = tree === null ? judged : await hold(tree);
      if (again?.kind !== "differs") return again;
    }
    const replayed = part.last.head === null ? judged : await rebased(merger, landed, warnings);
    if (replayed?.kind !== "differs") return replayed;
    // A fast-forward leaves no commit of ours: git alone does not tell what of it somebody reverted and this brought back.
    const isOld = (await isAncestor(app.git, place.scratch.gitDir, theirs, ours)) === true;
    return isOld && !landed.earlier.some(({ head }) => head === theirs)
      ? unsure("its head was in the target already, and no landing in git tells what of it had been reverted")
      : judged;
  }

  /** The target as it was before a landing, as the engine asks git about it: with the heads that it had absorbed by then. */
  async function seenBy({ part, before, standing }: Landed): Promise<string> {
    const { ours, theirs } = sidesOf(part);
    const fresh = await revList(app.git, place.scratch.gitDir, [], [theirs, `^${ours}`]);
    const own = new Set(Array.isArray(fresh) ? fresh : []);
    const heads = standing
      .filter(({ head, last }) => last.parents.length === 1 && own.has(head))
      .map(({ head }) => head);
    return seenWith(place, { commit: ours, tree: before }, heads);
  }

  /** A rebased head: its commits done again must be the very trees that were landed, one after the other. */
  async function rebased(merger: Merger, landed: Landed, warnings: readonly string[]): Promise<Comparison> {
    const { part, before } = landed;
    const { theirs } = sidesOf(part);
    const desk = { app, place, merger, differ };
    const commits = await newCommits(desk, theirs, await seenBy(landed));
    if (isTrouble(commits)) return unsure(commits.detail);
    const landedTrees = part.commits.map(({ tree }) => tree);
    const start = await restoredTip(merger, landed, ofProject(landed));
    let judged: Comparison = { kind: "differs", detail: "its commits lead to other trees" };
    for (const onto of new Set([before, isTrouble(start) ? before : start.tree])) {
      const done = await replay(desk, commits, onto);
      if (isTrouble(done)) return unsure(done.detail);
      if ("stuck" in done) {
        const detail = `${done.stuck.oid.slice(0, 10)} conflicts in ${visible(listPaths(done.paths))}`;
        judged = { kind: "differs", detail };
        continue;
      }
      const trees = done.replayed.map(({ tree }) => tree);
      const whole = onto !== before || trees.length === 0 ? [onto, ...trees] : trees;
      if (whole.join() === landedTrees.join()) return null;
      const off = await differ.diff(done.tree, part.last.tree);
      if (off === null) return unsure("git could not compare two trees");
      const paths = off.map(({ path }) => path);
      const wrong = paths.filter((path) => !isKept(path) && !wasKept(path, warnings));
      if (paths.length > 0 && wrong.length === 0) return unsure(keptSince(paths));
      if (wrong.length > 0) judged = { kind: "differs", detail: `another version of ${visible(listPaths(wrong))}` };
    }
    return judged;
  }

  /** A head that was there already, and reverted: what brought it first, done again. Null when that is nothing. */
  async function doneAgain(merger: Merger, { part, before }: Landed): Promise<string | null> {
    const { ours, theirs } = sidesOf(part);
    const options = ["--first-parent", "--ancestry-path"];
    const mainline = await revList(app.git, place.scratch.gitDir, options, [ours, `^${theirs}`]);
    const brought = Array.isArray(mainline) ? mainline.at(-1) : undefined;
    if (brought === undefined) return null;
    const back = await broughtBack(app, place, merger, { tree: before }, mergedBy(brought));
    return back?.kind === "clean" ? back.tree : null;
  }

  /** A head that goes on from work that was reverted: merged onto the target with that work done again. Null when there is none. */
  async function mergedOntoRestored(
    merger: Merger,
    landed: Landed,
    earlier: readonly Part[],
    seen: string | null = null,
  ): Promise<string | NonNullable<Comparison> | null> {
    const { ours, theirs } = sidesOf(landed.part);
    const start = await restoredTip(merger, landed, earlier, seen ?? ours);
    if (isTrouble(start) || start.commit === ours) return null;
    return treeOf(await merger.merge(start.commit, theirs), isKept);
  }

  /** The target before a landing, with what of `earlier` had been reverted done again. */
  async function restoredTip(
    merger: Merger,
    { part, before }: Landed,
    earlier: readonly Part[],
    seen: string | null = null,
  ) {
    const { ours } = sidesOf(part);
    const stamp = { name: "audit", email: "audit@localhost", seconds: 0 };
    const tip = { commit: ours, tree: before, seen: seen ?? ours };
    const absorption = { standing: [], undone: [] };
    return await restored({ app, place, merger, stamp, tip, absorption }, { earlier: earlier.map(broughtBy) });
  }

  /** The earlier landings whose head this one's goes on from: work that several rows shared bears the number of one of them only. */
  async function ofHead({ part, earlier }: Landed): Promise<Part[]> {
    if (earlier.length === 0) return [];
    const { theirs } = sidesOf(part);
    const heads = [...new Set(earlier.map(({ head }) => head))];
    const there = await lookUp(app.git, place.scratch.gitDir, heads);
    if (!Array.isArray(there)) return [];
    const present = heads.filter((_, index) => there[index] !== null);
    const outside = await revList(app.git, place.scratch.gitDir, [], [...present, `^${theirs}`]);
    if (!Array.isArray(outside)) return [];
    return earlier.filter(({ head }) => present.includes(head) && !outside.includes(head));
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

/** What the landing followed on, and the head that it brought. */
const sidesOf = ({ head, commits }: Part) => ({ ours: commits[0]?.parents[0] ?? "", theirs: head });

const broughtBy = ({ commits, last }: Part): Brought => ({ before: commits[0]?.parents[0] ?? "", after: last.oid });

/** What of the same project landed before. */
const ofProject = ({ part, earlier }: Landed): Part[] =>
  earlier.filter(
    ({ last }) => last.project !== null && last.project === part.last.project && last.attempt !== part.last.attempt,
  );
