import { expect, test } from "vitest";
import { channelsOf, isWanted } from "../../src/core/notify.ts";
import { defaults } from "../../src/host/config.ts";
import { messagesOf } from "../../src/notify/message.ts";
import { openQueue, type Queue } from "../../src/queue/database.ts";
import { isAnyDue, settleDeliveries, takeDue } from "../../src/queue/delivery.ts";
import { type Miss, recordMisses } from "../../src/queue/misses.ts";
import type { Outbox } from "../../src/queue/outbox.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { now, queueDb, sql } from "../helpers/queueDb.ts";

/* What goes into the outbox and comes out of it, at moments that a test of the program would have to wait for. */

const outbox: Outbox = {
  channels: ["slack", "command"],
  events: new Set(["failed", "held", "approval"]),
  heldAfterMs: 3_600_000,
  pushAfterMs: 3_600_000,
};

async function withQueue(work: (queue: Queue, path: string) => Promise<void>): Promise<void> {
  const path = await queueDb(temporaryDirectory(), { rows: [{}, {}] });
  const queue = await openQueue({ location: path, mode: "write" });
  try {
    await work(queue, path);
  } finally {
    await queue.close();
  }
}

/** A miss of project 1; each call is news. */
async function miss(
  queue: Queue,
  reason: string,
  more: { detail?: string; head?: string; at?: number; outbox?: Outbox | null } = {},
) {
  const [row] = await queue.read("SELECT merged_status FROM project_queue WHERE id = 1");
  const { detail = "as it is.", head = "a", at = now } = more;
  const held: Miss = {
    projectId: 1,
    name: "project_1",
    generation: "g",
    mergedStatus: String(row?.["merged_status"]),
    outcome: "held",
    reason,
    detail,
    judgedOn: null,
    news: true,
    failures: 0,
    nextAttemptAt: null,
    roles: null,
    attempt: {
      attemptId: `A${at}${reason}${head}`,
      startedAt: at,
      repository: "/r",
      target: "refs/heads/main",
      conflicts: [],
      heads: [{ role: "developer", oid: head, worktree: null, branch: null }],
      output: null,
      gates: [],
    },
  };
  await recordMisses(queue, "run", [held], at, more.outbox === undefined ? outbox : more.outbox);
}

const keys = async (path: string) =>
  (await sql(path, "SELECT dedupe_key, channel FROM merge_outbox ORDER BY outbox_id")).map(
    (row) => `${row["channel"]} ${row["dedupe_key"]}`,
  );

test("an approval is wanted at once, by every channel, and once for the same commits", async () => {
  await withQueue(async (queue, path) => {
    await miss(queue, "awaiting_approval");
    const both = ["slack approval:1:a", "command approval:1:a"];
    expect(await keys(path)).toEqual(both);
    expect((await takeDue(queue, now, 10)).map(({ lasts, happening }) => [lasts, happening.reason])).toEqual([
      [true, "awaiting_approval"],
      [true, "awaiting_approval"],
    ]);
    await miss(queue, "awaiting_approval", { detail: "in other words.", at: now + 1 });
    await miss(queue, "outside_window", {
      detail: "closed. Also awaiting_approval: nobody has approved it.",
      at: now + 2,
    });
    expect(await keys(path)).toEqual(both);
    await miss(queue, "awaiting_approval", { head: "b", at: now + 3 });
    expect(await keys(path)).toEqual([...both, "slack approval:1:b", "command approval:1:b"]);
    await sql(path, "UPDATE project_queue SET merged_status = 'skipped' WHERE id = 1");
    const [one] = await takeDue(queue, now + 100, 10);
    expect(one).toMatchObject({ happening: { id: "approval:1:b", target: "main" }, lasts: false });
  });
});

test("a hold is told once it has lasted, from its beginning on, and again when it comes back", async () => {
  await withQueue(async (queue, path) => {
    for (const minutes of [0, 10, 20]) await miss(queue, "dirty_source", { at: now + minutes * 60_000 });
    expect(await keys(path)).toEqual([`slack held:1:${now}`, `command held:1:${now}`]);
    expect(await isAnyDue(queue, now + 3_599_999)).toBe(false);
    expect(await isAnyDue(queue, now + 3_600_000)).toBe(true);
    await miss(queue, "worktree_active", { at: now + 1_800_000 });
    const due = await takeDue(queue, now + 3_600_000, 10);
    expect(due.map(({ lasts }) => lasts)).toEqual([false, false]);
    await settleDeliveries(
      queue,
      due.map(({ outboxId }) => ({ outboxId, did: "over" })),
      now,
    );
    expect(await keys(path)).toEqual([`slack held:1:${now + 1_800_000}`, `command held:1:${now + 1_800_000}`]);
  });
});

test("what a rule holds back on purpose is not told, nor anything where nobody is to be told", async () => {
  await withQueue(async (queue, path) => {
    await miss(queue, "excluded");
    await miss(queue, "outside_window", { at: now + 1 });
    await miss(queue, "dirty_source", { at: now + 2, outbox: null });
    expect(await keys(path)).toEqual([]);
  });
});

test("what another run has in hand is not taken twice; what a killed run had in hand is, after a minute", async () => {
  await withQueue(async (queue) => {
    await miss(queue, "awaiting_approval");
    expect(await takeDue(queue, now, 10)).toHaveLength(2);
    expect(await takeDue(queue, now + 59_000, 10)).toEqual([]);
    expect((await takeDue(queue, now + 60_000, 10)).map(({ attempts }) => attempts)).toEqual([2, 2]);
  });
});

test("a look at the outbox costs one look into an index, however long the history is", async () => {
  await withQueue(async (queue) => {
    const [plan] = await queue.read("EXPLAIN QUERY PLAN SELECT 1 FROM merge_outbox WHERE next_at <= ? LIMIT 1", [now]);
    expect(plan?.["detail"]).toBe("SEARCH merge_outbox USING COVERING INDEX merge_outbox_due (next_at<?)");
  });
});

test("what was told is forgotten after a month, what waits is not", async () => {
  await withQueue(async (queue, path) => {
    await miss(queue, "awaiting_approval");
    const [first] = await takeDue(queue, now, 10);
    await settleDeliveries(queue, [{ outboxId: first?.outboxId ?? 0, did: "sent" }], now);
    await settleDeliveries(queue, [], now + 31 * 86_400_000);
    expect(await keys(path)).toEqual(["command approval:1:a"]);
  });
});

test("a rule's list of events stands in place of [notify] on", () => {
  const on = ["failed", "died"] as const;
  expect([isWanted("failed", on, null), isWanted("merged", on, null)]).toEqual([true, false]);
  expect([isWanted("failed", on, ["merged"]), isWanted("merged", on, ["merged"])]).toEqual([false, true]);
  expect(isWanted("failed", on, [])).toBe(false);
  expect(channelsOf({ ...defaults.notify, desktop: true, slack: { urlFile: "x" } })).toEqual(["slack", "desktop"]);
});

test("a digest has all for programs, and twenty for people", () => {
  const happenings = Array.from({ length: 30 }, (_, n) => ({
    id: `failed:${n}`,
    event: n < 3 ? ("merged" as const) : ("failed" as const),
    at: now,
    project: { id: n, name: `p${n}\n<b>`, path: null },
    reason: "conflict",
    detail: "x".repeat(2000),
    repository: null,
    target: "main",
    mergeCommit: null,
    conflicts: [],
    runId: null,
  }));
  expect(messagesOf(happenings.slice(0, 5), "h", now)).toHaveLength(5);
  const [digest, ...others] = messagesOf(happenings, "h", now);
  expect(others).toEqual([]);
  expect(digest?.title).toBe("30 events: 3 landed, 27 failed");
  const lines = digest?.body.split("\n") ?? [];
  expect(lines).toHaveLength(21);
  expect(lines[0]).toMatch(/^- Project 0 p0\\n<b> landed on main: x{499}…$/);
  expect(lines[20]).toBe("and 10 more: orchestrator-merge status");
  expect(digest?.payload).toMatchObject({ events: { length: 30 } });
});
