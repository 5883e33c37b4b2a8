import { visible } from "../../core/describe.ts";
import { held, type Trouble } from "../../core/reasons.ts";
import { shortName } from "../../core/target.ts";
import { isAncestor, revList } from "../../git/ancestry.ts";
import { listPaths } from "../../git/dirty.ts";
import { treeOf } from "../receiver.ts";
import { unreadable } from "../trouble.ts";
import { keptBy, type Planted, type Planting } from "./planting.ts";

/**
 * The head itself becomes the tip: no commit is made. Held where the target has commits that the head lacks, and where the head has one of
 * the files that stay the target's: that could only be set aside in a commit of ours.
 */
export async function plantFf({ chain, head, heads, from, onto }: Planting): Promise<Planted | Trouble> {
  const { app, place, receiver, differ } = chain;
  const who = visible(head.role);
  const branch = visible(shortName(receiver.target));
  if (heads.length > 1) {
    const roles = heads.map(({ role }) => visible(role)).join(" and ");
    return held("target_diverged", `${roles} have gone different ways: a fast-forward takes one head.`);
  }
  const follows = await isAncestor(app.git, place.scratch.gitDir, from.commit, head.oid);
  if (typeof follows !== "boolean") return unreadable("the agents' commits", follows);
  if (!follows) {
    const also = onto === from ? "" : " (some of its work was reverted there)";
    return held(
      "target_diverged",
      `${branch} has commits that ${who} lacks${also}, so it cannot be fast-forwarded: bring ${who}'s branch onto ${branch} (git rebase or git merge), or land it by another strategy.`,
    );
  }
  const forged = await revList(
    app.git,
    place.scratch.gitDir,
    ["--grep=Orchestrator-Head: ", "--max-count=1"],
    [head.oid, `^${from.commit}`],
  );
  if (!Array.isArray(forged)) return unreadable("the agents' commits", forged);
  if (forged.length > 0) {
    return held(
      "target_diverged",
      `${who}'s commit ${forged[0]?.slice(0, 10)} says of itself that it is a landing (Orchestrator-Head), which only this program may: land it by another strategy.`,
    );
  }
  const tree = await treeOf(app, place, head.oid);
  if (typeof tree !== "string") return unreadable("the agents' commits", tree);
  const changes = await differ.diff(from.tree, tree);
  if (changes === null) return held("repository_busy", "git could not compare two trees.", { transient: true });
  const kept = changes.map(({ path }) => path).filter(keptBy(app.config));
  if (kept.length > 0) {
    const where = visible(listPaths(kept));
    return held(
      "target_diverged",
      `${who} has ${where} of its own, which [merge] keep_target leaves to ${branch} and a fast-forward cannot set aside: take it out of ${who}'s branch, or land it by another strategy.`,
    );
  }
  return { tip: { commit: head.oid, tree, seen: head.oid }, changes, kept: [] };
}
