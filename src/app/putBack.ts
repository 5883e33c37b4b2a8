import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { visible } from "../core/describe.ts";
import { held, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { reflogAction } from "../git/checkout.ts";
import { type LookedAt, listPaths } from "../git/dirty.ts";
import { git } from "../git/process.ts";
import { lastWords } from "../git/remote.ts";
import { putCheckoutBack, type Standards, stagedOtherwise, switchFiles } from "../git/repair.ts";
import { type Change, copyAttributes, openDiffer } from "../git/trees.ts";
import { lastMove, listWorktrees } from "../git/worktrees.ts";
import type { Intent } from "../queue/journal.ts";
import { type App, inCheckout, type Workplace } from "./context.ts";
import { treeOf } from "./receiver.ts";

/**
 * Decides what a fast-forward that did not get to its end has left in a checkout of the target. "arrived": the index stood at the tip, so
 * all files do, for the index is written last; the branch has followed. "back": what git had written is taken out again, files and index
 * stand at the base. With `strict`, a Trouble when something is there that is neither.
 */
export async function settleCheckout(
  app: App,
  place: Workplace,
  intent: Intent,
  tree: LookedAt,
  strict: boolean,
): Promise<"arrived" | "back" | Trouble> {
  const changes = await changesOf(app, place, intent);
  if (changes === null) return stuck(intent, "git could not compare the two commits");
  const notNew = await stagedOtherwise(inCheckout(app.git, place), tree, intent.tip, changes);
  if (!Array.isArray(notNew)) return stuck(intent, `its index could not be read (${lastWords(notNew)})`);
  if (notNew.length > 0) return (await putBack(app, place, intent, tree, changes, strict)) ?? "back";
  const move = { verb: "update", ref: intent.target, to: intent.tip, from: intent.base } as const;
  const failure = await place.refs.transact([move]);
  return failure === null ? "arrived" : stuck(intent, `its branch could not be moved (${lastWords(failure)})`);
}

/**
 * Takes out of a checkout that is another by now (it stands at `tree.head`) what a fast-forward has written there. Where that had got as
 * far as the index, git brings files and index from the tip to where the checkout stands, as for a switch of branches, or refuses. Else
 * only files whose entry in the index is still the old one, and whose content git was writing, are put back; all else is the user's. Null
 * when done.
 */
export async function putBackWhatIsOurs(
  app: App,
  place: Workplace,
  intent: Intent,
  tree: LookedAt,
): Promise<Trouble | null> {
  const changes = await changesOf(app, place, intent);
  if (changes === null) return stuck(intent, "git could not compare the two commits");
  const context = inCheckout(app.git, place);
  const notNew = await stagedOtherwise(context, tree, intent.tip, changes);
  if (!Array.isArray(notNew)) return stuck(intent, `its index could not be read (${lastWords(notNew)})`);
  if (notNew.length > 0) return await putBack(app, place, intent, tree, changes, false);
  await switchFiles(context, tree, intent.tip, changes);
  return null;
}

/**
 * git fast-forwards what is checked out when it comes to it: a person may have switched to a branch of theirs, or begun a rebase, in the
 * instant after we looked. Where that stands at the tip by our doing, as the reflog says, it goes back to where it was; the files are
 * then for putBackWhatIsOurs. The commit it stands at then; null when nothing but the target was moved, or it has moved on.
 */
export async function giveBack(app: App, place: Workplace, intent: Intent): Promise<string | null> {
  const { repository, bare } = place.snapshot;
  const tree = listWorktrees(repository, bare).find(({ path }) => path === intent.checkout);
  const last = tree === undefined || tree.branch === intent.target ? null : lastMove(tree.gitDir);
  if (tree === undefined || last?.to !== intent.tip || !last.reason.startsWith(`${reflogAction}:`)) return null;
  // HEAD stands for its branch, or for itself where it is detached.
  const args = ["update-ref", "-m", reflogAction, "HEAD", last.from, intent.tip];
  const result = await git(inCheckout(app.git, place), { gitDir: tree.gitDir, args });
  return result.code === 0 ? last.from : null;
}

async function putBack(
  app: App,
  place: Workplace,
  intent: Intent,
  tree: LookedAt,
  changes: readonly Change[],
  strict: boolean,
): Promise<Trouble | null> {
  const context = inCheckout(app.git, place);
  const staged = await stagedOtherwise(context, tree, intent.base, changes);
  if (!Array.isArray(staged)) return stuck(intent, `its index could not be read (${lastWords(staged)})`);
  const ours = changes.filter((change) => !staged.includes(change));
  const users = await putCheckoutBack(context, tree, standardsOf(app, place, intent), ours);
  if (!Array.isArray(users)) return stuck(intent, `its files could not be put back (${lastWords(users)})`);
  const unknown = [...staged.map(({ path }) => path), ...users];
  if (!strict || unknown.length === 0) return null;
  return stuck(intent, `${visible(listPaths(unknown))} there is neither the old version nor the new one`);
}

/** The paths that a landing changes; null when git cannot tell. */
async function changesOf(app: App, place: Workplace, intent: Intent): Promise<Change[] | null> {
  const [before, after] = [await treeOf(app, place, intent.base), await treeOf(app, place, intent.tip)];
  if (typeof before !== "string" || typeof after !== "string") return null;
  const differ = openDiffer(app.git, place.scratch);
  const changes = await differ.diff(before, after);
  await differ.close();
  return changes;
}

/** What the files of a checkout are compared by. */
function standardsOf(app: App, place: Workplace, intent: Intent): Standards {
  const { config, sha256 } = place.snapshot;
  let copied: ReturnType<Standards["attributes"]> | null = null;
  const copy = async () => {
    const root = mkdtempSync(join(place.scratch.cwd, "attributes-"));
    const [before, after] = [join(root, "before"), join(root, "after")];
    const failure =
      (await copyAttributes(app.git, place.scratch, `${intent.base}^{tree}`, before)) ??
      (await copyAttributes(app.git, place.scratch, `${intent.tip}^{tree}`, after));
    return failure ?? { before, after };
  };
  return {
    sha256,
    fileMode: config.findLast(({ key }) => key === "core.filemode")?.value !== "false",
    attributes() {
      copied ??= copy();
      return copied;
    },
  };
}

/** A landing that is left open, with the command that a person can finish it with. */
export function stuck(intent: Intent, what: string): Trouble {
  const checkout = visible(intent.checkout ?? intent.repository);
  return held(
    "repository_busy",
    `a landing was cut short while it brought ${visible(shortName(intent.target))} forward, and ${what}. Look with: git -C ${checkout} status; put away what is in the way (git stash), then finish it with: git -C ${checkout} merge --ff-only ${intent.tip}`,
  );
}
