import { decodeTime } from "ulid";
import { held, type Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { locksOfCheckout, locksOfRefs, locksOnOwnRefs, removeStaleLocks } from "../git/locks.ts";
import { localRepository, remoteOf } from "../git/remote.ts";
import type { Snapshot } from "../git/snapshot.ts";
import type { Intent } from "../queue/journal.ts";
import { debts, owedTags } from "../queue/pushes.ts";
import type { App, Workplace } from "./context.ts";

/** Where gits of other people may be at work on a repository: in it, and in each of its working trees. */
export function placesOf({ repository, worktrees }: Pick<Snapshot, "repository" | "worktrees">): string[] {
  return [repository.commonDir, ...worktrees.map(({ path }) => path)];
}

/**
 * Removes the lock files that the git processes of dead runs may have left in a repository, in its checkouts, and, when its remote is a
 * directory on this host, there: a push to it runs the other side too. `intents` are the landings they left open. A Trouble when a lock
 * is in the way and not proved to be one of those.
 */
export async function clearLocks(
  app: App,
  place: Workplace,
  intents: readonly Intent[],
  dead: ReadonlySet<string>,
): Promise<Trouble | null> {
  const { snapshot } = place;
  const { commonDir } = snapshot.repository;
  const places = placesOf(snapshot);
  const since = Math.min(...[...dead].map(decodeTime));
  const owed = (await debts(app.queue, null)).filter(({ repository }) => repository === commonDir);
  const targets = new Set([...owed, ...intents].map(({ target }) => target));
  const { remote: remoteName } = app.config.push;
  const tracked = [...targets].map((target) => `refs/remotes/${remoteName}/${shortName(target)}`);
  let why = removeStaleLocks([...locksOnOwnRefs(commonDir), ...locksOfRefs(commonDir, tracked)], since, places);
  for (const intent of intents) {
    const heads = intent.landed.flatMap((landed) => landed.heads.flatMap(({ branch }) => branch ?? []));
    const trees = snapshot.worktrees.filter(({ path, branch }) => path === intent.checkout || branch === intent.target);
    const locks = [
      ...locksOfRefs(commonDir, [intent.target, ...heads]),
      ...trees.flatMap(({ gitDir }) => locksOfCheckout(gitDir)),
    ];
    why ??= removeStaleLocks(locks, intent.createdAt, places);
  }
  for (const target of targets) why ??= await clearRemoteLocks(app, place, target, since);
  return why === null ? null : held("repository_busy", `an earlier run was killed here, and ${why}.`);
}

/** The same for a remote on this host: the locks of a push of `target` and the tags that are owed, none older than `since`. */
export async function clearRemoteLocks(
  app: App,
  place: Workplace,
  target: string,
  since: number,
): Promise<string | null> {
  const remote = remoteOf(place.snapshot, app.config.push.remote);
  const { commonDir } = place.snapshot.repository;
  const tags = (await owedTags(app.queue, commonDir, target)).map((tag) => `refs/tags/${tag}`);
  for (const url of remote?.pushUrls ?? []) {
    const there = localRepository(url);
    if (there === null) continue;
    const locks = [...locksOfRefs(there.commonDir, [target, ...tags]), ...locksOfCheckout(there.commonDir)];
    const why = removeStaleLocks(locks, since, [there.commonDir, ...(there.topLevel === null ? [] : [there.topLevel])]);
    if (why !== null) return why;
  }
  return null;
}
