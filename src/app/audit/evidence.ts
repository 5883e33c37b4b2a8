import { isAncestor, revList } from "../../git/ancestry.ts";
import { entriesOf, lookUp, type Marked, readMarked } from "../../git/marked.ts";
import { landedPrefix } from "../../git/snapshot.ts";
import type { Change } from "../../git/trees.ts";
import type { RecordedLanding } from "../../queue/audit.ts";
import { absorptions } from "../absorbed.ts";
import type { App, Workplace } from "../context.ts";
import { saying } from "./finding.ts";
import type { Comparison } from "./judge.ts";
import { openRecomputer } from "./recompute.ts";

/** What git says of one target branch, as far as the rows that name it have something to do with it. */
export type Evidence = {
  /** Full name. */
  readonly target: string;
  readonly tip: string;
  readonly history: History;
  /** The commits on the line of first parents. */
  readonly mainline: ReadonlySet<string>;
  /** Of the commits asked about: those that are there, and those that the target contains. */
  readonly present: ReadonlySet<string>;
  readonly contained: ReadonlySet<string>;
  /** By the attempt in whose name they were made. */
  readonly landings: ReadonlyMap<string, LandingEvidence>;
  /** The commits that a fast-forward brought, by its attempt; none where the recorded base is no ancestor of what it brought. */
  readonly fastForwards: ReadonlyMap<string, readonly string[]>;
};

/** The commits made in the name of one attempt, oldest first, and what making them again came to. */
export type LandingEvidence = {
  readonly commits: readonly Marked[];
  /** One a head, oldest first. */
  readonly parts: readonly Part[];
  readonly comparisons: ReadonlyArray<{ readonly commit: Marked; readonly comparison: NonNullable<Comparison> }>;
  /** Nothing of what it changed is left in the target: every path is as it was before. */
  readonly vanished: boolean;
  /** All of what it changed is in the target, byte for byte. */
  readonly intact: boolean;
};

/** The landings and reverts of a history, newest first. */
export type History = {
  readonly marked: readonly Marked[];
  find(oid: string): Marked | null;
  /** The revert of a commit that stands: one that was not reverted itself. */
  revertOf(oid: string): Marked | null;
  /** What of ours brought this head, newest first. */
  landingsOf(head: string): readonly Part[];
  /** The part that a commit of ours belongs to. */
  partOf(oid: string): Part | null;
};

/** What brought one head: a merge, the commit that it was squashed to, or those of its rebase, oldest first. */
export type Part = { readonly head: string; readonly commits: readonly Marked[]; readonly last: Marked };

function partsOf(marked: readonly Marked[]): Part[] {
  const runs = new Map(absorptions(marked).map((run) => [run.after, run]));
  return marked.flatMap((last): Part[] => {
    if (last.attempt === null) return [];
    const [, second] = last.parents;
    if (second !== undefined) return [{ head: second, commits: [last], last }];
    const run = runs.get(last.oid);
    return run === undefined ? [] : [{ head: run.head, commits: run.commits, last }];
  });
}

function historyOf(marked: readonly Marked[]): History {
  const byOid = new Map(marked.map((commit) => [commit.oid, commit]));
  const reverts = marked.filter((commit) => commit.reverts.length > 0);
  const byHead = new Map<string, Part[]>();
  const byCommit = new Map<string, Part>();
  for (const part of partsOf(marked)) {
    byHead.set(part.head, [...(byHead.get(part.head) ?? []), part]);
    for (const { oid } of part.commits) byCommit.set(oid, part);
  }
  const revertOf = (oid: string): Marked | null =>
    reverts.find((revert) => revert.reverts.some((named) => oid.startsWith(named)) && revertOf(revert.oid) === null) ??
    null;
  return {
    marked,
    find: (oid) => byOid.get(oid) ?? null,
    revertOf,
    landingsOf: (head) => byHead.get(head) ?? [],
    partOf: (oid) => byCommit.get(oid) ?? null,
  };
}

/**
 * Reads what there is to know of one target: a handful of git processes for all of its rows together. The failing result when git
 * cannot tell.
 */
export async function readEvidence(
  app: Pick<App, "git" | "config">,
  place: Pick<Workplace, "scratch" | "snapshot" | "trusted">,
  target: { readonly ref: string; readonly oid: string; readonly tree: string },
  landings: readonly RecordedLanding[],
): Promise<Evidence | { readonly why: string }> {
  const { gitDir } = place.scratch;
  const marked = await readMarked(app.git, gitDir, target.oid);
  if (!Array.isArray(marked)) return { why: saying(marked) };
  const mainline = await revList(app.git, gitDir, ["--first-parent"], [target.oid]);
  if (!Array.isArray(mainline)) return { why: saying(mainline) };
  const history = historyOf(marked);
  const own = ownCommits(history, landings);
  const heads = landings.flatMap((landing) => landing.heads.map(({ oid }) => oid));
  const asked = [...new Set([...heads, ...landings.flatMap(({ mergeCommit }) => mergeCommit ?? [])])];
  const merges = [...own.values()].flat();
  const objects = await lookUp(app.git, gitDir, [...asked, ...merges.map(({ parents }) => `${parents[0]}^{tree}`)]);
  if (!Array.isArray(objects)) return { why: saying(objects) };
  const present = new Set(asked.filter((_, index) => objects[index]?.type === "commit"));
  const line = new Set(mainline);
  const vouched = new Set(landings.flatMap(({ mergeCommit }) => mergeCommit ?? []));
  for (const [ref, { oid }] of place.snapshot.refs) if (ref.startsWith(landedPrefix)) vouched.add(oid);
  const absorbed = absorptions(marked).filter(({ after }) => line.has(after) || vouched.has(after));
  const known = await lookUp(
    app.git,
    gitDir,
    absorbed.map(({ head }) => head),
  );
  if (!Array.isArray(known)) return { why: saying(known) };
  const gone = new Set(absorbed.filter((_, index) => known[index] === null).map(({ head }) => head));
  const within = absorbed.filter(({ head }) => !gone.has(head)).map(({ head }) => `^${head}`);
  const outside = await revList(app.git, gitDir, [], [...present, `^${target.oid}`, ...within]);
  if (!Array.isArray(outside)) return { why: saying(outside) };
  const out = new Set(outside);
  const fastForwards = new Map<string, readonly string[]>();
  for (const { attemptId, strategy, base, mergeCommit } of landings) {
    if (strategy !== "ff" || base === null || mergeCommit === null || !present.has(mergeCommit)) continue;
    const follows = (await isAncestor(app.git, gitDir, base, mergeCommit)) === true;
    const brought = follows ? await revList(app.git, gitDir, [], [mergeCommit, `^${base}`]) : [];
    fastForwards.set(attemptId, Array.isArray(brought) ? brought : []);
  }
  const before = new Map(merges.map(({ oid }, index) => [oid, objects[asked.length + index]?.oid ?? null]));
  return {
    target: target.ref,
    tip: target.oid,
    history,
    mainline: line,
    present,
    // A head that was squashed or rebased is known by name, though its own commits may be gone with its branch.
    contained: new Set([...[...present].filter((oid) => !out.has(oid)), ...absorbed.map(({ head }) => head)]),
    fastForwards,
    landings: await tryAgain(app, place, target.tree, { history, own, before, gone, landings }),
  };
}

/** The commits in the name of each attempt that a recorded landing's last commit names, oldest first. */
function ownCommits(history: History, landings: readonly RecordedLanding[]): Map<string, Marked[]> {
  const attempts = new Set(landings.map(({ mergeCommit }) => history.find(mergeCommit ?? "")?.attempt));
  const own = new Map<string, Marked[]>();
  for (const commit of history.marked.toReversed()) {
    const { attempt } = commit;
    if (attempt === null || history.partOf(commit.oid) === null || !attempts.has(attempt)) continue;
    own.set(attempt, [...(own.get(attempt) ?? []), commit]);
  }
  return own;
}

/** What of ours came before a commit, oldest first. */
function earlierThan({ marked, partOf }: History, { oid }: Marked): Part[] {
  const older = marked.slice(marked.findIndex((one) => one.oid === oid) + 1);
  return older
    .map((one) => partOf(one.oid))
    .filter((part, index) => part !== null && part.last.oid === older[index]?.oid)
    .flatMap((part) => part ?? [])
    .toReversed();
}

/** Makes every landing's merges again, in the order of history, and looks at what is left of them at the tip. */
async function tryAgain(
  app: Pick<App, "git" | "config">,
  place: Pick<Workplace, "scratch" | "snapshot" | "trusted">,
  tipTree: string,
  known: {
    readonly history: History;
    readonly own: ReadonlyMap<string, readonly Marked[]>;
    readonly before: ReadonlyMap<string, string | null>;
    readonly gone: ReadonlySet<string>;
    readonly landings: readonly RecordedLanding[];
  },
): Promise<Map<string, LandingEvidence>> {
  const warnings = new Map(known.landings.map((landing) => [landing.attemptId, landing.warnings]));
  const expected = [...known.own.values()].flat().length;
  const recomputer = openRecomputer(app, place, expected);
  const found = new Map<string, LandingEvidence>();
  const changed = new Map<string, readonly Change[]>();
  try {
    for (const [attempt, commits] of known.own) {
      const comparisons: LandingEvidence["comparisons"][number][] = [];
      const parts = commits.flatMap(({ oid }) => {
        const part = known.history.partOf(oid);
        return part?.last.oid === oid ? [part] : [];
      });
      for (const part of parts) {
        const commit = part.last;
        const [begin] = part.commits;
        const before = known.before.get(begin?.oid ?? "") ?? null;
        const earlier = earlierThan(known.history, begin ?? commit);
        const standing = earlier.filter(({ commits: all }) =>
          all.every(({ oid }) => known.history.revertOf(oid) === null),
        );
        const comparison: Comparison =
          before === null
            ? { kind: "unsure", why: "the repository no longer has what it was brought onto" }
            : await recomputer.compare(
                { part, before, earlier, standing, isGone: known.gone.has(part.head) },
                warnings.get(attempt) ?? [],
              );
        if (comparison !== null) comparisons.push({ commit, comparison });
      }
      const [first, last] = [commits[0], commits.at(-1)];
      const before = first === undefined ? null : (known.before.get(first.oid) ?? null);
      const changes = before === null || last === undefined ? null : await recomputer.changes(before, last.tree);
      if (changes !== null) changed.set(attempt, changes);
      found.set(attempt, { commits, parts, comparisons, vanished: false, intact: false });
    }
  } finally {
    await recomputer.close();
  }
  const paths = new Set([...changed.values()].flat().map(({ path }) => path));
  const entries = paths.size === 0 ? null : await entriesOf(app.git, place.scratch.gitDir, tipTree, paths);
  if (entries === null || !(entries instanceof Map)) return found;
  const stands = (path: string, mode: string, oid: string) =>
    (entries.get(path) ?? null) === (mode === "000000" ? null : `${mode} ${oid}`);
  for (const [attempt, changes] of changed) {
    const evidence = found.get(attempt);
    if (evidence === undefined || changes.length === 0) continue;
    const vanished = changes.every(({ path, oldMode, oldOid }) => stands(path, oldMode, oldOid));
    const intact = changes.every(({ path, newMode, newOid }) => stands(path, newMode, newOid));
    found.set(attempt, { ...evidence, vanished, intact });
  }
  return found;
}
