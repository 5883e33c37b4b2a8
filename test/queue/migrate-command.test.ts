import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import migrateCommand, { parseBaseline } from "../../src/commands/migrate.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { now, type QueueRow, queueDb } from "../helpers/queueDb.ts";

async function run(argv: string[], env: Record<string, string> = {}): Promise<string> {
  let printed = "";
  const write = (text: string): void => {
    printed += text;
  };
  const host = {
    env: { HOME: "/nonexistent", ...env },
    cwd: "/",
    stdout: { write },
    stderr: { write: () => {} },
    now: () => new Date(now),
    interruption: () => new AbortController().signal,
  };
  expect(await migrateCommand.execute(argv, host, { json: false, verbose: false, printed: false })).toBe(0);
  return printed;
}

const rows: QueueRow[] = [
  ...Array.from({ length: 1204 }, () => ({})),
  { status: "COMPLETED", completed_at: null },
  { status: "failed" },
  { spec_path: "/specs/bad\x1b[31m\n.md", completed_at: 0 },
];

test("tells a person what is added, how many will land, the oldest, and what to do next", async () => {
  const path = await queueDb(temporaryDirectory(), { rows, migrated: false });
  const said = (text: string): string[] => text.replaceAll(path, "Q").split("\n");
  const table = (after: string): string[] => [
    `status     merged_status  before  ${after}`,
    `completed  -               1,205  ${"0".padStart(after.length)}`,
    `completed  pending_merge       0  ${"1,205".padStart(after.length)}`,
    `COMPLETED  -                   1  ${"0".padStart(after.length)}`,
    `COMPLETED  pending_merge       0  ${"1".padStart(after.length)}`,
    `failed     -                   1  ${"1".padStart(after.length)}`,
  ];
  const added = [
    "columns  merged_status, merged_at",
    "indexes  idx_merged_status, idx_status_merged, merge_recent, merge_candidates, merge_completed",
    "rows     1,206 completed projects to pending_merge",
    "",
  ];
  const outlook = [
    "",
    "1,206 projects will land. The oldest is 1207 bad\\x1b[31m\\n, completed 1970-01-01 00:00:00 UTC.",
  ];
  const leave = "To leave them as they are: orchestrator-merge migrate --baseline now --db Q";
  expect(said(await run(["--dry-run", "--db", path]))).toEqual([
    "Would migrate Q to schema 3",
    ...added,
    ...table("would be"),
    ...outlook,
    "Next: orchestrator-merge migrate --db Q",
    leave,
    "",
  ]);
  const done = said(await run(["--db", path]));
  expect(done[0]).toBe("Migrated Q to schema 3");
  expect(done.slice(1)).toEqual([
    ...added,
    ...table("after"),
    ...outlook,
    "Next: orchestrator-merge run --dry-run --db Q   shows what a run would do",
    leave,
    "",
  ]);
  expect(said(await run(["--db", path]))[0]).toBe("Q is up to date (schema 3)");
  const skipped = said(await run(["--baseline", "now"], { ORCHESTRATOR_MERGE_DB: path }));
  expect(skipped.slice(0, 2)).toEqual(["Updated Q (schema 3)", "rows     1,206 completed projects to skipped"]);
  expect(skipped.at(-2)).toBe("Nothing waits to be merged.");
});

test("--json is the same as one document, times in ISO", async () => {
  const path = await queueDb(temporaryDirectory(), { rows: [{}], migrated: false });
  const document: unknown = JSON.parse(await run(["--json", "--dry-run", "--db", path]));
  expect(document).toEqual({
    schema: 1,
    database: path,
    dryRun: true,
    created: false,
    fromVersion: null,
    toVersion: 3,
    columnsAdded: ["merged_status", "merged_at"],
    indexesAdded: ["idx_merged_status", "idx_status_merged", "merge_recent", "merge_candidates", "merge_completed"],
    backfilled: 1,
    skipped: 0,
    undated: 0,
    journalMode: "delete",
    notes: [],
    before: [{ status: "completed", mergedStatus: null, count: 1 }],
    after: [{ status: "completed", mergedStatus: "pending_merge", count: 1 }],
    willLand: 1,
    oldest: { id: 1, name: "project_1", completedAt: "2026-05-04T09:00:01.000Z" },
  });
});

test("the default place is made with its directory; one that was typed is not", async () => {
  const state = join(temporaryDirectory(), "state");
  expect(await run([], { XDG_STATE_HOME: state })).toMatch(
    /^Made the queue database \S+\/orchestrator-merge\/task_queue.db/,
  );
  expect(existsSync(join(state, "orchestrator-merge/task_queue.db"))).toBe(true);
  await expect(run(["--db", join(state, "typo/q.db")])).rejects.toMatchObject({ code: 3 });
});

test("--baseline: now, a day or a moment of local time, a moment with a zone", () => {
  expect(parseBaseline(" Now ")).toBe("now");
  expect(parseBaseline("2026-05-04", 120)).toBe(Date.UTC(2026, 4, 3, 22));
  expect(parseBaseline("2026-05-04 12:00", 120)).toBe(Date.UTC(2026, 4, 4, 10));
  expect(parseBaseline("2026-05-04T12:00:30Z", 120)).toBe(Date.UTC(2026, 4, 4, 12, 0, 30));
  for (const wrong of ["", "yesterday", "2026-02-30", "2026-05-04T25:00", "04.05.2026"]) {
    expect(() => parseBaseline(wrong), wrong).toThrow(expect.objectContaining({ code: 2 }));
  }
});
