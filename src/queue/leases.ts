import type { Queue, Transaction } from "./database.ts";
import { integer, requiredInteger, requiredText, text } from "./rows.ts";

/** Who holds a repository: enough to tell a dead process from a live one, and one pid from the next owner of its number. */
export type Owner = {
  readonly runId: string;
  readonly host: string;
  readonly bootId: string;
  readonly pid: number;
  /** Start time of the process in clock ticks since boot (proc(5), /proc/<pid>/stat field 22). */
  readonly pidStart: string;
};

/** Proof that a repository is ours until `expiresAt`; whoever changes a repository demands one. */
export type Lease = { readonly repository: string; readonly runId: string; readonly fence: number };

/** `dead` is the run that was killed while it held the lease, if so: its processes and lock files may be left there. */
export type LeaseResult = { readonly lease: Lease; readonly dead: string | null } | { readonly heldBy: string };

/**
 * Takes the lease of a repository, or says who has it. A live owner is never robbed; one on this host that is proved dead is replaced
 * at once, one elsewhere when its lease has run out. `isAlive` judges an owner of this host and boot. Times in unix milliseconds.
 */
export async function takeLease(
  queue: Queue,
  repository: string,
  owner: Owner,
  times: { readonly now: number; readonly until: number },
  isAlive: (pid: number, pidStart: string) => boolean,
): Promise<LeaseResult> {
  return await queue.write(async (tx) => {
    const [row] = await tx.all("SELECT * FROM merge_lease WHERE repository = ?", [repository]);
    const holder = row === undefined ? null : text(row, "run_id");
    if (row !== undefined && holder !== null && holder !== owner.runId) {
      const host = text(row, "host");
      const pid = integer(row, "pid") ?? 0;
      const here = host === owner.host;
      const dead = here
        ? text(row, "boot_id") !== owner.bootId || !isAlive(pid, text(row, "pid_start") ?? "")
        : (integer(row, "expires_at") ?? 0) <= times.now;
      if (!dead) return { heldBy: here ? `process ${pid}` : `process ${pid} on ${host}` };
    }
    const fence = (row === undefined ? 0 : requiredInteger(row, "fence")) + 1;
    await tx.run(
      `INSERT INTO merge_lease (repository, fence, run_id, host, boot_id, pid, pid_start, expires_at) VALUES (?,?,?,?,?,?,?,?)
       ON CONFLICT (repository) DO UPDATE SET fence = excluded.fence, run_id = excluded.run_id, host = excluded.host,
         boot_id = excluded.boot_id, pid = excluded.pid, pid_start = excluded.pid_start, expires_at = excluded.expires_at`,
      [repository, fence, owner.runId, owner.host, owner.bootId, owner.pid, owner.pidStart, times.until],
    );
    return { lease: { repository, runId: owner.runId, fence }, dead: holder === owner.runId ? null : holder };
  });
}

/** The repositories that some run holds, or held when it was killed. */
export async function leasedRepositories(queue: Queue): Promise<string[]> {
  const rows = await queue.read("SELECT repository FROM merge_lease WHERE run_id IS NOT NULL ORDER BY repository");
  return rows.map((row) => requiredText(row, "repository"));
}

/** Gives leases back; their fence numbers stay. Does nothing for one that is no longer ours. */
export async function releaseLeases(queue: Queue, leases: readonly Lease[]): Promise<void> {
  if (leases.length === 0) return;
  await queue.write(async (tx) => {
    for (const { repository, fence } of leases) {
      await tx.run("UPDATE merge_lease SET run_id = NULL, expires_at = NULL WHERE repository = ? AND fence = ?", [
        repository,
        fence,
      ]);
    }
  });
}

/** Throws when the lease has passed to somebody else: a run that was frozen for too long must write nothing. */
export async function demandLease(tx: Transaction, lease: Lease): Promise<void> {
  const rows = await tx.all("SELECT 1 FROM merge_lease WHERE repository = ? AND fence = ? AND run_id = ?", [
    lease.repository,
    lease.fence,
    lease.runId,
  ]);
  if (rows.length === 0) throw new LeaseLost(lease.repository);
}

export class LeaseLost extends Error {
  constructor(repository: string) {
    super(`the lease of ${repository} was taken over by another run`);
    this.name = "LeaseLost";
  }
}
