import { tmpdir } from "node:os";
import { ulid } from "ulid";
import type { Config } from "../host/config.ts";
import { readMergedRows } from "../queue/audit.ts";
import type { Queue } from "../queue/database.ts";
import type { Unproved, Wrong } from "./audit/finding.ts";
import { auditRepository, type Claim } from "./audit/repository.ts";

/** What an audit came to. A row with something wrong is not counted as unproved too, though what could not be proved of it is listed. */
export type Audit = {
  /** Unix milliseconds; null when all rows were looked at. */
  readonly since: number | null;
  readonly checked: number;
  readonly proved: number;
  readonly notProvable: number;
  readonly untrue: number;
  readonly unproved: readonly (Unproved & Who)[];
  readonly wrong: readonly (Wrong & Who)[];
};

type Who = { readonly id: number; readonly name: string };

/** The world around an audit, as the command line has it. */
export type AuditWorld = {
  readonly queue: Queue;
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Where the queue is, for the commands that are recommended: ` --db X`, or nothing. */
  readonly options: string;
  /** Unix milliseconds. */
  readonly now: number;
};

/**
 * Proves from git alone, for every row that says merged, that it is: inside the target, exactly once, with nothing dropped, not reverted
 * since, its refs in place, on the remote if it was pushed. Only reads: neither a row nor a ref nor an object of a repository changes.
 * `since` limits it to what was merged from then on (unix milliseconds).
 */
export async function audit(world: AuditWorld, since: number | null): Promise<Audit> {
  const { queue, config, now } = world;
  const app = {
    config,
    git: {
      env: world.env,
      runId: ulid(now),
      timeoutMs: config.run.mergeTimeoutMs,
      signal: world.signal,
      cwd: tmpdir(),
      count: { processes: 0 },
    },
  };
  const rows = await readMergedRows(queue, since);
  const claims = rows.flatMap((row): Claim[] => (row.landing === null ? [] : [{ row, landing: row.landing }]));
  const found: (Pick<Audit, "wrong" | "unproved"> & Who)[] = rows
    .filter(({ landing }) => landing === null)
    .map(({ id, name }) => ({ id, name, wrong: [], unproved: [{ id, name, ...notOurs }] }));
  const settings = { options: world.options, keptSince: now - config.backup.keepMs };
  for (const repository of new Set(claims.map(({ landing }) => landing.repository))) {
    const own = claims.filter(({ landing }) => landing.repository === repository);
    for (const [{ row }, { wrong, unproved }] of await auditRepository(app, repository, own, settings)) {
      const who = { id: row.id, name: row.name };
      found.push({
        ...who,
        wrong: wrong.map((one) => ({ ...who, ...one })),
        unproved: unproved.map((one) => ({ ...who, ...one })),
      });
    }
    // What git could not answer because it was told to end proves nothing.
    world.signal.throwIfAborted();
  }
  found.sort((a, b) => a.id - b.id);
  const untrue = found.filter(({ wrong }) => wrong.length > 0).length;
  const notProvable = found.filter(({ wrong, unproved }) => wrong.length === 0 && unproved.length > 0).length;
  return {
    since,
    checked: found.length,
    proved: found.length - untrue - notProvable,
    notProvable,
    untrue,
    unproved: found.flatMap(({ unproved }) => unproved),
    wrong: found.flatMap(({ wrong }) => wrong),
  };
}

const notOurs: Unproved = {
  what: "that it is merged",
  why: "not ours: cannot be proved (somebody else wrote it into the row)",
};
