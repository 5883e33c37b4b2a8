import { count, visible } from "../core/describe.ts";
import { formatDuration } from "../core/durations.ts";
import { shortName } from "../core/target.ts";
import { revList } from "../git/ancestry.ts";
import { git } from "../git/process.ts";
import type { RefChange } from "../git/refs.ts";
import { landedPrefix } from "../git/snapshot.ts";
import { branchUnderRebase, listWorktrees } from "../git/worktrees.ts";
import {
  forgetBackups,
  type PastLanding,
  pastLandings,
  projectOfBackup,
  type RecordedRef,
} from "../queue/retention.ts";
import type { App, Workplace } from "./context.ts";
import type { Visit } from "./visit.ts";

/** Most refs that one tick removes from one repository; the rest goes with the ticks that follow. */
const mostRefs = 200;

/** A ref that has had its time, and what must hold before it goes. */
type Retiring = RecordedRef & { readonly target: string; readonly kind: "backup" | "proof" };

/**
 * Removes our own backup branches and proofs of landings that are older than `[backup] keep`: those alone that the journal says we made,
 * that stand where it says, that nobody uses, and whose commits the target contains. One transaction. Without an old landing it starts
 * no git process; whatever else git or the queue say, the refs stay for another time.
 */
export async function retire(app: App, visit: Visit): Promise<void> {
  const { place, lease } = visit;
  const refs = ownLooking(place);
  if (lease === null || refs.backups.length + refs.proofs.length === 0) return;
  const landings = await pastLandings(
    app.queue,
    lease.repository,
    {
      attemptsOrLandings: [...new Set(refs.proofs)],
      projects: [...new Set(refs.backups)],
    },
    app.now() - app.config.backup.keepMs,
  );
  if (landings.length === 0) return;
  const inUse = branchesInUse(place);
  const old = landings.flatMap((landing) => retiring(place, landing, inUse));
  if (old.length === 0) return;
  const targets = await contained(app, place, old);
  if (targets === null || targets.gone.length === 0) return;
  const changes: RefChange[] = [
    ...targets.stand.map(({ ref, oid }): RefChange => ({ verb: "verify", ref, from: oid })),
    ...targets.gone.map(({ ref, oid }): RefChange => ({ verb: "delete", ref, from: oid })),
  ];
  const failure = await place.refs.transact(changes);
  if (failure !== null) {
    app.log.debug(failure.transcript);
    return;
  }
  const backups = targets.gone.filter(({ kind }) => kind === "backup").map(({ ref }) => ref);
  if (backups.length > 0) await forgetBackups(app.queue, lease, backups);
  const proofs = targets.gone.length - backups.length;
  app.log.info(
    `Removed ${count(backups.length, "backup branch", "backup branches")} and ${count(proofs, "proof")} of landings older than ${formatDuration(app.config.backup.keepMs)} from ${visible(lease.repository)}`,
  );
}

/** What the names of the refs say: the projects of backup branches, the attempts or landings of proofs. Anybody can make such names. */
function ownLooking(place: Workplace): { backups: number[]; proofs: string[] } {
  const names = [...place.snapshot.refs.keys()];
  return {
    backups: names.flatMap((name) => projectOfBackup(name) ?? []),
    proofs: names.filter((name) => name.startsWith(landedPrefix)).map((name) => idOfProof(name)),
  };
}

/** `<attempt>` of `refs/orchestrator/landed/<attempt>` and `.../<attempt>.1`. */
const idOfProof = (ref: string): string => ref.slice(landedPrefix.length).replace(/\.\d+$/, "");

/** The refs of a landing that stand as they were made and that no state of a project needs any more. */
function retiring(place: Workplace, landing: PastLanding, inUse: ReadonlySet<string>): Retiring[] {
  const { target, attempts } = landing;
  const stands = ({ ref, oid }: RecordedRef) => place.snapshot.refs.get(ref)?.oid === oid;
  const isNeeded = (concerned: PastLanding["attempts"]) => concerned.some((one) => one.owed || one.rolledBack);
  const backups = landing.backups.filter(
    (made) => stands(made) && !inUse.has(made.ref) && !isNeeded(attempts.filter((one) => one.backupRef === made.ref)),
  );
  const proofs = landing.proofs.filter((made) => {
    const id = idOfProof(made.ref);
    // The proof of a merge with the remote belongs to the landing itself, and so to no project.
    if (id === landing.landingId) return stands(made) && !landing.owed;
    return stands(made) && !isNeeded(attempts.filter((one) => one.attemptId === id || one.mergeCommit === made.oid));
  });
  return [
    ...backups.map((ref) => ({ ...ref, target, kind: "backup" as const })),
    ...proofs.map((ref) => ({ ...ref, target, kind: "proof" as const })),
  ];
}

/** Branches that a person has made their own: checked out or under rebase (looked up now), or with settings of their own. Full names. */
function branchesInUse(place: Workplace): Set<string> {
  const { repository, bare, config } = place.snapshot;
  const trees = listWorktrees(repository, bare).flatMap((tree) => [tree.branch, branchUnderRebase(tree.gitDir)]);
  const settings = config.map(({ key }) => key.match(/^branch\.(.+)\.[^.]+$/s)?.[1]);
  return new Set([
    ...trees.filter((branch) => branch !== null),
    ...settings.filter((name) => name !== undefined).map((name) => `refs/heads/${name}`),
  ]);
}

/**
 * Those whose commit its target contains, at most `mostRefs`, and where those targets stand. A proof must be contained in what we know
 * of the remote's branch too: it tells our unpublished commits from other people's. Null when git cannot tell.
 */
async function contained(
  app: App,
  place: Workplace,
  old: readonly Retiring[],
): Promise<{ stand: RecordedRef[]; gone: Retiring[] } | null> {
  const gone: Retiring[] = [];
  const stand: RecordedRef[] = [];
  for (const target of new Set(old.map((one) => one.target))) {
    const tracking = `refs/remotes/${app.config.push.remote}/${shortName(target)}`;
    const tips = await readTips(app, place, [target, tracking]);
    const tip = tips?.get(target);
    if (tips === null) return null;
    if (tip === undefined) continue;
    const refs = old.filter((one) => one.target === target);
    const outside = await outsideOf(app, place, refs, tip);
    const published = tips.get(tracking) ?? tip;
    const unpublished = published === tip ? outside : await outsideOf(app, place, refs, published);
    if (outside === null || unpublished === null) return null;
    const some = refs
      .filter(({ oid, kind }) => !outside.has(oid) && (kind === "backup" || !unpublished.has(oid)))
      .slice(0, mostRefs - gone.length);
    if (some.length > 0) stand.push({ ref: target, oid: tip });
    gone.push(...some);
  }
  return { stand, gone };
}

/** Where these refs stand now: the snapshot is as old as the visit, and the target may have moved since. Null when git cannot tell. */
async function readTips(app: App, place: Workplace, refs: readonly string[]): Promise<Map<string, string> | null> {
  const result = await git(app.git, {
    gitDir: place.snapshot.repository.commonDir,
    args: ["for-each-ref", "--format=%(refname) %(objectname)", ...refs],
  });
  if (result.code !== 0) return null;
  const lines = result.stdout.toString().split("\n");
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const [name, oid] = line.split(" ");
      return name && oid ? [[name, oid]] : [];
    }),
  );
}

/** The commits of `refs` that `tip` does not contain, among others; null when git cannot tell. */
async function outsideOf(
  app: App,
  place: Workplace,
  refs: readonly RecordedRef[],
  tip: string,
): Promise<ReadonlySet<string> | null> {
  const found = await revList(app.git, place.scratch.gitDir, [], [...new Set(refs.map(({ oid }) => oid)), `^${tip}`]);
  return Array.isArray(found) ? new Set(found) : null;
}
