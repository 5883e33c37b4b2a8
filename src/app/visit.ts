import { join } from "node:path";
import { visible } from "../core/describe.ts";
import { failed, held, isTrouble, type Trouble } from "../core/reasons.ts";
import type { GitResult } from "../git/process.ts";
import { openRefs } from "../git/refs.ts";
import type { Repository } from "../git/repository.ts";
import { makeScratch, removeScratch } from "../git/scratch.ts";
import { readSnapshot } from "../git/snapshot.ts";
import { openIntents } from "../queue/journal.ts";
import { type Lease, type Owner, releaseLease, takeLease } from "../queue/leases.ts";
import type { App, Workplace } from "./context.ts";
import { endOrphans, type Recovered, recover } from "./recover.ts";
import { unreadable } from "./sources.ts";

/** A repository in hand: leased (never in a dry run), recovered, read, with a scratch beside it. */
export type Visit = {
  readonly repository: Repository;
  readonly place: Workplace;
  /** Null in a dry run: nothing may be written. */
  readonly lease: Lease | null;
  readonly recovered: readonly Recovered[];
};

export type Visits = {
  /** The visit of this repository, begun now if it is the first time; a Trouble when it cannot be worked on. */
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

  async function begin(repository: Repository, trusted: boolean): Promise<Visit | Trouble> {
    let lease: Lease | null = null;
    if (!app.dryRun) {
      const times = { now: app.now(), until: given.until };
      const result = await takeLease(app.queue, repository.commonDir, owner, times, isAlive);
      if ("heldBy" in result) return held("repository_leased", `another run has it in hand (${result.heldBy}).`);
      lease = result.lease;
    }
    // Read under the lease: what another run had in hand a moment ago may be done by now.
    const left = lease === null ? [] : await openIntents(app.queue, repository.commonDir);
    if (left.length > 0) await endOrphans(new Set(left.map((intent) => intent.runId)));
    const place = await openWorkplace(app, repository, given.declaredBranches, trusted);
    if ("transcript" in place) {
      if (lease !== null) await releaseLease(app.queue, lease);
      return unreadable(repository.topLevel ?? repository.commonDir, place);
    }
    if (place.snapshot.refStorage !== "files") {
      await close({ repository, place, lease, recovered: [] });
      return failed(
        "not_a_repository",
        `${visible(repository.topLevel ?? repository.commonDir)} keeps its refs in the ${visible(place.snapshot.refStorage)} format, which this version does not read: git refs migrate --ref-format=files.`,
      );
    }
    if (left.length === 0 || lease === null) return { repository, place, lease, recovered: [] };
    app.progress(`recovering ${repository.topLevel ?? repository.commonDir}`);
    const recovered = await recover(app, place, lease, left);
    if (isTrouble(recovered)) {
      await close({ repository, place, lease, recovered: [] });
      return recovered;
    }
    return await reread({ repository, place, lease, recovered }); // the plan starts from what recovery left
  }

  async function reread(visit: Visit): Promise<Visit | Trouble> {
    const { repository } = visit;
    await closeWorkplace(visit.place);
    const place = await openWorkplace(app, repository, given.declaredBranches, visit.place.trusted);
    if (!("transcript" in place)) return { ...visit, place };
    if (visit.lease !== null) await releaseLease(app.queue, visit.lease);
    return unreadable(repository.topLevel ?? repository.commonDir, place);
  }

  async function close(visit: Visit): Promise<void> {
    await closeWorkplace(visit.place);
    if (visit.lease !== null) await releaseLease(app.queue, visit.lease);
  }

  return {
    async to(repository, trusted = false) {
      const known = visits.get(repository.commonDir);
      if (known !== undefined) return known;
      const visit = await begin(repository, trusted);
      visits.set(repository.commonDir, visit);
      return visit;
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
    all: () => [...visits.values()].filter((visit): visit is Visit => !isTrouble(visit)),
    async end() {
      for (const visit of visits.values()) if (!isTrouble(visit)) await close(visit);
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
  // A transaction is never cut short by a signal: half a landing is worse than a second more.
  const uninterrupted = { ...app.git, signal: new AbortController().signal };
  return {
    snapshot,
    scratch,
    trusted,
    refs: openRefs(uninterrupted, join(scratch.gitDir, "refs-of"), repository.commonDir, "orchestrator-merge"),
    declaredBranches,
    borrowed: false,
  };
}

async function closeWorkplace(place: Workplace): Promise<void> {
  await place.refs.end();
  removeScratch(place.scratch);
}
