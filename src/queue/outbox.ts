import type { ChannelName, EventName, Happening } from "../core/notify.ts";
import { quietHolds, wantsApproval } from "../core/notify.ts";
import { shortName } from "../core/target.ts";
import type { Transaction } from "./database.ts";
import type { Landed } from "./journal.ts";
import type { Miss } from "./misses.ts";
import type { Debt } from "./pushes.ts";
import { integer, text } from "./rows.ts";

/*
 * What is to be told, put into the outbox by the transactions that make it true. Each is told once a channel: what is there already,
 * delivered or not, stays as it is. Times are unix milliseconds.
 */

/** What may go into the outbox at all; null where nobody is to be told of anything. */
export type Outbox = {
  readonly channels: readonly ChannelName[];
  /** what [notify] or some rule wants; whether for this project is asked when it is delivered */
  readonly events: ReadonlySet<EventName>;
  readonly heldAfterMs: number;
  readonly pushAfterMs: number;
};

/** Nothing known but what is given. */
const blank = {
  project: null,
  reason: null,
  detail: null,
  repository: null,
  target: null,
  mergeCommit: null,
  conflicts: [],
  runId: null,
};

async function post(
  tx: Transaction,
  outbox: Outbox,
  event: EventName,
  happening: Omit<Happening, "event">,
  nextAt: number,
): Promise<void> {
  const { id, ...payload } = happening;
  await tx.run(
    `INSERT INTO merge_outbox (dedupe_key, channel, event, project_id, payload_json, created_at, next_at)
     SELECT ?1, value, ?2, ?3, ?4, ?5, ?6 FROM json_each(?7) WHERE true ON CONFLICT (dedupe_key, channel) DO NOTHING`,
    [
      id,
      event,
      happening.project?.id ?? null,
      JSON.stringify(payload),
      happening.at,
      nextAt,
      JSON.stringify(outbox.channels),
    ],
  );
}

/** A project has landed, or was in the target already. */
export async function postLanded(tx: Transaction, outbox: Outbox | null, landed: Landed, now: number): Promise<void> {
  if (outbox === null || !outbox.events.has("merged")) return;
  const { attemptId, projectId, name, outcome, repository, target, mergeCommit } = landed;
  const happening = {
    ...blank,
    id: `merged:${attemptId}`,
    at: now,
    project: { id: projectId, name, path: null },
    reason: outcome === "already_merged" ? outcome : null,
    repository,
    target: target === null ? null : shortName(target),
    mergeCommit,
  };
  await post(tx, outbox, "merged", happening, now);
}

/**
 * A project failed, or is held. A failure that says what the last one said is no news; a hold is told once it has lasted, which whoever
 * delivers it looks at again.
 */
export async function postMiss(tx: Transaction, outbox: Outbox | null, miss: Miss, now: number): Promise<void> {
  if (outbox === null) return;
  const { projectId, name, reason, detail, attempt } = miss;
  const { events } = outbox;
  const happening = {
    ...blank,
    at: now,
    project: { id: projectId, name, path: null },
    reason,
    detail,
    repository: attempt?.repository ?? null,
    target: attempt?.target === undefined || attempt.target === null ? null : shortName(attempt.target),
    conflicts: attempt?.conflicts ?? [],
  };
  if (attempt !== null) {
    if (miss.outcome === "merge_failed" && miss.news && events.has("failed"))
      await post(tx, outbox, "failed", { ...happening, id: `failed:${attempt.attemptId}` }, now);
    if (miss.outcome === "held" && wantsApproval(reason, detail) && events.has("approval")) {
      // Of these commits: whatever else holds it meanwhile, it is asked for once.
      const id = `approval:${projectId}:${attempt.heads.map(({ oid }) => oid).join("+")}`;
      await post(tx, outbox, "approval", { ...happening, id, reason: "awaiting_approval" }, now);
    }
  }
  if (miss.outcome !== "held" || quietHolds.includes(reason) || !events.has("held")) return;
  const [row] = await tx.all("SELECT since FROM merge_project WHERE project_id = ? AND state = 'held'", [projectId]);
  const since = row === undefined ? null : integer(row, "since");
  if (since === null) return;
  await post(
    tx,
    outbox,
    "held",
    { ...happening, id: `held:${projectId}:${since}`, at: since },
    since + outbox.heldAfterMs,
  );
}

/** A push came to nothing: told once the oldest landing that waits for it has waited for so long. */
export async function postPush(tx: Transaction, outbox: Outbox | null, debt: Debt): Promise<void> {
  const { repository, target, state, detail } = debt;
  if (outbox === null || !outbox.events.has("push")) return;
  const [row] = await tx.all(
    `SELECT min(attempt_id) AS first, min(finished_at) AS since FROM merge_attempt
     WHERE repository = ? AND target = ? AND push IN ('pending','withheld','refused')`,
    [repository, target],
  );
  const [first, since] = row === undefined ? [null, null] : [text(row, "first"), integer(row, "since")];
  if (first === null || since === null) return;
  const happening = { ...blank, repository, target: shortName(target), reason: state, detail };
  await post(tx, outbox, "push", { ...happening, id: `push:${first}`, at: since }, since + outbox.pushAfterMs);
}

/** A run died. `detail`: what it left, and what became of that. */
export async function postDied(
  tx: Transaction,
  outbox: Outbox | null,
  died: {
    readonly id: string;
    readonly runId: string | null;
    readonly repository: string | null;
    readonly detail: string;
  },
  now: number,
): Promise<void> {
  if (outbox === null || !outbox.events.has("died")) return;
  const { id, ...known } = died;
  await post(tx, outbox, "died", { ...blank, ...known, id: `died:${id}`, at: now }, now);
}
