import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { columnsOf } from "../../src/commands/table.ts";
import { cli } from "../helpers/cli.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { attempt, remember } from "../helpers/memory.ts";
import { now, queueDb, sql } from "../helpers/queueDb.ts";

const [first, second, third] = [1, 2, 3].map((n) => `01M0000000000000000000000${n}`) as [string, string, string];
const run = (n: number): string => `01M000000000000000000000R${n}`;
const at = (ms: number): string => new Date(now + ms).toISOString();
const evil = "\x1b]0;owned\x07\x1b[2J\u202e";

/** Project 1: failed before events had ids, failed again, landed; pushed two runs later. Three files, the last of JSON lines. */
async function queue(): Promise<string> {
  const path = await queueDb(temporaryDirectory(), {
    rows: [
      { id: 1, spec_path: "/specs/web.md", merged_status: "merged", merged_at: now / 1000 },
      { id: 12, spec_path: "/specs/other.md" },
      { id: 3, spec_path: `/specs/${evil}.md` },
    ],
  });
  const landing = { repository: "/r/.git", target: "refs/heads/main" };
  const failed = { ...landing, reason: "conflict", detail: "a.txt" };
  const ended = (ms: number) => ({ started_at: now + ms - 500, finished_at: now + ms });
  await attempt(path, 1, "merge_failed", {
    ...failed,
    ...ended(0),
    attempt_id: first,
    run_id: run(1),
    output: `CONFLICT ${evil}`,
  });
  await attempt(path, 1, "merge_failed", {
    ...failed,
    ...ended(1000),
    attempt_id: second,
    run_id: run(2),
    detail: "b.txt",
  });
  await attempt(path, 1, "merged", {
    ...{
      ...landing,
      ...ended(2000),
      attempt_id: third,
      run_id: run(3),
      name: "web",
      merge_commit: "a".repeat(40),
      push: "pushed",
    },
    heads_json: JSON.stringify([{ role: "developer", oid: "b".repeat(40), worktree: "/w", branch: "refs/heads/dev" }]),
  });
  await attempt(path, 3, "held", {
    ...ended(3000),
    reason: "dirty_source",
    detail: evil,
    attempt_id: "01M00000000000000000000004",
  });
  await remember(path, 1, "merged", { recorded_status: "merged", attempt_id: third });
  const logs = join(path, "..", "logs");
  mkdirSync(logs);
  const file = join(logs, "auto_merge.log");
  writeFileSync(
    `${file}.20260504T100000.000Z-1-1`,
    `${at(0)} ERROR  Failed to merge project 1: conflict: a.txt\n${at(0)} NOTICE Successfully merged project 12: other\n`,
  );
  writeFileSync(
    `${file}.20260504T110000.000Z-1-1`,
    [
      `${at(1000)} ERROR  Failed to merge project 1: conflict: b.txt project=1 attempt=${second} run=${run(2)}`,
      `${at(1500)} INFO   Pushed main in /r/.git to origin run=${run(2)}`,
      `${at(2000)} NOTICE Successfully merged project 1: web project=1 attempt=${third} run=${run(3)}`,
      `${at(2001)} WARN   Project 1: the remote is slow project=1 attempt=${third} run=${run(3)}`,
      `${at(2100)} WARN   Push of main in /r/.git is pending: no route to host run=${run(3)}\n`,
    ].join("\n"),
  );
  const events = [
    { time: at(4000), level: "info", text: "Pushed main in /r/.git to origin", run: run(4) },
    { time: at(5000), level: "info", text: "Pushed main in /r/.git to origin", run: run(5) },
    { time: at(6000), level: "info", text: `Project 3: ${evil}`, project: 3, run: run(5) },
  ];
  writeFileSync(file, `${events.map((event) => JSON.stringify(event)).join("\n")}\n`);
  return path;
}

const logs = async (path: string, ...words: string[]) => cli(["logs", "--db", path, ...words]);

describe("logs ID", () => {
  test("the story across runs and files, newest last; what an attempt says already is not said twice", async () => {
    const { code, stdout, stderr } = await logs(await queue(), "1");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(
      [
        "#1 web  🔀[MERGED]",
        "",
        "2026-05-04 09:59:59 UTC · took 0.5 s",
        "  ❌ conflict: a.txt",
        `     attempt ${first} · run ${run(1)}`,
        "",
        "2026-05-04 10:00:00 UTC · took 0.5 s",
        "  ❌ conflict: b.txt",
        `     attempt ${second} · run ${run(2)}`,
        "",
        "2026-05-04 10:00:01 UTC · took 0.5 s",
        "  🔀 merged into main as aaaaaaaaaaaa, pushed",
        "     developer  bbbbbbbbbbbb  dev",
        `     attempt ${third} · run ${run(3)}`,
        "  2026-05-04 10:00:02 UTC  Project 1: the remote is slow",
        "  2026-05-04 10:00:02 UTC  Push of main in /r/.git is pending: no route to host",
        "  2026-05-04 10:00:04 UTC  Pushed main in /r/.git to origin",
        "",
        "3 attempts, 3 log files read",
        "",
      ].join("\n"),
    );
  });

  test("JSON has the attempts and every event, those before ids too, and not those of project 12", async () => {
    const { stdout } = await logs(await queue(), "1", "--json");
    const story: unknown = JSON.parse(stdout);
    expect(story).toMatchObject({
      ...{ schema: 1, id: 1, name: "web", mergedStatus: "merged" },
      attempts: [
        {
          attempt: first,
          run: run(1),
          startedAt: at(-500),
          outcome: "merge_failed",
          reason: "conflict",
          output: `CONFLICT ${evil}`,
        },
        { attempt: second },
        { attempt: third, outcome: "merged", target: "main", heads: [{ role: "developer" }], push: "pushed" },
      ],
      log: [
        { time: at(0), level: "error", text: "Failed to merge project 1: conflict: a.txt", attempt: null, run: null },
        { time: at(1000), attempt: second, run: run(2) },
        { time: at(2000), attempt: third },
        { time: at(2001), level: "warn" },
        { time: at(2100), text: "Push of main in /r/.git is pending: no route to host", run: run(3) },
        { time: at(4000), text: "Pushed main in /r/.git to origin", run: run(4) },
      ],
    });
  });

  test("--limit N is the last N attempts and what came after them", async () => {
    const { stdout } = await logs(await queue(), "1", "--limit", "1", "--json");
    const { attempts, log } = JSON.parse(stdout) as { attempts: unknown[]; log: unknown[] };
    expect([attempts.length, log.length]).toEqual([1, 4]);
  });

  test("hostile names, details, outputs and log lines are shown, never obeyed; no line is wider than the terminal", async () => {
    const path = await queue();
    for (const words of [["3"], ["1", "-v"], ["3", "--color", "always"]]) {
      const { stdout } = await cli(["logs", "--db", path, ...words], { env: { COLUMNS: "60" } });
      expect(stdout).toContain("\\x1b]0;owned\\x07");
      expect(stripVTControlCharacters(stdout)).not.toMatch(/[^\n -~\u00a1-\u{10ffff}]|\u202e/u);
      for (const line of stdout.split("\n")) expect(columnsOf(line), line).toBeLessThanOrEqual(60);
    }
  });

  test("without a log, without an attempt, without a project", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{ id: 1, spec_path: "/specs/new.md" }] });
    const { stdout } = await logs(path, "1");
    expect(stdout).toBe(
      "#1 new  ⏳[PENDING MERGE]\n\n  Nothing was tried yet, and the log says nothing of it.\n\n0 attempts, no log file was found\n",
    );
    expect(await logs(path, "2")).toMatchObject({
      code: 5,
      stdout: "",
      stderr: expect.stringContaining("no project 2"),
    });
    expect(await logs(path)).toMatchObject({ code: 2, stderr: expect.stringContaining("ID is missing") });
    await attempt(path, 1, "held", { reason: "dirty_source", attempt_id: first });
    await sql(path, "DELETE FROM project_queue");
    expect((await logs(path, "1")).stdout).toContain("#1 project_1  no longer in the queue");
  });
});
