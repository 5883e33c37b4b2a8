import type { GateRecord } from "../core/verdicts.ts";
import { withoutOurError } from "./conditions.ts";
import type { Queue, Transaction } from "./database.ts";
import { generationColumns, generationOf } from "./generation.ts";
import { demandLease, type Lease } from "./leases.ts";
import { type Outbox, postLanded } from "./outbox.ts";
import { type Debt, type PushState, writePush } from "./pushes.ts";
import { integer, requiredInteger, requiredText, selectColumns, text } from "./rows.ts";
import { gatesJson } from "./verdicts.ts";

/** The verbs of a landing's life in the database. Times are unix milliseconds. Every write here demands the lease. */

/** What one project's rows will say once its landing is a fact; the journal carries it, so that recovery can say it too. */
export type Landed = {
  readonly attemptId: string;
  readonly projectId: number;
  readonly name: string;
  readonly generation: string;
  /** What the row said when it was read. */
  readonly mergedStatus: string | null;
  readonly completedAt: number | null;
  readonly startedAt: number;
  readonly outcome: "merged" | "already_merged";
  readonly repository: string;
  readonly target: string | null;
  readonly base: string | null;
  readonly mergeCommit: string | null;
  readonly heads: ReadonlyArray<{ role: string; oid: string; worktree: string | null; branch: string | null }>;
  readonly backupRef: string | null;
  readonly tag: string | null;
  readonly warnings: readonly string[];
  /** What gates said of it; absent in the intents of older versions. */
  readonly gates?: readonly GateRecord[];
  /** How it came in; null is a merge, as in what earlier versions wrote. */
  readonly strategy: string | null;
};

/** One landing between its intent and its record. The refs of the same id are the other half of it. */
export type Intent = {
  readonly landingId: string;
  readonly runId: string;
  readonly createdAt: number;
  readonly repository: string;
  readonly target: string;
  readonly base: string;
  readonly tip: string;
  readonly checkout: string | null;
  readonly landed: readonly Landed[];
  readonly refs: LandingRefs;
  /** What is owed to a remote once it has landed: the first thing that the rows say of the push. */
  readonly push: { readonly state: PushState; readonly detail: string | null };
  /** Whether the repository's own filters took part in the checkout: recovery must compare by the same. */
  readonly trusted: boolean;
};

/** The refs that the second transaction makes. */
export type LandingRefs = {
  readonly backups: ReadonlyArray<{ ref: string; oid: string }>;
  /** With their content: nothing points at a tag before its ref is made, and a `git prune` may take it away. */
  readonly tags: ReadonlyArray<{ ref: string; oid: string; body: string }>;
  /** `before` is where the target stood before that head came in; what is not there was merged, and stood at its first parent. */
  readonly proofs: ReadonlyArray<{ ref: string; oid: string; before?: string }>;
};

/**
 * S0: says what is about to happen to a repository, before git is touched. Nothing is written when somebody has changed the row of one of
 * the projects since it was read: what they wrote wins. Gives the numbers of those; none when the intent stands.
 */
export async function intend(queue: Queue, lease: Lease, intent: Intent, now: number): Promise<number[]> {
  return await queue.write(async (tx) => {
    await demandLease(tx, lease);
    const overruled = await changedRows(tx, queue, intent.landed);
    if (overruled.length > 0) return overruled;
    await tx.run(
      `INSERT INTO merge_landing (landing_id, run_id, repository, fence, target, base, tip, checkout, plan_json, state, created_at)
       VALUES (?,?,?,?,?,?,?,?,?,'intended',?)`,
      [
        intent.landingId,
        lease.runId,
        intent.repository,
        lease.fence,
        intent.target,
        intent.base,
        intent.tip,
        intent.checkout,
        JSON.stringify({ landed: intent.landed, refs: intent.refs, push: intent.push, trusted: intent.trusted }),
        now,
      ],
    );
    return [];
  });
}

/** The projects of an open intent whose rows somebody has changed since they were read. Numbers. */
export async function overruled(queue: Queue, intent: Intent): Promise<number[]> {
  return await changedRows({ all: (sql, args) => queue.read(sql, args) }, queue, intent.landed);
}

/** Those of the projects whose rows are gone, or no longer say what they said when they were read. */
async function changedRows(tx: Pick<Transaction, "all">, queue: Queue, landed: readonly Landed[]): Promise<number[]> {
  const columns = selectColumns(queue.columns, "q", ["id", "status", "merged_status", ...generationColumns]);
  const ids = JSON.stringify(landed.map(({ projectId }) => projectId));
  const rows = await tx.all(
    `SELECT ${columns} FROM project_queue AS q WHERE q.id IN (SELECT value FROM json_each(?))`,
    [ids],
  );
  const same = new Set(
    landed
      .filter((one) =>
        rows.some(
          (row) =>
            integer(row, "id") === one.projectId &&
            text(row, "status")?.toLowerCase() === "completed" &&
            text(row, "merged_status") === one.mergedStatus &&
            generationOf(row) === one.generation,
        ),
      )
      .map(({ projectId }) => projectId),
  );
  return landed.map(({ projectId }) => projectId).filter((id) => !same.has(id));
}

/** D: git has shown the landing in the target; now the rows say so, and what is owed to the remote. */
export async function record(
  queue: Queue,
  lease: Lease,
  intent: Intent,
  now: number,
  outbox: Outbox | null,
): Promise<void> {
  await queue.write(async (tx) => {
    await demandLease(tx, lease);
    await tx.run("UPDATE merge_landing SET state = 'recorded', closed_at = ? WHERE landing_id = ?", [
      now,
      intent.landingId,
    ]);
    for (const landed of intent.landed) {
      await recordLanded(tx, lease.runId, landed, intent.landingId, intent.push.state, now);
      await postLanded(tx, outbox, landed, now);
    }
    const { state } = intent.push;
    if (state !== "none" && state !== "off") {
      await writePush(
        tx,
        intent.repository,
        intent.target,
        { state, detail: intent.push.detail, failures: 0, nextAt: null },
        now,
      );
    }
  });
}

/**
 * Work that was in the target already: recorded without a landing, but for rows that somebody has changed since they were read. `push`
 * says why the remote does not have it; null when it has.
 */
export async function recordAlready(
  queue: Queue,
  lease: Lease,
  landed: readonly Landed[],
  push: Pick<Debt, "state" | "detail"> | null,
  now: number,
  outbox: Outbox | null,
): Promise<void> {
  if (landed.length === 0) return;
  await queue.write(async (tx) => {
    await demandLease(tx, lease);
    const overruled = await changedRows(tx, queue, landed);
    for (const one of landed) {
      if (overruled.includes(one.projectId)) continue;
      await recordLanded(tx, lease.runId, one, null, push?.state ?? null, now);
      await postLanded(tx, outbox, one, now);
    }
    const target = landed[0]?.target ?? null;
    if (push !== null && target !== null) {
      await writePush(tx, lease.repository, target, { ...push, failures: 0, nextAt: null }, now);
    }
  });
}

/** Nothing came of an intent: git was left, or put back, as it was. */
export async function abandon(queue: Queue, lease: Lease, landingId: string, now: number): Promise<void> {
  await queue.write(async (tx) => {
    await demandLease(tx, lease);
    await tx.run("UPDATE merge_landing SET state = 'abandoned', closed_at = ? WHERE landing_id = ?", [now, landingId]);
  });
}

/** The intents of a repository that nobody has closed; of all repositories when none is named. */
export async function openIntents(queue: Queue, repository: string | null = null): Promise<Intent[]> {
  const rows = await queue.read(
    `SELECT * FROM merge_landing WHERE state = 'intended' ${repository === null ? "" : "AND repository = ?"} ORDER BY landing_id`,
    repository === null ? [] : [repository],
  );
  return rows.map((row) => {
    // Written by intend() above; what else stands there is a bug and throws.
    const { landed, refs, push, trusted = false } = JSON.parse(requiredText(row, "plan_json"));
    return {
      landingId: requiredText(row, "landing_id"),
      runId: requiredText(row, "run_id"),
      createdAt: requiredInteger(row, "created_at"),
      repository: requiredText(row, "repository"),
      target: requiredText(row, "target"),
      base: requiredText(row, "base"),
      tip: requiredText(row, "tip"),
      checkout: text(row, "checkout"),
      landed,
      refs,
      push,
      trusted,
    };
  });
}

async function recordLanded(
  tx: Transaction,
  runId: string,
  landed: Landed,
  landingId: string | null,
  push: PushState | null,
  now: number,
): Promise<void> {
  await tx.run(
    `UPDATE project_queue SET merged_status = 'merged', merged_at = ?,
       error_message = ${withoutOurError} WHERE id = ?`,
    [Math.floor(now / 1000), landed.projectId],
  );
  await tx.run(
    `INSERT INTO merge_project (project_id, generation, recorded_status, state, since, attempt_id) VALUES (?,?,'merged','merged',?,?)
     ON CONFLICT (project_id) DO UPDATE SET generation = excluded.generation, recorded_status = 'merged', state = 'merged', reason = NULL,
       detail = NULL, since = excluded.since, judged_on = NULL, failures = 0, next_attempt_at = NULL, roles_json = NULL,
       attempt_id = excluded.attempt_id`,
    [landed.projectId, landed.generation, now, landed.attemptId],
  );
  await tx.run(
    `INSERT INTO merge_attempt (attempt_id, project_id, name, run_id, landing_id, started_at, finished_at, completed_at, outcome,
       repository, target, base, merge_commit, heads_json, backup_ref, tag, push, warnings_json, gates_json, strategy)
     VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
     ON CONFLICT (attempt_id) DO UPDATE SET run_id = excluded.run_id, landing_id = excluded.landing_id,
       finished_at = excluded.finished_at, completed_at = excluded.completed_at, outcome = excluded.outcome, reason = NULL, detail = NULL,
       repository = excluded.repository, target = excluded.target, base = excluded.base, merge_commit = excluded.merge_commit,
       heads_json = excluded.heads_json, backup_ref = excluded.backup_ref, tag = excluded.tag, push = excluded.push,
       warnings_json = excluded.warnings_json, gates_json = excluded.gates_json, strategy = excluded.strategy
       WHERE merge_attempt.outcome IS NOT 'merged'`,
    // An attempt that was written down as held, because its git was killed, lands after all when recovery finishes it.
    [
      landed.attemptId,
      landed.projectId,
      landed.name,
      runId,
      landingId,
      landed.startedAt,
      now,
      landed.completedAt,
      landed.outcome,
      landed.repository,
      landed.target,
      landed.base,
      landed.mergeCommit,
      JSON.stringify(landed.heads),
      landed.backupRef,
      landed.tag,
      push,
      JSON.stringify(landed.warnings),
      gatesJson(landed.gates ?? []),
      landed.strategy ?? null,
    ],
  );
}
