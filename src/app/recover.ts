import { existsSync } from "node:fs";
import { held, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { fastForward } from "../git/checkout.ts";
import { listPaths } from "../git/dirty.ts";
import { gitAtWorkIn, orphansOf } from "../git/orphans.ts";
import { indexArrived, putCheckoutBack, removeStaleLocks } from "../git/repair.ts";
import { pendingPrefix } from "../git/snapshot.ts";
import { openDiffer } from "../git/trees.ts";
import { abandon, type Intent, record } from "../queue/journal.ts";
import type { Lease } from "../queue/leases.ts";
import { type App, inCheckout, type Workplace } from "./context.ts";
import { arrived, finishRefs, undo } from "./land.ts";
import { treeOf } from "./receiver.ts";

/** What recovery found and did with one landing of a dead run. */
export type Recovered = {
  readonly landingId: string;
  readonly repository: string;
  readonly found: "not begun" | "before the checkout" | "before the tags" | "before the record" | "overtaken";
  readonly did: "abandoned" | "finished" | "waits";
  readonly projects: ReadonlyArray<{ readonly id: number; readonly name: string }>;
};

/**
 * Finishes or forgets every open landing of a repository. Git decides: the row only says where to look (docs/states.md has the table).
 * A Trouble when something is left that a person must see to; the repository is then not worked on.
 */
export async function recover(
  app: App,
  place: Workplace,
  lease: Lease,
  intents: readonly Intent[],
): Promise<Recovered[] | Trouble> {
  const done: Recovered[] = [];
  for (const intent of intents) {
    const locked = clearLocks(place, intent);
    if (locked !== null) return locked;
    const outcome = await recoverOne(app, place, lease, intent);
    if ("outcome" in outcome) return outcome;
    done.push({
      landingId: intent.landingId,
      repository: intent.repository,
      projects: intent.landed.map(({ projectId, name }) => ({ id: projectId, name })),
      ...outcome,
    });
  }
  return done;
}

/** Ends the git processes of dead runs: one of them could still move a ref while we look. */
export async function endOrphans(runIds: ReadonlySet<string>): Promise<number> {
  const orphans = orphansOf(runIds);
  for (const pid of orphans) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // gone by itself
    }
  }
  const deadline = Date.now() + 5000;
  while (orphansOf(runIds).length > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  return orphans.length;
}

type Outcome = Pick<Recovered, "found" | "did">;

async function recoverOne(app: App, place: Workplace, lease: Lease, intent: Intent): Promise<Outcome | Trouble> {
  const gitDir = place.snapshot.repository.commonDir;
  const { refs } = place.snapshot;
  const pending = refs.has(pendingPrefix + intent.landingId);
  const target = refs.get(intent.target)?.oid ?? null;
  const there =
    target !== null && (target === intent.tip || (await arrived(app.git, gitDir, intent.target, intent.tip)));
  const close = async (found: Outcome["found"]): Promise<Outcome> => {
    await record(app.queue, lease, intent, app.now());
    return { found, did: "finished" };
  };
  const forget = async (found: Outcome["found"]): Promise<Outcome> => {
    await abandon(app.queue, lease, intent.landingId, app.now());
    return { found, did: "abandoned" };
  };
  const takeBack = async (found: Outcome["found"]): Promise<Outcome | Trouble> => {
    const undone = await place.refs.transact(undo(intent));
    return undone === null ? await forget(found) : stuck(intent, "its refs could not be put back");
  };
  if (!pending) {
    // The proofs and the pending mark change in one transaction: with neither mark nor landing, T1 never happened.
    return there ? await close("before the record") : await forget("not begun");
  }
  if (!there && target === intent.base && intent.checkout !== null) {
    const advanced = await advance(app, place, intent);
    if (advanced === "gone") return await takeBack("overtaken");
    if (advanced !== null) return advanced;
  } else if (!there && target !== intent.base) {
    return await takeBack("overtaken");
  }
  const trouble = await finishRefs(app.git, place.refs, gitDir, intent);
  if (trouble !== null) return trouble;
  return await close(there ? "before the tags" : "before the checkout");
}

/**
 * Brings the checkout forward for a landing that died before or while doing so: what git had half written is put back first, then the
 * same fast-forward runs again. Null when the checkout then stands at the tip; "gone" when the target is checked out no longer.
 */
async function advance(app: App, place: Workplace, intent: Intent): Promise<"gone" | Trouble | null> {
  const tree = place.snapshot.worktrees.find((one) => one.path === intent.checkout && one.branch === intent.target);
  if (tree === undefined) return "gone";
  const git = inCheckout(app.git, place);
  const looked = { path: tree.path, gitDir: tree.gitDir, head: intent.base };
  const differ = openDiffer(app.git, place.scratch);
  const trees = await Promise.all([treeOf(app, place, intent.base), treeOf(app, place, intent.tip)]);
  const [before, after] = trees;
  const changes = typeof before === "string" && typeof after === "string" ? await differ.diff(before, after) : null;
  await differ.close();
  if (changes === null) return stuck(intent, "git could not compare the two commits");
  const arrivedThere = await indexArrived(git, looked, intent.tip, changes);
  if (typeof arrivedThere !== "boolean") return stuck(intent, "its index could not be read");
  if (arrivedThere) {
    const moved = await place.refs.transact([
      { verb: "update", ref: intent.target, to: intent.tip, from: intent.base },
    ]);
    return moved === null ? null : stuck(intent, "its branch could not be moved");
  }
  const users = await putCheckoutBack(git, looked, place.snapshot.sha256, changes);
  if (!Array.isArray(users)) return stuck(intent, "its files could not be put back");
  if (users.length > 0) return stuck(intent, `${listPaths(users)} there is neither the old version nor the new one`);
  return (await fastForward(git, looked, intent.tip)) === null ? null : "gone";
}

/** The lock files that this landing's git processes may have left when they were killed. A Trouble when one is somebody else's. */
function clearLocks(place: Workplace, intent: Intent): Trouble | null {
  const gitDir = place.snapshot.repository.commonDir;
  const tree = place.snapshot.worktrees.find((one) => one.path === intent.checkout);
  const { backups, tags, proofs } = intent.refs;
  const refs = [
    intent.target,
    pendingPrefix + intent.landingId,
    ...[...backups, ...tags, ...proofs].map(({ ref }) => ref),
  ];
  const files = [
    ...refs.map((ref) => `${gitDir}/${ref}.lock`),
    `${gitDir}/packed-refs.lock`,
    ...(tree === undefined ? [] : [`${tree.gitDir}/index.lock`, `${tree.gitDir}/HEAD.lock`]),
  ].filter((file) => existsSync(file));
  if (files.length === 0) return null;
  if (gitAtWorkIn(tree?.path ?? gitDir)) return held("repository_busy", "another git is at work there.");
  const [left] = removeStaleLocks(files, intent.createdAt);
  return left === undefined ? null : stuck(intent, `${left}, which is older, is in the way`);
}

function stuck(intent: Intent, what: string): Trouble {
  const checkout = intent.checkout ?? intent.repository;
  return held(
    "repository_busy",
    `an earlier run was killed while it brought ${shortName(intent.target)} forward, and ${what}. Look with: git -C ${checkout} status; then finish it with: git -C ${checkout} merge --ff-only ${intent.tip}`,
  );
}
