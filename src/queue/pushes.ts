import type { Queue, Transaction } from "./database.ts";
import { demandLease, type Lease } from "./leases.ts";
import { type Outbox, postPush } from "./outbox.ts";
import { integer, requiredText, text } from "./rows.ts";

/** The life of a push after its landing. Times are unix milliseconds. */

export type PushState = "none" | "pushed" | "pending" | "withheld" | "refused" | "off";

/** What is owed to one target's remote. */
export type Debt = {
  readonly repository: string;
  readonly target: string;
  readonly state: PushState;
  readonly detail: string | null;
  readonly failures: number;
  readonly nextAt: number | null;
};

/** Every push that is owed, the oldest first; with `only`, those that one of these projects waits for. */
export async function debts(queue: Queue, only: ReadonlySet<number> | null): Promise<Debt[]> {
  const theirs = `AND EXISTS (SELECT 1 FROM merge_attempt AS a WHERE a.repository = p.repository AND a.target = p.target
    AND a.push IN ('pending','withheld','refused') AND a.project_id IN (SELECT value FROM json_each(?)))`;
  const rows = await queue.read(
    `SELECT * FROM merge_push AS p WHERE state <> 'pushed' ${only === null ? "" : theirs} ORDER BY changed_at`,
    only === null ? [] : [JSON.stringify([...only])],
  );
  return rows.map((row) => ({
    repository: requiredText(row, "repository"),
    target: requiredText(row, "target"),
    state: pushState(requiredText(row, "state")),
    detail: text(row, "detail"),
    failures: integer(row, "failures") ?? 0,
    nextAt: integer(row, "next_at"),
  }));
}

/** The short names of our tags on this target that the remote does not have yet, each with the attempt it belongs to. */
export async function owedTags(queue: Queue, repository: string, target: string): Promise<string[]> {
  const rows = await queue.read(
    `SELECT DISTINCT tag FROM merge_attempt
     WHERE repository = ? AND target = ? AND push IN ('pending','withheld','refused') AND tag IS NOT NULL ORDER BY tag`,
    [repository, target],
  );
  return rows.map((row) => requiredText(row, "tag"));
}

/** What the last push came to: the debt of the target, and the same word, with all that a failing git said, in every attempt that waited. */
export async function recordPush(
  queue: Queue,
  lease: Lease,
  debt: Debt,
  now: number,
  outbox: Outbox | null,
  output: string | null = null,
): Promise<void> {
  await queue.write(async (tx) => {
    await demandLease(tx, lease);
    // Where there is no remote any more there is no debt either.
    if (debt.state === "none") {
      await tx.run("DELETE FROM merge_push WHERE repository = ? AND target = ?", [debt.repository, debt.target]);
    } else await writePush(tx, debt.repository, debt.target, debt, now);
    await tx.run(
      `UPDATE merge_attempt SET push = ?, output = coalesce(?, output)
       WHERE repository = ? AND target = ? AND push IN ('pending','withheld','refused')`,
      [debt.state, output, debt.repository, debt.target],
    );
    await postPush(tx, outbox, debt);
  });
}

/** One target's debt, as part of a transaction. */
export async function writePush(
  tx: Transaction,
  repository: string,
  target: string,
  push: Pick<Debt, "state" | "detail" | "failures" | "nextAt">,
  now: number,
): Promise<void> {
  await tx.run(
    `INSERT INTO merge_push (repository, target, state, detail, failures, next_at, changed_at) VALUES (?,?,?,?,?,?,?)
     ON CONFLICT (repository, target) DO UPDATE SET state = excluded.state, detail = excluded.detail, failures = excluded.failures,
       next_at = excluded.next_at, changed_at = excluded.changed_at`,
    [repository, target, push.state, push.detail, push.failures, push.nextAt, now],
  );
}

function pushState(word: string): PushState {
  switch (word) {
    case "none":
    case "pushed":
    case "pending":
    case "withheld":
    case "refused":
    case "off":
      return word;
    default:
      throw new Error(`unknown push state ${word}`);
  }
}
