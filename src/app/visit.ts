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
import { unreadable } from "./trouble.ts";

/** A repository in hand: leased (never in a dry run), recovered, read, with a scratch beside it. */
export type Visit = {
  readonly repository: Repository;
  readonly place: Workplace;
  /** Null in a dry run: nothing may be written. */
  readonly lease: Lease | null;
  readonly recovered: readonly Recovered[];
};

export type Visits = {
  /**
   * The visit of this repository, begun now if it is the first time; a Trouble when it cannot be worked on. `trusted` is left out by
   * who comes to recover or to push; the first who comes to land decides.
   */
  to(repository: Repository, trusted?: boolean): Promise<Visit | Trouble>;
  /** The same repository read again, after something moved in it. */
  refresh(visit: Visit): Promise<Visit | Trouble>;
  all(): readonly Visit[];
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
  const unasked = new Set<string>();

  async function begin(repository: Repository, trusted: boolean): Promise<Visit | Trouble> {
    let lease: Lease | null = null;
    const dead = new Set<string>();
    if (!app.dryRun) {
      const times = { now: app.now(), until: given.until };
      const result = await takeLease(app.queue, repository.commonDir, owner, times, isAlive);
      if ("heldBy" in result) return held("repository_leased", `another run has it in hand (${result.heldBy}).`);
      lease = result.lease;
      if (result.dead !== null) dead.add(result.dead);
    }
    // Read under the lease: what another run had in hand a moment ago may be done by now.
    const left = lease === null ? [] : await openIntents(app.queue, repository.commonDir);
    for (const intent of left) dead.add(intent.runId);
    const [orphan] = await endOrphans(dead);
    if (orphan !== undefined) {
      if (lease !== null) await releaseLeases(app.queue, [lease]);
      return held("repository_busy", `process ${orphan}, which a killed run has left, does not end.`);
    }
    const recovering = left.some((intent) => intent.trusted);
    const place = await openWorkplace(app, repository, given.declaredBranches, trusted || recovering);
    if ("transcript" in place) {
      if (lease !== null) await releaseLeases(app.queue, [lease]);
      return unreadable(repository.topLevel ?? repository.commonDir, place);
    }
    if (place.snapshot.refStorage !== "files") {
      await close({ repository, place, lease, recovered: [] });
      return failed(
        "not_a_repository",
        `${visible(repository.topLevel ?? repository.commonDir)} keeps its refs in the ${visible(place.snapshot.refStorage)} format, which this version does not read: git refs migrate --ref-format=files.`,
      );
    }
    if (dead.size === 0 || lease === null) return { repository, place, lease, recovered: [] };
    app.progress(`recovering ${repository.topLevel ?? repository.commonDir}`);
    const deaf = { ...app, git: uninterrupted(app.git) };
    const recovered = (await clearLocks(app, place, left, dead)) ?? (await recover(deaf, place, lease, left));
    if (isTrouble(recovered)) {
      await close({ repository, place, lease, recovered: [] });
      return recovered;
    }
    return await reread({ repository, place, lease, recovered }, trusted); // the plan starts from what recovery left
  }

  async function reread(visit: Visit, trusted = visit.place.trusted): Promise<Visit | Trouble> {
    const { repository } = visit;
    await closeWorkplace(visit.place);
    const place = await openWorkplace(app, repository, given.declaredBranches, trusted);
    if (!("transcript" in place)) return { ...visit, place };
    if (visit.lease !== null) await releaseLeases(app.queue, [visit.lease]);
    return unreadable(repository.topLevel ?? repository.commonDir, place);
  }

  async function close(...over: readonly Visit[]): Promise<void> {
    await Promise.all(over.map(({ place }) => closeWorkplace(place)));
    await releaseLeases(
      app.queue,
      over.flatMap(({ lease }) => lease ?? []),
    );
  }

  const all = () => [...visits.values()].filter((visit): visit is Visit => !isTrouble(visit));

  async function reach(repository: Repository, trusted: boolean | undefined): Promise<Visit | Trouble> {
    const { commonDir } = repository;
    const known = visits.get(commonDir);
    if (known === undefined && trusted === undefined) unasked.add(commonDir);
    const first = trusted !== undefined && unasked.delete(commonDir);
    if (known !== undefined && (isTrouble(known) || !first || !trusted)) return known;
    const visit = known === undefined ? await begin(repository, trusted ?? false) : await reread(known, true);
    visits.set(commonDir, visit);
    return visit;
  }

  const reached = new Map<string, Promise<Visit | Trouble>>();

  return {
    all,
    async to(repository, trusted) {
      const { commonDir } = repository;
      // Of several who come at once the first takes the lease; the others are given the same visit.
      const before = reached.get(commonDir) ?? Promise.resolve(null);
      const mine = before.catch(() => null).then(() => reach(repository, trusted));
      reached.set(commonDir, mine);
      return await mine;
    },
    async refresh(visit) {
      const current = visits.get(visit.repository.commonDir);
      const again =
        current === undefined || isTrouble(current)
          ? held("repository_busy", "the visit is over.")
          : await reread(current);
      visits.set(visit.repository.commonDir, again);
      return again;
    },
    async end() {
      await close(...all());
      visits.clear();
    },
  };
}

async function openWorkplace(
  app: App,
  repository: Repository,
  declaredBranches: ReadonlySet<string>,
  trusted: boolean,
): Promise<Workplace | GitResult> {
  const snapshot = await readSnapshot(app.git, repository);
  if ("transcript" in snapshot) return snapshot;
  const scratch = makeScratch(snapshot, trusted);
  return {
    snapshot,
    scratch,
    trusted,
    refs: openRefs(
      uninterrupted(app.git),
      { gitDir: join(scratch.gitDir, "refs-of"), commonDir: repository.commonDir, places: placesOf(snapshot) },
      "orchestrator-merge",
    ),
    declaredBranches,
    borrowed: false,
  };
}

async function closeWorkplace(place: Workplace): Promise<void> {
  await place.refs.end();
  removeScratch(place.scratch);
}
