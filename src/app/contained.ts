import { visible } from "../core/describe.ts";
import { failed, isTrouble, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { independent, isAncestor, revList } from "../git/ancestry.ts";
import type { MergeResult, Merger } from "../git/merge.ts";
import { writeCommit } from "../git/objects.ts";
import { git } from "../git/process.ts";
import { openDiffer } from "../git/trees.ts";
import type { Absorbed } from "./absorbed.ts";
import type { Tip } from "./chain.ts";
import type { App, Workplace } from "./context.ts";
import type { Head } from "./head.ts";
import type { Work } from "./plan.ts";
import { unreadable } from "./trouble.ts";

/**
 * What one landing of a head did to the target: the commits before and after it, or expressions for them (`<id>^1`). What lies between
 * is its own.
 */
export type Brought = { readonly before: string; readonly after: string };

/** A merge, as that. */
export const mergedBy = (merge: string): Brought => ({ before: `${merge}^1`, after: merge });

/** Which of a project's heads still have to land on a tip. */
export type Containment = {
  readonly landing: readonly Head[];
  /** True when a single head was not looked at yet: its merge will show whether it brings anything. */
  readonly unsure: boolean;
};

/**
 * Heads that another head or the tip contains drop out; of equal heads the first role's stays. `tip` is what git is asked about
 * (Tip.seen). One git process, none for one head.
 */
export async function containment(
  app: App,
  place: Workplace,
  tip: string,
  work: Work,
  sure = false,
): Promise<Containment | Trouble> {
  const heads = work.heads.filter((head, index) => work.heads.findIndex((other) => other.oid === head.oid) === index);
  const [only] = heads;
  if (only === undefined) return { landing: [], unsure: false };
  if (heads.length === 1) {
    if (!sure) return { landing: heads, unsure: true };
    const inside = await isAncestor(app.git, place.scratch.gitDir, only.oid, tip);
    if (typeof inside !== "boolean") return unreadable("the agents' commits", inside);
    return { landing: inside ? [] : heads, unsure: false };
  }
  const outermost = await independent(app.git, place.scratch.gitDir, [tip, ...heads.map((head) => head.oid)]);
  if (!Array.isArray(outermost)) return unreadable("the agents' commits", outermost);
  return { landing: heads.filter((head) => head.oid !== tip && outermost.includes(head.oid)), unsure: false };
}

/** A head whose work landed with `brought` and was reverted since. */
export type Reverted = { readonly head: Head; readonly brought: Brought };

/** The commit that brought the last head, null where that is none of a landing; and what of the work is there in name only. */
export type Past = {
  readonly mergeCommit: string | null;
  readonly reverted: readonly Reverted[];
  readonly warnings: readonly string[];
};

/**
 * What became of work whose commits the tip contains already. Being an ancestor is no proof that the content is there: a reverted
 * merge leaves the head an ancestor. So the commit that brought each head to the mainline is found, and a revert of it looked for.
 */
export async function past(
  app: App,
  place: Workplace,
  merger: Merger,
  tip: Tip,
  work: Work,
  absorbed: readonly Absorbed[],
): Promise<Past | Trouble> {
  const left = await leftBehind(app, place, tip.seen, work);
  if (left !== null) return left;
  const { gitDir } = place.scratch;
  const brought = new Map<string, Head>();
  let mergeCommit: string | null = null;
  for (const head of work.heads) {
    const mainline = await revList(
      app.git,
      gitDir,
      ["--first-parent", "--ancestry-path"],
      [tip.commit, `^${head.oid}`],
    );
    if (!Array.isArray(mainline)) return unreadable("the target's commits", mainline);
    const oldest = mainline.at(-1);
    const isMerge = oldest !== undefined && (await merges(app, place, oldest, head.oid));
    mergeCommit = isMerge ? oldest : oldest === undefined ? await retoldWith(app, place, head.oid, absorbed) : null;
    if (oldest === undefined) continue; // not there by its commits: what was reverted of such is not taken for contained
    if (isMerge && !brought.has(oldest)) brought.set(oldest, head);
  }
  const reverted: Reverted[] = [];
  for (const [commit, head] of brought) {
    const undone = await isReverted(app, place, merger, tip, mergedBy(commit));
    if (isTrouble(undone)) return undone;
    if (undone) reverted.push({ head, brought: mergedBy(commit) });
  }
  return { mergeCommit, reverted, warnings: work.heads.some((head) => head.committed) ? [] : ["no_commits"] };
}

/** The last commit of the landing that brought `head` squashed or rebased, alone or in a head that goes on from it. */
async function retoldWith(
  app: App,
  place: Workplace,
  head: string,
  absorbed: readonly Absorbed[],
): Promise<string | null> {
  const own = absorbed.findLast((one) => one.head === head);
  if (own !== undefined) return own.after;
  for (const one of absorbed) {
    if ((await isAncestor(app.git, place.scratch.gitDir, head, one.head)) === true) return one.after;
  }
  return null;
}

/**
 * Whether what a landing brought was taken back between it and the tip: a commit says "This reverts commit" of one of its commits, or
 * nothing of what it changed is there, whatever the commit that took it away says of itself. Not where all of it is there again.
 */
export async function isReverted(
  app: Pick<App, "git">,
  place: Pick<Workplace, "scratch" | "snapshot">,
  merger: Merger,
  tip: Pick<Tip, "commit" | "tree">,
  brought: Brought,
): Promise<boolean | Trouble> {
  const { gitDir } = place.scratch;
  const own = await revList(app.git, gitDir, [], [brought.after, `^${brought.before}`]);
  if (!Array.isArray(own)) return unreadable("the agents' commits", own);
  const messages = await git(app.git, {
    gitDir,
    args: ["log", "--fixed-strings", "--grep=This reverts commit ", "--format=%B", tip.commit, `^${brought.after}`],
  });
  if (messages.code !== 0) return unreadable("the target's commits", messages);
  const ids = [...messages.stdout.toString().matchAll(/This reverts commit ([0-9a-f]{7,64})/g)].map(
    ([, id]) => id ?? "",
  );
  const isNamed = ids.some((id) => own.some((oid) => oid.startsWith(id)));
  const back = await broughtBack(app, place, merger, tip, brought);
  if (back?.kind === "clean" && back.tree === tip.tree) return false;
  if (isNamed || back?.kind !== "clean") return isNamed;
  const trees = await treesOf(app, place, brought);
  if (trees === null) return false;
  const [before, after] = trees;
  const differ = openDiffer(app.git, place.scratch);
  const did = await differ.diff(before, after);
  const missing = await differ.diff(tip.tree, back.tree);
  await differ.close();
  if (did === null || missing === null) return false;
  const absent = new Set(missing.map((change) => change.path));
  return did.every((change) => absent.has(change.path));
}

/** HEAD is in the target, but a branch that this worktree had checked out is not: which of them is the work is not ours to guess. */
async function leftBehind(app: App, place: Workplace, tip: string, work: Work): Promise<Trouble | null> {
  const branches = new Map(work.heads.flatMap((head) => [...head.leftBehind]));
  if (branches.size === 0) return null;
  const oids = [...new Set(branches.values())];
  const missing = await revList(app.git, place.scratch.gitDir, [], [...oids, `^${tip}`]);
  if (!Array.isArray(missing)) return unreadable("the agents' branches", missing);
  const names = [...branches].filter(([, oid]) => missing.includes(oid)).map(([name]) => visible(shortName(name)));
  if (names.length === 0) return null;
  const where = work.heads.map((head) => visible(head.role)).join(", ");
  return failed(
    "ambiguous_worktree",
    `what ${where} has checked out is in the target already, but its ${names.length === 1 ? "branch" : "branches"} ${names.join(", ")} ${names.length === 1 ? "is" : "are"} not: check out what is to land, then retry.`,
  );
}

/** Whether a commit is a merge that brought `head`: not when the head is itself on the mainline, and this what came next. */
async function merges(app: App, place: Workplace, commit: string, head: string): Promise<boolean> {
  const result = await git(app.git, {
    gitDir: place.scratch.gitDir,
    args: ["rev-parse", "--verify", "-q", "--end-of-options", `${commit}^2`],
  });
  if (result.code !== 0) return false;
  return (await isAncestor(app.git, place.scratch.gitDir, head, `${commit}^1`)) === false;
}

/** The trees before and after a landing; null when git cannot read them. */
async function treesOf(
  app: Pick<App, "git">,
  place: Pick<Workplace, "scratch">,
  { before, after }: Brought,
): Promise<readonly [string, string] | null> {
  const result = await git(app.git, {
    gitDir: place.scratch.gitDir,
    args: ["rev-parse", `${before}^{tree}`, `${after}^{tree}`],
  });
  const [first, second] = result.stdout.toString().trim().split("\n");
  return result.code !== 0 || first === undefined || second === undefined ? null : [first, second];
}

/** The tip's tree with what `brought` did done again. Null when git cannot read it. */
export async function broughtBack(
  app: Pick<App, "git">,
  place: Pick<Workplace, "scratch" | "snapshot">,
  merger: Merger,
  tip: { tree: string },
  brought: Brought,
): Promise<MergeResult | null> {
  const trees = await treesOf(app, place, brought);
  return trees === null ? null : await applied(place, merger, tip.tree, ...trees);
}

/**
 * The tree `onto` with what leads from the tree `before` to the tree `after` done to it: a three-way merge whose base is `before`. Said
 * with three commits made up for it, because `merge-tree --merge-base` came only with git 2.40.
 */
export async function applied(
  place: Pick<Workplace, "scratch" | "snapshot">,
  merger: Merger,
  onto: string,
  before: string,
  after: string,
): Promise<MergeResult> {
  const stamp = { name: "orchestrator-merge", email: "orchestrator-merge@localhost", seconds: 0 };
  const make = (tree: string, parents: string[]) =>
    writeCommit(place.scratch.objects, place.snapshot.sha256, { tree, parents, stamp, message: "trial\n" });
  const base = make(before, []);
  return await merger.merge(make(onto, [base]), make(after, [base]));
}
