import { join } from "node:path";
import { visible } from "../core/describe.ts";
import { failed, held, isTrouble, type Trouble } from "../core/reasons.ts";
import { endOrphans } from "../git/orphans.ts";
import type { GitResult } from "../git/process.ts";
import { openRefs } from "../git/refs.ts";
import type { Repository } from "../git/repository.ts";
import { makeScratch, removeScratch } from "../git/scratch.ts";
import { readSnapshot } from "../git/snapshot.ts";
import { openIntents } from "../queue/journal.ts";
import { type Lease, type Owner, releaseLeases, takeLease } from "../queue/leases.ts";
import { clearLocks, placesOf } from "./clearLocks.ts";
import type { App, Workplace } from "./context.ts";
import { uninterrupted } from "./land.ts";
import { type Recovered, recover } from "./recover.ts";
import { adoptStranded } from "./stranded.ts";
import { unreadable } from "./trouble.ts";

/** A repository in hand: leased (never in a dry run), recovered, read, with a scratch beside it. */
export type Visit = {
  readonly repository: Repository;
  readonly place: Workplace;
  /** Null in a dry run: nothing may be written. */
  readonly lease: Lease | null;
  readonly recovered: readonly Recovered[];
  /** The runs that were killed in it, and of which something was left. */
  readonly dead: readonly string[];
};

export type Visits = {
  /**
   * The visit of this repository, begun now if it is the first time; a Trouble when it cannot be worked on. `trusted` visits share lease
   * and refs with the other kind, and have a scratch of their own, in which the repository's own filters and drivers may run.
   */
  to(repository: Repository, trusted?: boolean): Promise<Visit | Trouble>;
  /** The same visit with the repository read again, after something moved in it. */
  refresh(visit: Visit): Promise<Visit | Trouble>;
  /** One for each repository. */
  all(): readonly Visit[];
  /** Lets go of a repository that is not there any more, if a dead run held it. */
  forget(commonDir: string): Promise<void>;
  /** Gives all leases back and removes what was temporary. */
  end(): Promise<void>;
};

/**
 * The repositories of one tick. What dead runs have left in one is seen to before anything else is done in it. `until` is when the
 * leases run out, unix milliseconds.
 */
export function openVisits(
  app: App,
  owner: Owner,
  isAlive: (pid: number, pidStart: string) => boolean,
  given: {
    readonly declaredBranches: ReadonlySet<string>;
    readonly until: number;
  },
): Visits {
  const visits = new Map<string, Visit | Trouble>();
  const trusting = new Map<string, Visit>();

  async function begin(repository: Repository): Promise<Visit | Trouble> {
    let lease: Lease | null = null;
    const dead = new Set<string>();
    if (!app.dryRun) {
      const times = { now: app.now(), until: given.until };
      const result = await takeLease(app.queue, repository.commonDir, owner, times, isAlive);
      if ("heldBy" in result) return held("repository_leased", `another run has it in hand (${result.heldBy}).`);
      lease = result.lease;
      if (result.dead !== null) dead.add(result.dead);
    }
    try {
      return await look(repository, lease, dead);
    } catch (error) {
      await giveBack(lease, dead);
      throw error;
    }
  }

  /** A lease that a dead run held stays with us until all it left is seen to: when we are gone, the next run looks again. */
  async function giveBack(lease: Lease | null, dead: ReadonlySet<string>): Promise<void> {
    if (lease !== null && dead.size === 0) await releaseLeases(app.queue, [lease]);
  }

  async function look(repository: Repository, lease: Lease | null, dead: Set<string>): Promise<Visit | Trouble> {
    const leave = async (trouble: Trouble, place: Workplace | null = null) => {
      if (place !== null) await closeWorkplace(place);
      await giveBack(lease, dead);
      return trouble;
    };
    // Read under the lease: what another run had in hand a moment ago may be done by now.
    const left = lease === null ? [] : await openIntents(app.queue, repository.commonDir);
    for (const intent of left) dead.add(intent.runId);
    const [orphan] = await endOrphans(dead);
    if (orphan !== undefined) {
      return await leave(held("repository_busy", `process ${orphan}, which a killed run has left, does not end.`));
    }
    const place = await openWorkplace(app, repository, given.declaredBranches);
    if ("transcript" in place) return await leave(unreadable(repository.topLevel ?? repository.commonDir, place));
    const visit = { repository, place, lease, recovered: [], dead: [...dead] };
    if (place.snapshot.refStorage !== "files") {
      const format = visible(place.snapshot.refStorage);
      const said = `${visible(repository.topLevel ?? repository.commonDir)} keeps its refs in the ${format} format, which this version does not read: git refs migrate --ref-format=files.`;
      return await leave(failed("not_a_repository", said), place);
    }
    if (lease === null) return visit;
    const adopted = await adoptStranded(app, place, left);
    if (dead.size === 0 && !adopted) return visit;
    if (dead.size === 0) {
      const again = await reread(visit);
      return isTrouble(again) ? await leave(again, place) : again;
    }
    app.progress(`recovering ${repository.topLevel ?? repository.commonDir}`);
    const deaf = { ...app, git: uninterrupted(app.git) };
    try {
      const own = left.some((intent) => intent.trusted) ? trust(visit).place : place;
      const recovered = (await clearLocks(app, own, left, dead)) ?? (await recover(deaf, own, lease, left));
      // The plan starts from what recovery left.
      const read = isTrouble(recovered) ? recovered : await reread({ ...visit, recovered });
      if (!isTrouble(read)) return read;
      distrust(repository);
      return await leave(read, place);
    } catch (error) {
      distrust(repository);
      await closeWorkplace(place); // or its git would wait for more, and this process for it
      throw error;
    }
  }

  /** The same repository for those whose rule trusts it. */
  function trust(visit: Visit): Visit {
    const { commonDir } = visit.repository;
    const known = trusting.get(commonDir);
    if (known !== undefined) return known;
    const scratch = makeScratch(visit.place.snapshot, true);
    const made = { ...visit, place: { ...visit.place, scratch, trusted: true, borrowed: false, asked: null } };
    trusting.set(commonDir, made);
    return made;
  }

  function distrust({ commonDir }: Repository): void {
    const other = trusting.get(commonDir);
    if (other !== undefined) removeScratch(other.place.scratch);
    trusting.delete(commonDir);
  }

  /** Keeps the scratch: what the agents' clones and the remote have brought is still to land. */
  async function reread(visit: Visit): Promise<Visit | Trouble> {
    const { repository, place } = visit;
    const snapshot = await readSnapshot(app.git, repository);
    if ("transcript" in snapshot) return unreadable(repository.topLevel ?? repository.commonDir, snapshot);
    return { ...visit, place: { ...place, snapshot, asked: null } };
  }

  const all = () => [...visits.values()].filter((visit): visit is Visit => !isTrouble(visit));
  const reached = new Map<string, Promise<Visit | Trouble>>();

  return {
    all,
    async to(repository, trusted = false) {
      const { commonDir } = repository;
      // Of several who come at once the first takes the lease; the others are given the same visit.
      const first = reached.get(commonDir) ?? begin(repository);
      reached.set(commonDir, first);
      const begun = await first;
      const visit = visits.get(commonDir) ?? begun;
      visits.set(commonDir, visit);
      return trusted && !isTrouble(visit) ? trust(visit) : visit;
    },
    async refresh(visit) {
      const { commonDir } = visit.repository;
      const again = await reread(visit);
      if (isTrouble(again)) return again;
      if (again.place.trusted) trusting.set(commonDir, again);
      else visits.set(commonDir, again);
      return again;
    },
    async forget(commonDir) {
      const result = await takeLease(app.queue, commonDir, owner, { now: app.now(), until: given.until }, isAlive);
      if ("lease" in result) await releaseLeases(app.queue, [result.lease]);
    },
    async end() {
      // A scratch that cannot be removed goes with a later run (removeLeftScratches); the leases go back whatever happens.
      await Promise.allSettled([...all(), ...trusting.values()].map(({ place }) => closeWorkplace(place)));
      await releaseLeases(
        app.queue,
        all().flatMap(({ lease }) => lease ?? []),
      );
      visits.clear();
      trusting.clear();
    },
  };
}

async function openWorkplace(
  app: App,
  repository: Repository,
  declaredBranches: ReadonlySet<string>,
): Promise<Workplace | GitResult> {
  const snapshot = await readSnapshot(app.git, repository);
  if ("transcript" in snapshot) return snapshot;
  const scratch = makeScratch(snapshot, false);
  return {
    snapshot,
    scratch,
    trusted: false,
    refs: openRefs(
      uninterrupted(app.git),
      { gitDir: join(scratch.gitDir, "refs-of"), commonDir: repository.commonDir, places: placesOf(snapshot) },
      "orchestrator-merge",
    ),
    declaredBranches,
    borrowed: false,
    asked: null,
  };
}

async function closeWorkplace(place: Workplace): Promise<void> {
  await place.asked?.catch(() => null); // its git works in the scratch
  await place.refs.end();
  removeScratch(place.scratch);
}
