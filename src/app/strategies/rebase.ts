import { visible } from "../../core/describe.ts";
import { rebasedMessage, rebaseMessage } from "../../core/messages.ts";
import { failed, isTrouble, type Trouble } from "../../core/reasons.ts";
import { shortName } from "../../core/target.ts";
import { type Commit, subjectOf } from "../../git/commits.ts";
import { listPaths } from "../../git/dirty.ts";
import { writeCommit, writeRetold } from "../../git/objects.ts";
import { showPath } from "../../git/paths.ts";
import { seenWith } from "../absorbed.ts";
import { untrustedConflict } from "../untrusted.ts";
import { keepTargets, mergedTree, type Planted, type Planting } from "./planting.ts";
import { busy, newCommits, type Replay, replay } from "./replay.ts";

/**
 * Every commit of the head that the target lacks is done again on the tip, one by one, as `git rebase` does: author, date and message stay,
 * we are the committer, each bears our trailers, and the last names the head. Merge commits are left out and what comes to nothing is
 * dropped; where nothing is left, one empty commit says so, or nobody could tell later that the head has landed.
 */
export async function plantRebase(planting: Planting): Promise<Planted | Trouble> {
  const { chain, work, head, from, onto } = planting;
  const { place, stamp } = chain;
  const done = await doneAgain(planting);
  if (isTrouble(done)) return done;
  const { objects } = place.scratch;
  const { sha256 } = place.snapshot;
  const landing = { role: head.role, name: work.name, projectId: work.projectId, attemptId: work.attemptId };
  const { replayed, tree, kept } = done;
  let tip = from.commit;
  const isRestored = onto.tree !== from.tree;
  if (isRestored || replayed.length === 0) {
    const body = isRestored
      ? "What it had landed before and was reverted since is done again."
      : "The target has all of its changes already.";
    const message = rebaseMessage({ ...landing, body, head: replayed.length === 0 ? head.oid : null });
    tip = writeCommit(objects, sha256, { tree: onto.tree, parents: [tip], stamp, message });
  }
  for (const [index, one] of replayed.entries()) {
    const { author, encoding, message } = one.commit;
    tip = writeRetold(objects, sha256, {
      tree: one.tree,
      parent: tip,
      author,
      encoding,
      committer: stamp,
      message: rebasedMessage(message, landing, index === replayed.length - 1 ? head.oid : null),
    });
  }
  const changes = await chain.differ.diff(from.tree, tree);
  if (changes === null) return busy();
  const seen = seenWith(place, { commit: tip, tree }, [from.seen, head.oid]);
  return { tip: { commit: tip, tree, seen }, changes, kept };
}

/**
 * The head's commits done again. Where a merge commit is among them, the result must be what merging the head gives: what somebody
 * resolved in that merge would be left out in silence otherwise.
 */
async function doneAgain(planting: Planting): Promise<Exclude<Replay, { stuck: Commit }> | Trouble> {
  const { chain, head, from, onto } = planting;
  const commits = await newCommits(chain, head.oid, from.seen);
  if (isTrouble(commits)) return commits;
  // A commit without a parent may share no history with the target at all, which the merge tells.
  const isPlain = commits.every(({ parents }) => parents.length === 1);
  const whole = isPlain ? null : await mergedTree(planting);
  if (isTrouble(whole) && whole.reason !== "conflict") return whole;
  const done = await replay(chain, commits, onto.tree);
  if (isTrouble(done)) return done;
  if ("stuck" in done) {
    const suspect = await untrustedConflict(chain.app, chain.place, done.onto, done.paths);
    return suspect ?? conflictOf(planting, done.stuck, done.paths, isPlain);
  }
  if (whole === null) return done;
  const settled = isTrouble(whole) ? whole : await keepTargets(chain, from.tree, whole);
  if (isTrouble(settled)) return settled;
  if (settled.tree === done.tree) return done;
  return failed(
    "conflict",
    `${visible(head.role)}'s merge commits hold changes of their own, which a rebase would leave out: land it by merge or squash.`,
  );
}

function conflictOf({ chain, head }: Planting, commit: Commit, paths: readonly string[], isPlain: boolean): Trouble {
  const subject = visible(subjectOf(commit).slice(0, 100));
  const which = `${visible(head.role)}'s commit ${commit.oid.slice(0, 10)} (${subject})`;
  const target = visible(shortName(chain.receiver.target));
  const merges = isPlain
    ? ""
    : " A rebase leaves merge commits out, and what they resolved with them: land it by merge or squash.";
  const detail = `${which} conflicts with ${target} in ${visible(listPaths(paths))}.${merges}`;
  return failed("conflict", detail, { conflicts: paths.map(showPath) });
}
