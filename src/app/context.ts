import { withoutLocalDrivers } from "../git/drivers.ts";
import type { GitContext } from "../git/process.ts";
import type { RefSession } from "../git/refs.ts";
import type { listRemote } from "../git/remote.ts";
import type { Scratch } from "../git/scratch.ts";
import type { Snapshot } from "../git/snapshot.ts";
import type { Config } from "../host/config.ts";
import type { Log } from "../host/log.ts";
import type { Queue } from "../queue/database.ts";
import type { Outbox } from "../queue/outbox.ts";

/** What a tick works with. Time and randomness come in here and nowhere else. */
export type App = {
  readonly queue: Queue;
  readonly git: GitContext;
  readonly config: Config;
  readonly log: Log;
  /** what the transactions of the tick put down to be told of; null: nobody is to be told of anything */
  readonly outbox: Outbox | null;
  readonly runId: string;
  readonly dryRun: boolean;
  /** When this run began and when it begins nothing new any more, unix milliseconds; and how many gates it has begun. */
  readonly span: { readonly startedAt: number; readonly deadline: number; gates: number };
  /** Unix milliseconds. */
  now(): number;
  /** 0..1, for the jitter of backoffs. */
  random(): number;
  /** A new ULID. */
  newId(): string;
  /** Tells a person at a terminal, and systemd, what is in hand. */
  progress(step: string): void;
};

/** One repository while a tick works on it: what git said of it, and the scratch beside it. */
export type Workplace = {
  readonly snapshot: Snapshot;
  readonly scratch: Scratch;
  /** Transactions on the real refs: one process for all of a repository's, started when first used. */
  readonly refs: RefSession;
  /** A rule says that the filters and merge drivers of the repository's own configuration may run. */
  readonly trusted: boolean;
  /** Branches that people enqueued by hand: agents' branches by declaration. Full names. */
  readonly declaredBranches: ReadonlySet<string>;
  /** True once the scratch reads another repository's objects too (separate clones, a fetched remote). */
  borrowed: boolean;
  /** What the remote has been asked ahead of time; the first who wants to know takes it. */
  asked: ReturnType<typeof listRemote> | null;
};

/** The context for git processes that run in a checkout: the programs that the repository itself names only if a rule trusts it. */
export function inCheckout(context: GitContext, place: Workplace): GitContext {
  return place.trusted ? context : withoutLocalDrivers(context, place.snapshot.config);
}
