import { isTrouble, type Trouble } from "../core/reasons.ts";
import { revList } from "../git/ancestry.ts";
import { type Marked, readMarked } from "../git/marked.ts";
import type { Merger } from "../git/merge.ts";
import { writeCommit } from "../git/objects.ts";
import { landedPrefix } from "../git/snapshot.ts";
import type { Tip } from "./chain.ts";
import { type Brought, isReverted } from "./contained.ts";
import type { App, Workplace } from "./context.ts";
import { unreadable } from "./trouble.ts";

/**
 * A head that is in the target without being an ancestor of it: squashed or rebased there. Only its landing's trailer
 * `Orchestrator-Head` tells.
 */
export type Absorbed = Brought & { readonly head: string };

/** One such landing with its commits, oldest first: one of a squash, as many of a rebase as it took. */
export type Run = Absorbed & { readonly commits: readonly Marked[] };

/**
 * The landings among `marked` (newest first, as readMarked gives them) that say which head they brought, newest first. A rebased head
 * is a run of commits of one attempt, the last of which names it.
 */
export function absorptions(marked: readonly Marked[]): Run[] {
  const byOid = new Map(marked.map((commit) => [commit.oid, commit]));
  return marked.flatMap((last): Run[] => {
    if (last.attempt === null || last.head === null || last.parents.length !== 1) return [];
    const commits = [last];
    let before = last.parents[0] ?? "";
    for (;;) {
      const parent = byOid.get(before);
      if (parent?.attempt !== last.attempt || parent.head !== null || parent.parents.length !== 1) break;
      commits.unshift(parent);
      before = parent.parents[0] ?? "";
    }
    return [{ head: last.head, before, after: last.oid, commits }];
  });
}

/** What of the heads that are to land is in the tip already, in other clothes. */
export type Absorption = {
  /** Oldest first. */
  readonly standing: readonly Absorbed[];
  /** All landings of heads that were reverted since: to land again like anything new. */
  readonly undone: readonly Absorbed[];
};

/**
 * Finds the squashed and rebased landings in the tip that concern `heads`: those whose head is one of them, or one that they go on from.
 * Of several landings of one head the newest counts. A message says what its author likes, so a landing is believed only on the line of
 * first parents, where this program commits, or where `known` (what the queue remembers) or a proof in the repository says the same:
 * else an agent whose work is merged could write another agent's head into a trailer, and that one would never land.
 */
export async function absorbed(
  app: Pick<App, "git">,
  place: Pick<Workplace, "scratch" | "snapshot">,
  merger: Merger,
  tip: Pick<Tip, "commit" | "tree">,
  heads: readonly string[],
  known: readonly string[],
): Promise<Absorption | Trouble> {
  const { gitDir } = place.scratch;
  const nothing: Absorption = { standing: [], undone: [] };
  const marked = await readMarked(app.git, gitDir, tip.commit);
  if (!Array.isArray(marked)) return unreadable("the target's commits", marked);
  const all = absorptions(marked);
  if (all.length === 0 || heads.length === 0) return nothing;
  const fresh = await revList(app.git, gitDir, [], [...new Set(heads), `^${tip.commit}`]);
  if (!Array.isArray(fresh)) return unreadable("the agents' commits", fresh);
  const concerned = new Set(fresh);
  let found = all.filter(({ head }) => concerned.has(head));
  const vouched = new Set(known);
  for (const [ref, { oid }] of place.snapshot.refs) if (ref.startsWith(landedPrefix)) vouched.add(oid);
  if (found.some(({ after }) => !vouched.has(after))) {
    const mainline = await revList(app.git, gitDir, ["--first-parent"], [tip.commit]);
    if (!Array.isArray(mainline)) return unreadable("the target's commits", mainline);
    const line = new Set(mainline);
    found = found.filter(({ after }) => vouched.has(after) || line.has(after));
  }
  const newest = found.filter((one, index) => found.findIndex(({ head }) => head === one.head) === index);
  const reverted = new Set<string>();
  for (const one of newest) {
    const answer = await isReverted(app, place, merger, tip, one);
    if (isTrouble(answer)) return answer;
    if (answer) reverted.add(one.head);
  }
  return {
    standing: newest.filter(({ head }) => !reverted.has(head)).toReversed(),
    undone: found.filter(({ head }) => reverted.has(head)),
  };
}

/**
 * A commit of the same tree that has the absorbed heads among its parents. Git, asked about it in the tip's place, gives the answers that
 * it would give had they been merged: what they contain is contained, and what goes on from them merges with them as its base, so that
 * their older commits neither land twice nor conflict with what was made of them. Never published; the commit itself where there is
 * nothing to add.
 */
export function seenWith(
  place: Pick<Workplace, "scratch" | "snapshot">,
  tip: { readonly commit: string; readonly tree: string },
  others: readonly string[],
): string {
  const parents = [...new Set([tip.commit, ...others])];
  if (parents.length === 1) return tip.commit;
  const stamp = { name: "orchestrator-merge", email: "orchestrator-merge@localhost", seconds: 0 };
  const message = "The target, with the heads that it has absorbed: only to merge onto\n";
  return writeCommit(place.scratch.objects, place.snapshot.sha256, { tree: tip.tree, parents, stamp, message });
}
