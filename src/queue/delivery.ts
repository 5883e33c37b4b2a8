import type { Row } from "@libsql/client";
import { projectName } from "../core/describe.ts";
import { channelNames, eventNames, type Happening, wantsApproval } from "../core/notify.ts";
import type { RuleSubject } from "../core/rules.ts";
import { isPending } from "./conditions.ts";
import type { Queue } from "./database.ts";
import { integer, requiredInteger, requiredText, selectColumns, text } from "./rows.ts";

/** The outbox, from the side of who delivers. Times are unix milliseconds. */

/** One row in hand. */
export type Delivery = {
  readonly outboxId: number;
  readonly channel: (typeof channelNames)[number];
  /** How often it was taken in hand, this time included. */
  readonly attempts: number;
  readonly happening: Happening;
  /** What the rules look at; null where it is about no one project, or the queue has it no more. */
  readonly subject: Omit<RuleSubject, "types"> | null;
  /** False for what was to be told once it lasted, and is over. */
  readonly lasts: boolean;
};

/** What became of one: sent, to be tried again, given up; or dropped, for it is over or nobody wants to hear of it. */
export type Verdict =
  | { readonly outboxId: number; readonly did: "sent" | "over" | "unwanted" }
  | { readonly outboxId: number; readonly did: "later"; readonly error: string; readonly nextAt: number }
  | { readonly outboxId: number; readonly did: "given up"; readonly error: string };

/** A row in hand belongs to this run for so long; whoever finds it after that takes it for left by a run that was killed. */
const handMs = 60_000;
/** What is over stays so long, that the same happening is not told again. */
const keepMs = 30 * 86_400_000;

/** Whether anything is to be told now. One look into an index. */
export async function isAnyDue(queue: Queue, now: number): Promise<boolean> {
  return (await queue.read("SELECT 1 FROM merge_outbox WHERE next_at <= ? LIMIT 1", [now])).length > 0;
}

/** Takes in hand what is due, at most `most`, oldest first, and reads what has become of it since it was written. */
export async function takeDue(queue: Queue, now: number, most: number): Promise<Delivery[]> {
  const rows = await queue.write(async (tx) => {
    const due = await tx.all("SELECT * FROM merge_outbox WHERE next_at <= ? ORDER BY next_at, outbox_id LIMIT ?", [
      now,
      most,
    ]);
    const ids = JSON.stringify(due.map((row) => requiredInteger(row, "outbox_id")));
    await tx.run(
      "UPDATE merge_outbox SET attempts = attempts + 1, next_at = ? WHERE outbox_id IN (SELECT value FROM json_each(?))",
      [now + handMs, ids],
    );
    return due;
  });
  const numbers = rows.flatMap((row) => integer(row, "project_id") ?? []);
  const projects = await readProjects(queue, numbers);
  const pushes = rows.filter((row) => text(row, "event") === "push");
  const owed = await readOwed(queue, pushes.map(firstOwed));
  return rows.flatMap((row): Delivery[] => {
    const channel = channelNames.find((name) => name === text(row, "channel"));
    const event = eventNames.find((name) => name === text(row, "event"));
    if (channel === undefined || event === undefined) return [];
    // Written by outbox.ts: a Happening without its id and event.
    const written: Omit<Happening, "id" | "event"> = JSON.parse(requiredText(row, "payload_json"));
    const id = requiredText(row, "dedupe_key");
    const project = projects.get(integer(row, "project_id") ?? -1) ?? null;
    const standing = event === "push" ? (owed.get(firstOwed(row)) ?? null) : standingOf(id, event, project);
    return [
      {
        outboxId: requiredInteger(row, "outbox_id"),
        channel,
        attempts: requiredInteger(row, "attempts") + 1,
        happening: {
          ...written,
          ...standing,
          id,
          event,
          project: written.project === null ? null : { ...written.project, path: project?.path ?? null },
        },
        subject: project?.subject ?? null,
        lasts: standing !== null,
      },
    ];
  });
}

/** The attempt that has waited longest for a push: see postPush. */
const firstOwed = (row: Row): string => requiredText(row, "dedupe_key").slice("push:".length);

/** What is to be said of it now; null where it was a hold, and is over. */
function standingOf(id: string, event: string, project: Project | null): Partial<Happening> | null {
  if (event !== "held" && event !== "approval") return {};
  const held = project?.held ?? null;
  if (held === null) return null;
  const same = event === "held" ? id.endsWith(`:${held.since}`) : wantsApproval(held.reason, held.detail);
  return same ? { detail: held.detail } : null;
}

type Project = {
  readonly path: string | null;
  readonly subject: Omit<RuleSubject, "types">;
  /** how it is held; null when it is not */
  readonly held: { readonly reason: string | null; readonly detail: string | null; readonly since: number } | null;
};

async function readProjects(queue: Queue, ids: readonly number[]): Promise<Map<number, Project>> {
  if (ids.length === 0) return new Map();
  const rows = await queue.read(
    `SELECT ${selectColumns(queue.columns, "q", ["id", "spec_path", "project_path", "priority"])}, p.state, p.reason, p.detail, p.since,
       ${isPending} AS waits,
       (SELECT json_group_array(t.tag) FROM merge_project_tag AS t WHERE t.project_id = q.id) AS tags
     FROM project_queue AS q LEFT JOIN merge_project AS p ON p.project_id = q.id
     WHERE q.id IN (SELECT value FROM json_each(?))`,
    [JSON.stringify(ids)],
  );
  return new Map(
    rows.map((row) => {
      const id = requiredInteger(row, "id");
      const [path, spec] = [text(row, "project_path"), text(row, "spec_path")];
      const since = integer(row, "since");
      const isHeld = text(row, "state") === "held" && integer(row, "waits") === 1 && since !== null;
      const tags: unknown = JSON.parse(text(row, "tags") ?? "[]");
      return [
        id,
        {
          path,
          subject: {
            name: projectName(id, spec),
            path: path ?? "",
            spec: spec ?? "",
            tags: Array.isArray(tags) ? tags.map(String) : [],
            priority: integer(row, "priority") ?? 0,
          },
          held: isHeld ? { reason: text(row, "reason"), detail: text(row, "detail"), since } : null,
        },
      ];
    }),
  );
}

/** What is owed now where these attempts, the first that had to wait, still do. */
async function readOwed(
  queue: Queue,
  attempts: readonly string[],
): Promise<Map<string, { reason: string; detail: string | null }>> {
  if (attempts.length === 0) return new Map();
  const rows = await queue.read(
    `SELECT a.attempt_id, u.state, u.detail FROM merge_attempt AS a
       JOIN merge_push AS u ON u.repository = a.repository AND u.target = a.target
     WHERE a.attempt_id IN (SELECT value FROM json_each(?)) AND a.push IN ('pending','withheld','refused') AND u.state <> 'pushed'`,
    [JSON.stringify(attempts)],
  );
  return new Map(
    rows.map((row) => [
      requiredText(row, "attempt_id"),
      { reason: requiredText(row, "state"), detail: text(row, "detail") },
    ]),
  );
}

/** Writes down what became of the rows in hand, and removes what was over long ago. */
export async function settleDeliveries(queue: Queue, verdicts: readonly Verdict[], now: number): Promise<void> {
  await queue.write(async (tx) => {
    for (const verdict of verdicts) {
      if (verdict.did === "over") {
        await tx.run("DELETE FROM merge_outbox WHERE outbox_id = ?", [verdict.outboxId]);
        continue;
      }
      await tx.run("UPDATE merge_outbox SET next_at = ?, sent_at = ?, last_error = ? WHERE outbox_id = ?", [
        verdict.did === "later" ? verdict.nextAt : null,
        verdict.did === "sent" ? now : null,
        "error" in verdict ? verdict.error : null,
        verdict.outboxId,
      ]);
    }
    await tx.run(
      `DELETE FROM merge_outbox WHERE outbox_id IN (SELECT outbox_id FROM merge_outbox ORDER BY outbox_id LIMIT 1000)
         AND next_at IS NULL AND created_at < ?`,
      [now - keepMs],
    );
  });
}

/** One row that is not delivered yet, or was given up. */
export type Undelivered = {
  readonly id: string;
  readonly channel: string;
  readonly event: string;
  readonly project: { readonly id: number; readonly name: string } | null;
  readonly state: "waiting" | "given up";
  readonly attempts: number;
  /** when it happened */
  readonly at: number;
  readonly nextAt: number | null;
  readonly error: string | null;
};

/** What waits and what was given up, the newest first. What is told only once it lasts, and was never tried, is left out. */
export async function listUndelivered(queue: Queue, now: number, most: number): Promise<Undelivered[]> {
  const rows = await queue.read(
    `SELECT * FROM merge_outbox WHERE sent_at IS NULL AND (last_error IS NOT NULL OR next_at <= ?)
     ORDER BY outbox_id DESC LIMIT ?`,
    [now, most],
  );
  return rows.map(undelivered);
}

function undelivered(row: Row): Undelivered {
  const { project }: Pick<Happening, "project"> = JSON.parse(requiredText(row, "payload_json"));
  const nextAt = integer(row, "next_at");
  return {
    id: requiredText(row, "dedupe_key"),
    channel: requiredText(row, "channel"),
    event: requiredText(row, "event"),
    project: project === null ? null : { id: project.id, name: project.name },
    state: nextAt === null ? "given up" : "waiting",
    attempts: requiredInteger(row, "attempts"),
    at: requiredInteger(row, "created_at"),
    nextAt,
    error: text(row, "last_error"),
  };
}
