import type { Queue, Transaction } from "./database.ts";
import type { Owner } from "./leases.ts";
import { type Overridden, rememberOverridden } from "./overridden.ts";
import { requiredInteger, requiredText } from "./rows.ts";

/** What a tick leaves behind besides its projects. Times are unix milliseconds. */

/** A sweep that was done: when, under which key, and the rows whose merged_status turned out to be somebody else's. */
export type Housekeeping = {
  readonly swept: { readonly key: string; readonly overridden: readonly Overridden[] } | null;
};

/** merge_meta: when a tick last ended well, busy or idle. */
const lastTickKey = "last_tick";

/** How many runs are remembered. */
const kept = 1000;

/** A tick that found nothing to do: one row says when. */
export async function recordIdle(queue: Queue, now: number, housekeeping: Housekeeping): Promise<void> {
  await queue.write(async (tx) => {
    await tidy(tx, now, housekeeping);
    await setMeta(tx, lastTickKey, now);
  });
}

/** A tick that has something to do begins. */
export async function beginRun(queue: Queue, owner: Owner, now: number, housekeeping: Housekeeping): Promise<void> {
  await queue.write(async (tx) => {
    await tidy(tx, now, housekeeping);
    await tx.run("INSERT INTO merge_run (run_id, host, pid, started_at) VALUES (?,?,?,?)", [
      owner.runId,
      owner.host,
      owner.pid,
      now,
    ]);
    await tx.run(
      "DELETE FROM merge_run WHERE run_id IN (SELECT run_id FROM merge_run ORDER BY run_id DESC LIMIT -1 OFFSET ?)",
      [kept],
    );
  });
}

/** The newest run without an end, unless somebody is told of its death already; it may still be at work. */
export async function untoldRun(queue: Queue): Promise<{ runId: string; host: string; pid: number } | null> {
  const [row] = await queue.read(
    `SELECT run_id, host, pid FROM merge_run WHERE finished_at IS NULL
       AND NOT EXISTS (SELECT 1 FROM merge_outbox AS o WHERE o.dedupe_key = 'died:' || run_id) ORDER BY run_id DESC LIMIT 1`,
  );
  if (row === undefined) return null;
  return { runId: requiredText(row, "run_id"), host: requiredText(row, "host"), pid: requiredInteger(row, "pid") };
}

/** It ended; one that has no end was killed. */
export async function endRun(
  queue: Queue,
  runId: string,
  totals: { readonly finishedAt: number; readonly merged: number; readonly failed: number; readonly held: number },
): Promise<void> {
  await queue.write(async (tx) => {
    await tx.run("UPDATE merge_run SET finished_at = ?, merged = ?, failed = ?, held = ? WHERE run_id = ?", [
      totals.finishedAt,
      totals.merged,
      totals.failed,
      totals.held,
      runId,
    ]);
    await setMeta(tx, lastTickKey, totals.finishedAt);
  });
}

async function tidy(tx: Transaction, now: number, { swept }: Housekeeping): Promise<void> {
  if (swept === null) return;
  await setMeta(tx, swept.key, now);
  await rememberOverridden(tx, swept.overridden, now);
}

async function setMeta(tx: Transaction, key: string, value: number): Promise<void> {
  await tx.run(
    "INSERT INTO merge_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    [key, String(value)],
  );
}
