import { stripVTControlCharacters } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { breakdownText } from "../../src/commands/breakdown-text.ts";
import { painter } from "../../src/commands/paint.ts";
import { statistics } from "../../src/commands/stats-text.ts";
import { columnsOf } from "../../src/commands/table.ts";
import { type By, readBreakdown } from "../../src/queue/breakdown.ts";
import { openQueue } from "../../src/queue/database.ts";
import { readStatistics } from "../../src/queue/statistics.ts";
import { cli } from "../helpers/cli.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { attempt } from "../helpers/memory.ts";
import { now, queueDb, sql } from "../helpers/queueDb.ts";

const hour = 3_600_000;
const day = 24 * hour;
const merge = (path: string, id: number, at: number | string) =>
  sql(path, "UPDATE project_queue SET merged_status = 'merged', merged_at = ? WHERE id = ?", [at, id]);

async function read(path: string, since: number) {
  const queue = await openQueue({ location: path, mode: "read" });
  onTestFinished(() => queue.close());
  return readStatistics(queue, since, now);
}

/** Attempts on three days: four landed (after 10, 20, 30 and 1000 s), one was there already, two failed, one is held, one runs. */
async function history(): Promise<string> {
  const path = await queueDb(temporaryDirectory(), { rows: [1, 2, 3, 4, 5, 6, 7].map((id) => ({ id })) });
  const landed: [string, number, number][] = [
    ["L1", 2 * day, 10_000],
    ["L2", 2 * day, 20_000],
    ["L3", hour, 30_000],
    ["L4", hour, 1_000_000],
  ];
  for (const [attempt_id, ago, took] of landed) {
    await attempt(path, 1, "merged", { attempt_id, finished_at: now - ago, completed_at: now - ago - took });
  }
  await attempt(path, 2, "already_merged", { attempt_id: "B1", finished_at: now - hour, completed_at: now - 50 * day });
  await attempt(path, 3, "merge_failed", { attempt_id: "F1", finished_at: now - hour, reason: "conflict" });
  await attempt(path, 3, "merge_failed", { attempt_id: "F2", finished_at: now - 2 * day, reason: "no_worktree" });
  await attempt(path, 3, "merge_failed", { attempt_id: "F3", finished_at: now - 40 * day, reason: "conflict" });
  await attempt(path, 4, "held", { attempt_id: "H1", reason: "dirty_source" });
  await attempt(path, 4, "abandoned", { attempt_id: "H2" });
  await sql(
    path,
    "INSERT INTO merge_attempt (attempt_id, project_id, name, run_id, started_at) VALUES ('R', 1, 'n', 'r', 1)",
  );
  return path;
}

describe("what is counted", () => {
  test("the distribution is that of merged_status, whoever wrote it", async () => {
    const rows = [1, 2, 3, 4, 5, 6, 7, 8].map((id) => ({ id, status: id > 6 ? "queued" : "completed" }));
    const path = await queueDb(temporaryDirectory(), { rows });
    const wishes = ["pending_merge", "merged", "merged", "merge_failed", "rolled_back", "skipped", null, "on_ice"];
    for (const [i, wish] of wishes.entries())
      await sql(path, "UPDATE project_queue SET merged_status = ? WHERE id = ?", [wish, i + 1]);
    const { distribution } = await read(path, 0);
    expect(distribution).toEqual({ pendingMerge: 1, merged: 2, mergeFailed: 1, rolledBack: 1, skipped: 1, notSet: 2 });
  });

  test("merged in the last 24 hours: every row, also those landed by the original's tools and with times as text", async () => {
    const path = await queueDb(temporaryDirectory(), {
      rows: [1, 2, 3, 4, 5, 6].map((id) => ({ id })),
      variant: "ignore",
    });
    await merge(path, 1, (now - day + 1000) / 1000);
    await merge(path, 2, (now - day - 1000) / 1000);
    await merge(path, 3, new Date(now - hour).toISOString());
    await merge(path, 4, new Date(now - 2 * day).toISOString());
    await merge(path, 5, "no time");
    await sql(path, "UPDATE project_queue SET merged_status = 'merged', merged_at = NULL WHERE id = 6");
    expect(await read(path, now - hour)).toMatchObject({ mergedLast24h: 2, merged: 0, failed: 0, successRate: null });
  });

  test("attempts: what landed or was there already against what failed, since then and not before", async () => {
    const path = await history();
    expect(await read(path, now - 7 * day)).toMatchObject({ merged: 5, failed: 2, successRate: 5 / 7 });
    expect(await read(path, now - day)).toMatchObject({ merged: 3, failed: 1, successRate: 0.75 });
    expect(await read(path, now - 60 * day)).toMatchObject({
      successRate: 5 / 8,
      reasons: [
        { reason: "conflict", failed: 2 },
        { reason: "no_worktree", failed: 1 },
      ],
    });
  });

  test("time to land is of landings alone, by nearest rank; a clock that ran back counts as none", async () => {
    const path = await history();
    expect((await read(path, now - 7 * day)).timeToLand).toEqual({ p50Ms: 20_000, p95Ms: 1_000_000 });
    await attempt(path, 1, "merged", { attempt_id: "L5", finished_at: now, completed_at: now + hour });
    expect((await read(path, now - 7 * day)).timeToLand).toEqual({ p50Ms: 20_000, p95Ms: 1_000_000 });
    expect((await read(path, now - 1)).timeToLand).toEqual({ p50Ms: 0, p95Ms: 0 });
    expect((await read(path, now + 1)).timeToLand).toEqual({ p50Ms: null, p95Ms: null });
  });

  test("every day of the period, in UTC, quiet ones too", async () => {
    const path = await history();
    await attempt(path, 1, "merged", { attempt_id: "M1", finished_at: Date.UTC(2026, 4, 3, 23, 59, 59, 999) });
    await attempt(path, 1, "merged", { attempt_id: "M2", finished_at: Date.UTC(2026, 4, 4) });
    expect((await read(path, now - 3 * day)).perDay).toEqual([
      { day: "2026-05-01", merged: 0, failed: 0 },
      { day: "2026-05-02", merged: 2, failed: 1 },
      { day: "2026-05-03", merged: 1, failed: 0 },
      { day: "2026-05-04", merged: 4, failed: 1 },
    ]);
  });

  test("a period of centuries does not list centuries of nothing", async () => {
    expect((await read(await history(), 0)).perDay).toHaveLength(367);
    expect((await read(await queueDb(temporaryDirectory()), now - 99_999 * day)).perDay).toHaveLength(367);
  });
});

describe("the text", () => {
  const plain = { width: 80, paint: painter(false) };

  test("a week, one bar a day", async () => {
    expect(statistics({ ...(await read(await history(), now - 3 * day)), perHour: [] }, "3d", plain)).toEqual([
      "Last 3d",
      "  Merged        5",
      "  Failed        2",
      "  Success rate  71 %",
      "  Time to land  half within 20 s, 95 % within 16 min 40 s",
      "  Last 24 h     0 projects merged",
      "",
      "Each day (UTC)",
      "  Fri 2026-05-01  ·",
      "  Sat 2026-05-02  ██░ 2, 1 failed",
      "  Sun 2026-05-03  ·",
      "  Mon 2026-05-04  ███░ 3, 1 failed",
      "",
      "Why merges failed",
      "  conflict     1   50 %  ███████████████",
      "  no_worktree  1   50 %  ███████████████",
      "",
      "All projects, by merged_status",
      "  pending_merge  7  ██████████████████████████████",
    ]);
  });

  test("three days or less: one column an hour", async () => {
    const lines = statistics(await read(await history(), now - day), "24h", plain);
    expect(lines.slice(7, 11)).toEqual([
      "Each hour (UTC)",
      `  merged  ${" ".repeat(23)}█  most 3`,
      `  failed  ${" ".repeat(23)}█  most 1`,
      "          05-03 10:00   05-04 10:00",
    ]);
  });

  test("a longer period, one column a day, from the first that has something to tell", async () => {
    const lines = statistics(await read(await history(), now - 60 * day), "60d", plain);
    expect(lines.slice(7, 11)).toEqual([
      "Each day (UTC)",
      `  merged  ${" ".repeat(38)}▆ █ most 3`,
      `  failed  █${" ".repeat(37)}█ █ most 1`,
      "          2026-03-25                     2026-05-04",
    ]);
  });

  test("nothing yet: says so", async () => {
    expect(statistics(await read(await queueDb(temporaryDirectory()), now - day), "24h", plain)).toEqual([
      "Last 24h",
      "  Merged        0",
      "  Failed        0",
      "  Success rate  nothing was tried",
      "  Time to land  nothing landed",
      "  Last 24 h     0 projects merged",
      "",
      "All projects, by merged_status",
      "  The queue is empty.",
    ]);
  });

  test.each([40, 50, 80, 200])("no line is wider than %d columns, colour or not", async (width) => {
    const path = await history();
    for (const since of [7 * day, 60 * day, 3000 * day]) {
      const found = await read(path, now - since);
      const colored = statistics(found, "7d", { width, paint: painter(true) });
      for (const line of colored) expect(columnsOf(line), line).toBeLessThanOrEqual(width);
      expect(colored.map(stripVTControlCharacters)).toEqual(statistics(found, "7d", { width, paint: painter(false) }));
    }
  });

  test("99.9 % is not 100 %, and 0.1 % not 0 %", async () => {
    const found = await read(await history(), now - day);
    const rate = (successRate: number) => statistics({ ...found, successRate }, "24h", plain)[3];
    expect([0, 0.001, 0.999, 1].map(rate).map((line) => line?.trim().split(/ {2,}/)[1])).toEqual([
      "0 %",
      "1 %",
      "99 %",
      "100 %",
    ]);
  });
});

describe("each project, each repository", () => {
  /** Three repositories, two of one name; project 1 landed twice and failed twice, the newest attempt under another name. */
  async function groups(): Promise<string> {
    const path = await queueDb(temporaryDirectory());
    const rows: [string, number, string, string, number, number, string | null, string][] = [
      ["A1", 1, "cart", "/a/shop/.git", 5 * hour, 60_000, null, "merged"],
      ["A2", 1, "cart", "/a/shop/.git", 4 * hour, 0, "conflict", "merge_failed"],
      ["A3", 1, "cart", "/a/shop/.git", 3 * hour, 0, "conflict", "merge_failed"],
      ["A4", 1, "支払い", "/a/shop/.git", 2 * hour, 120_000, null, "merged"],
      ["B1", 2, "docs", "/b/shop/.git", 2 * hour, 30_000, null, "merged"],
      ["B2", 2, "docs", "/b/shop/.git", 2 * day, 0, "conflict", "merge_failed"],
      ["C1", 3, "api", "/c/api.git", hour, 0, "no_worktree", "merge_failed"],
      ["C2", 3, "api", "/c/api.git", hour, 0, null, "held"],
    ];
    for (const [attempt_id, id, name, repository, ago, took, reason, outcome] of rows) {
      const times = { finished_at: now - ago, completed_at: outcome === "merged" ? now - ago - took : null };
      await attempt(path, id, outcome, { attempt_id, name, repository, reason, ...times });
    }
    return path;
  }
  const breakdown = async (by: By, most = 20) => {
    const queue = await openQueue({ location: await groups(), mode: "read" });
    onTestFinished(() => queue.close());
    return readBreakdown(queue, by, { since: now - day, now }, most, 4);
  };

  test("the busiest first, each with its times, its history and its most frequent failure", async () => {
    const found = await breakdown("repository");
    expect(found).toMatchObject({ by: "repository", total: 3 });
    expect(found.groups).toEqual([
      {
        ...{
          key: "/a/shop/.git",
          name: null,
          merged: 2,
          failed: 2,
          p50Ms: 60_000,
          p95Ms: 120_000,
          topReason: "conflict",
        },
        history: [0, 0, 0, 4],
      },
      {
        ...{ key: "/c/api.git", name: null, merged: 0, failed: 1, p50Ms: null, p95Ms: null, topReason: "no_worktree" },
        history: [0, 0, 0, 1],
      },
      {
        ...{ key: "/b/shop/.git", name: null, merged: 1, failed: 0, p50Ms: 30_000, p95Ms: 30_000, topReason: null },
        history: [0, 0, 0, 1],
      },
    ]);
    expect((await breakdown("project", 1)).groups).toMatchObject([{ key: "1", name: "支払い", merged: 2, failed: 2 }]);
  });

  test("as a table: repositories by as much of their path as tells them apart, and how many more there are", async () => {
    const view = { width: 100, paint: painter(false) };
    expect(breakdownText(await breakdown("repository"), view)).toEqual([
      "Each repository",
      "  REPOSITORY  MERGED  FAILED   RATE  HALF WITHIN  95 % WITHIN  HISTORY  FAILS BY",
      "  a/shop           2       2   50 %        1 min        2 min     █     conflict",
      "  api.git          0       1    0 %                               █     no_worktree",
      "  b/shop           1       0  100 %         30 s         30 s     █",
    ]);
    expect(breakdownText(await breakdown("project", 2), view).slice(2)).toEqual([
      "  1 支払い       2       2  50 %        1 min        2 min     █     conflict",
      "  3 api          0       1   0 %                               █     no_worktree",
      "  and 1 more",
    ]);
  });

  test.each([30, 40, 60, 80])("no line is wider than %d columns", async (width) => {
    for (const line of breakdownText(await breakdown("project"), { width, paint: painter(true) }))
      expect(columnsOf(line), line).toBeLessThanOrEqual(width);
  });

  test("the built program: since a day, in text and in JSON", async () => {
    const path = await groups();
    const words = ["stats", "--db", path, "--since", "2026-05-01", "--by", "repository"];
    const { stdout } = await cli(words);
    expect(stdout).toMatch(/^Since 2026-05-01\n/);
    expect(stdout).toContain("Each repository\n  REPOSITORY");
    expect(JSON.parse((await cli([...words, "--json"])).stdout)).toMatchObject({
      ...{ since: "2026-05-01T00:00:00.000Z", merged: 3, failed: 4, by: "repository", total: 3 },
      topReasons: [
        { reason: "conflict", failed: 3, share: 0.75 },
        { reason: "no_worktree", failed: 1, share: 0.25 },
      ],
      groups: [
        { repository: "/a/shop/.git", successRate: 0.5, timeToLand: { p50Seconds: 60, p95Seconds: 120 } },
        {},
        {},
      ],
    });
  });
});

describe("the built program", () => {
  test("JSON has exactly the keys of the contract", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [1, 2, 3, 4, 5, 6, 7].map((id) => ({ id })) });
    const { code, stdout, stderr } = await cli(["stats", "--db", path, "--json", "--since", "1s"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const document: unknown = JSON.parse(stdout);
    const none = { merged: 0, failed: 0 };
    expect(document).toEqual({
      schema: 1,
      since: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      distribution: { pendingMerge: 7, merged: 0, mergeFailed: 0, rolledBack: 0, skipped: 0, notSet: 0 },
      mergedLast24h: expect.any(Number),
      merged: 0,
      failed: 0,
      successRate: null,
      timeToLand: { p50Seconds: null, p95Seconds: null },
      reasons: {},
      topReasons: [],
      perHour: expect.arrayContaining([{ hour: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:00Z$/), ...none }]),
      perDay: expect.arrayContaining([{ day: expect.stringMatching(/^\d{4}-\d\d-\d\d$/), ...none }]),
    });
    const again = await cli(["stats", "--db", path, "--format", "json", "--since", "1s"]);
    expect(Object.keys(JSON.parse(again.stdout))).toEqual(Object.keys(Object(document)));
  });

  test("seconds and reasons, over all time", async () => {
    const { stdout } = await cli(["stats", "--db", await history(), "--json", "--since", "5000w"]);
    expect(JSON.parse(stdout)).toMatchObject({
      successRate: 5 / 8,
      timeToLand: { p50Seconds: 20, p95Seconds: 1000 },
      reasons: { conflict: 2, no_worktree: 1 },
    });
  });

  test("text in a pipe has no colour; --color always has", async () => {
    const path = await history();
    const plain = await cli(["stats", "--db", path]);
    expect(plain).toMatchObject({ code: 0, stderr: "" });
    expect(plain.stdout).toMatch(/^Last 7d\n {2}Merged {8}\d+\n/);
    expect(plain.stdout).not.toContain("\x1b");
    expect((await cli(["stats", "--db", path, "--color", "always"])).stdout).toContain("\x1b[1mLast 7d\x1b[22m\n");
  });

  test.each<[string[], string]>([
    [["--format", "prometheus", "--since", "1d"], "--format prometheus takes no --since"],
    [["--format", "jsn"], '--format does not take "jsn"'],
    [["--since", "7"], '--since does not take "7"'],
    [["--since", "0s"], '--since does not take "0s"'],
    [["--since", "yesterday"], '--since does not take "yesterday"'],
    [["--since", "2026-02-30"], '--since "2026-02-30" is no moment'],
    [["--by", "agent"], '--by does not take "agent"'],
  ])("%j: exit 2", async (words, sentence) => {
    const result = await cli(["stats", "--db", await queueDb(temporaryDirectory()), ...words]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain(sentence);
  });
});
