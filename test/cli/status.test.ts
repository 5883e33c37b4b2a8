import { copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { columnsOf } from "../../src/commands/table.ts";
import { cli, program, run } from "../helpers/cli.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { attempt, insert, remember } from "../helpers/memory.ts";
import { now, type QueueRow, queueDb, sql } from "../helpers/queueDb.ts";

/** Long ago, so that what a person reads does not depend on today: beyond 60 days it is the day itself. */
const then = Date.UTC(2023, 4, 4, 10) / 1000;
const repository = "/home/user/web/.git";
const target = "refs/heads/main";

const merged = (path: string, id: number, after: number) =>
  sql(path, "UPDATE project_queue SET merged_status = 'merged', merged_at = ? WHERE id = ?", [then + after, id]);

/** One of each: failed, held, waiting, backing off, merged and pushed, merged with a push owed, by others, and the rest. */
async function variety(more: QueueRow[] = []): Promise<string> {
  const rows = [
    { id: 1, spec_path: "/specs/web_server.md", project_path: "/home/user/web", priority: 3 },
    { id: 2, spec_path: "/specs/checkout.md" },
    { id: 3, spec_path: "/specs/支払いサービス.md" },
    { id: 4, spec_path: "/specs/slow.md" },
    { id: 5, spec_path: "/specs/docs.md" },
    { id: 6, spec_path: "/specs/api.md" },
    { id: 7, spec_path: "/specs/original.md" },
    { id: 8, spec_path: "/specs/undone.md" },
    { id: 9, spec_path: "/specs/old.md" },
    { id: 10, spec_path: "/specs/busy.md", status: "processing", completed_at: null },
    ...more,
  ].map((row, i) => ({ started_at: then - 600, completed_at: then + i, ...row }));
  const path = await queueDb(temporaryDirectory(), { rows });

  await attempt(path, 1, "merge_failed", {
    ...{ reason: "conflict", detail: "src/app.ts", target, base: "b".repeat(40), conflicts_json: '["src/app.ts"]' },
    ...{
      heads_json: JSON.stringify([
        { role: "developer", oid: "c".repeat(40), worktree: "/w", branch: "refs/heads/dev" },
      ]),
    },
    ...{
      output: "CONFLICT (content): src/app.ts",
      finished_at: (then + 100) * 1000,
      warnings_json: '["CLAUDE.md set aside"]',
    },
  });
  const conflict = { reason: "conflict", detail: "src/app.ts", recorded_status: "merge_failed", attempt_id: "A1" };
  await remember(path, 1, "failed", { ...conflict, since: (then + 100) * 1000 });
  await sql(
    path,
    "UPDATE project_queue SET merged_status = 'merge_failed', error_message = 'Merge failed: conflict: x' WHERE id = 1",
  );
  await insert(path, "merge_project_tag", { project_id: 1, tag: "critical" });

  await remember(path, 2, "held", {
    reason: "dirty_source",
    detail: "developer: notes.txt, src/cart.ts",
    since: then * 1000,
  });
  await remember(path, 4, "waiting", {
    reason: "timeout",
    detail: "origin",
    next_attempt_at: (then + 999) * 1000,
    since: then * 1000,
  });

  for (const [id, push] of [
    [5, "pushed"],
    [6, "pending"],
  ] as const) {
    const refs = {
      backup_ref: `refs/heads/backup-before-merge-20230504-100000-p${id}`,
      tag: `integration-20230504-100000-p${id}`,
    };
    await attempt(path, id, "merged", { ...refs, repository, target, merge_commit: String(id).repeat(40), push });
    await remember(path, id, "merged", { recorded_status: "merged", attempt_id: `A${id}` });
    await merged(path, id, id * 60);
  }
  await insert(path, "merge_push", { repository, target, state: "pending", detail: "no route to host", changed_at: 1 });
  await merged(path, 7, 7 * 60);
  await sql(path, "UPDATE project_queue SET merged_status = 'rolled_back' WHERE id = 8");
  await sql(path, "UPDATE project_queue SET merged_status = 'skipped' WHERE id = 9");
  return path;
}

/** The database comes by environment, so that hints need not name it; `columns` is what a person's terminal has. */
async function status(path: string, words: string[], columns?: number): Promise<string> {
  const env = { ORCHESTRATOR_MERGE_DB: path, ...(columns === undefined ? {} : { COLUMNS: `${columns}` }) };
  const result = await cli(["status", ...words], { env });
  expect(result).toMatchObject({ code: 0, stderr: "" });
  return result.stdout;
}

async function json(path: string, words: string[]): Promise<unknown> {
  return JSON.parse(await status(path, ["--json", ...words]));
}

describe("for a person", () => {
  test("in a pipe: nothing cut, times exact, one line a project", async () => {
    expect(await status(await variety(), [])).toBe(
      [
        "ID  STATE              PROJECT         WHEN                  NEXT      WHY",
        " 1  ❌[MERGE FAILED]   web_server      2023-05-04T10:01:40Z            conflict: src/app.ts → merge the target into its branch, commit",
        " 2  ⏸[HELD]            checkout        2023-05-04T10:00:00Z  next run  dirty_source: developer: notes.txt, src/cart.ts → commit, ignore or remove them there",
        "",
        " 3  ⏳[PENDING MERGE]  支払いサービス  2023-05-04T10:00:02Z  next run",
        " 4  ⏳[PENDING MERGE]  slow            2023-05-04T10:00:03Z  next run  timeout: origin",
        "",
        " 7  🔀[MERGED]         original        2023-05-04T10:07:00Z",
        " 6  🔀[MERGED]         api             2023-05-04T10:06:00Z            push pending: no route to host",
        " 5  🔀[MERGED]         docs            2023-05-04T10:05:00Z",
        "",
        "1 failed · 1 held · 2 pending · 3 merged · 1 rolled back · 1 skipped · 1 not completed",
        "",
      ].join("\n"),
    );
  });

  test("80 columns: the reason and what to do go below their project, nothing is lost", async () => {
    const path = await variety();
    await insert(path, "merge_meta", { key: "last_tick", value: String(then * 1000) });
    expect(await status(path, [], 80)).toBe(
      [
        "ID  STATE              PROJECT         WHEN        NEXT",
        " 1  ❌[MERGE FAILED]   web_server      2023-05-04",
        "    conflict: src/app.ts",
        "    → merge the target into its branch, commit",
        " 2  ⏸[HELD]            checkout        2023-05-04  next run",
        "    dirty_source: developer: notes.txt, src/cart.ts",
        "    → commit, ignore or remove them there",
        "",
        " 3  ⏳[PENDING MERGE]  支払いサービス  2023-05-04  next run",
        " 4  ⏳[PENDING MERGE]  slow            2023-05-04  next run",
        "    timeout: origin",
        "",
        " 7  🔀[MERGED]         original        2023-05-04",
        " 6  🔀[MERGED]         api             2023-05-04",
        "    push pending: no route to host",
        " 5  🔀[MERGED]         docs            2023-05-04",
        "",
        "1 failed · 1 held · 2 pending · 3 merged · 1 rolled back · 1 skipped",
        "1 not completed · last run 2023-05-04",
        "More about one: orchestrator-merge status --id 1",
        "",
      ].join("\n"),
    );
  });

  test("10,000 that wait: 20 of them, when each has its turn, and how many more", async () => {
    const path = await queueDb(temporaryDirectory());
    await sql(
      path,
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
       INSERT INTO project_queue (spec_path, status, completed_at) SELECT '/specs/p' || i || '.md', 'completed', 10000 - i FROM n`,
    );
    const lines = (await status(path, [], 100)).split("\n");
    expect(lines.slice(1, 21).map((line) => line.trim().split(/ {2,}/))).toEqual(
      Array.from({ length: 20 }, (_, i) => [
        ...[String(10_000 - i), "⏳[PENDING MERGE]", `p${10_000 - i}`, "1970-01-01"],
        i < 5 ? "next run" : `in ${Math.floor(i / 5) + 1} runs`,
      ]),
    );
    expect(lines.slice(21)).toEqual([
      "",
      "20 of 10,000 shown, 9,980 more; see them: orchestrator-merge status --pending-merge",
      "10,000 pending",
      "",
    ]);
    // Who names them, or reads by program, gets all of them.
    expect((await status(path, ["--pending-merge"], 100)).split("\n").length).toBeGreaterThan(10_000);
    expect(await json(path, [])).toMatchObject({ projects: { length: 10_000 } });
  });

  test.each([40, 80, 120])("%d columns: no line is wider, whatever the names and reasons are", async (columns) => {
    const long = "a-name-that-goes-on-and-on-until-nobody-reads-it-any-more-and-then-some-支払いサービス".repeat(2);
    const path = await variety([{ id: 123456, spec_path: `/specs/${long}.md` }]);
    await remember(path, 123456, "held", { reason: "dirty_target", detail: "many words ".repeat(60) });
    for (const words of [[], ["--all"]]) {
      const lines = (await status(path, words, columns)).split("\n");
      expect(lines.length).toBeGreaterThan(10);
      for (const line of lines) expect(columnsOf(line), line).toBeLessThanOrEqual(columns);
    }
  });

  test("hostile names, paths and reasons are shown, never obeyed", async () => {
    const evil = "\x1b]0;owned\x07\x1b[2J\u202egnp\nID 1 merged\r\u200b\x9b";
    const path = await variety([{ id: 11, spec_path: `/specs/${evil}.md`, project_path: `/p/${evil}` }]);
    await remember(path, 11, "held", { reason: "dirty_source", detail: evil });
    for (const words of [[], ["--all"], ["--id", "11"]]) {
      const shown = await status(path, words, 120);
      expect(shown).not.toMatch(/[^\n -~\u00a1-\u{10ffff}]|[\u200b\u202e]/u);
      expect(shown).toContain("\\x1b]0;owned\\x07\\x1b[2J\\u{202e}gnp");
    }
    expect(await json(path, ["--id", "11"])).toMatchObject({
      projects: [{ id: 11, name: evil.split("/").at(-1), detail: evil }],
    });
  });

  test("colour when it is asked for, and the text is the same", async () => {
    const path = await variety();
    const colored = await status(path, ["--color", "always"]);
    expect(colored).toContain("\x1b[31m❌[MERGE FAILED]\x1b[39m");
    expect(stripVTControlCharacters(colored)).toBe(await status(path, []));
  });

  test("an empty queue says so, and what to do next; a queue with nothing to do too", async () => {
    const empty = await queueDb(temporaryDirectory());
    expect(await status(empty, [])).toBe(
      `The queue is empty: no project was ever queued in ${empty}.\nAdd finished work by hand: orchestrator-merge add --project DIR\n`,
    );
    const done = await queueDb(temporaryDirectory(), { rows: [{ id: 1, spec_path: "/s/one.md" }] });
    await merged(done, 1, 0);
    expect(await status(done, [])).toContain("Nothing waits, is held or failed.\n1 merged\n");
    expect(await status(done, ["--held"])).toBe("No such project.\n1 merged\n");
  });
});

describe("filters", () => {
  test.each<[string[], number[]]>([
    [[], [1, 2, 3, 4, 7, 6, 5]],
    [["--merged"], [7, 6, 5]],
    [["--pending-merge"], [3, 4]],
    [["--merge-failed"], [1]],
    [["--held"], [2]],
    [
      ["--held", "--merge-failed"],
      [1, 2],
    ],
    [["--all"], [1, 2, 3, 4, 7, 6, 5, 8, 9, 10]],
    [
      ["--all", "--limit", "4"],
      [1, 2, 3, 4],
    ],
    [
      ["--merged", "--limit", "2"],
      [7, 6],
    ],
    [
      ["--limit", "6"],
      [1, 2, 3, 4, 7, 6],
    ],
    [["--id", "9"], [9]],
  ])("%j lists %j, in text and in JSON", async (words, ids) => {
    const path = await variety();
    const counts = { pendingMerge: 2, held: 1, merged: 3, mergeFailed: 1, rolledBack: 1, skipped: 1, notCompleted: 1 };
    const document = await json(path, words);
    expect(document).toMatchObject({ schema: 1, database: path, projects: ids.map((id) => ({ id })), counts });
    const text = await status(path, words);
    if (words[0] === "--id") return;
    const listed = text.split("\n").flatMap((line) => /^ {0,2}(\d+) {2}\S/.exec(line)?.[1] ?? []);
    expect(listed.map(Number)).toEqual(ids);
    if (words.includes("--limit")) expect(text).toContain(`${ids.length} of `);
  });
});

describe("JSON", () => {
  test("has exactly the keys of the contract, null for what is not known", async () => {
    const path = await variety();
    const { projects, ...rest } = (await json(path, [])) as { projects: object[] };
    expect(rest).toEqual({
      schema: 1,
      database: path,
      counts: { pendingMerge: 2, held: 1, merged: 3, mergeFailed: 1, rolledBack: 1, skipped: 1, notCompleted: 1 },
      lastRunAt: null,
      runningSince: null,
    });
    const none = {
      reason: null,
      detail: null,
      push: null,
      target: null,
      mergeCommit: null,
      backupRef: null,
      tag: null,
    };
    const waits = {
      ...none,
      projectPath: null,
      status: "completed",
      mergedStatus: "pending_merge",
      mergedAt: null,
      priority: 0,
      tags: [],
      since: null,
      nextStep: null,
    };
    expect(projects).toEqual([
      {
        ...{ ...waits, id: 1, name: "web_server", specPath: "/specs/web_server.md", projectPath: "/home/user/web" },
        ...{ mergedStatus: "merge_failed", completedAt: "2023-05-04T10:00:00.000Z", priority: 3, tags: ["critical"] },
        ...{ reason: "conflict", detail: "src/app.ts", target: "main", attempts: 1, nextAttemptAt: null },
        ...{ since: "2023-05-04T10:01:40.000Z", nextStep: expect.stringContaining("orchestrator-merge retry 1") },
      },
      {
        ...{
          ...waits,
          id: 2,
          name: "checkout",
          specPath: "/specs/checkout.md",
          completedAt: "2023-05-04T10:00:01.000Z",
        },
        ...{ reason: "dirty_source", detail: "developer: notes.txt, src/cart.ts", attempts: 0, nextAttemptAt: null },
        ...{ since: "2023-05-04T10:00:00.000Z", nextStep: expect.stringContaining("Commit, ignore or remove") },
      },
      {
        ...{
          ...waits,
          id: 3,
          name: "支払いサービス",
          specPath: "/specs/支払いサービス.md",
          completedAt: "2023-05-04T10:00:02.000Z",
        },
        ...{ attempts: 0, nextAttemptAt: null },
      },
      {
        ...{ ...waits, id: 4, name: "slow", specPath: "/specs/slow.md", completedAt: "2023-05-04T10:00:03.000Z" },
        ...{ reason: "timeout", detail: "origin", attempts: 0, nextAttemptAt: "2023-05-04T10:16:39.000Z" },
        since: "2023-05-04T10:00:00.000Z",
      },
      {
        ...{
          ...waits,
          id: 7,
          name: "original",
          specPath: "/specs/original.md",
          completedAt: "2023-05-04T10:00:06.000Z",
        },
        ...{ mergedStatus: "merged", mergedAt: "2023-05-04T10:07:00.000Z", attempts: 0, nextAttemptAt: null },
      },
      ...[6, 5].map((id) => ({
        ...{ ...waits, id, name: id === 6 ? "api" : "docs", specPath: `/specs/${id === 6 ? "api" : "docs"}.md` },
        ...{
          completedAt: `2023-05-04T10:00:0${id - 1}.000Z`,
          mergedStatus: "merged",
          mergedAt: `2023-05-04T10:0${id}:00.000Z`,
        },
        ...{
          push: id === 6 ? "pending" : "pushed",
          target: "main",
          mergeCommit: String(id).repeat(40),
          attempts: 1,
          nextAttemptAt: null,
          since: new Date(now).toISOString(),
        },
        ...{
          backupRef: `refs/heads/backup-before-merge-20230504-100000-p${id}`,
          tag: `integration-20230504-100000-p${id}`,
        },
      })),
    ]);
  });

  test.each([
    ["unix seconds", 1_683_194_400.5, "2023-05-04T10:00:00.500Z"],
    ["unix seconds as text", "1683194400", "2023-05-04T10:00:00.000Z"],
    ["local time", "2023-05-04T12:00:00.250", "2023-05-04T10:00:00.250Z"],
    ["UTC", "2023-05-04 10:00:00", "2023-05-04T10:00:00.000Z"],
    ["with a zone", "2023-05-04T12:00:00+02:00", "2023-05-04T10:00:00.000Z"],
    ["nothing", null, null],
    ["no time at all", "yesterday", null],
    ["beyond any calendar", 1e300, null],
  ])("a completion time as %s", async (_, stored, iso) => {
    const path = await queueDb(temporaryDirectory(), { variant: "ignore", rows: [{ id: 1, completed_at: stored }] });
    const { stdout } = await cli(["status", "--db", path, "--json"], { env: { TZ: "Europe/Berlin" } });
    expect(JSON.parse(stdout)).toMatchObject({ projects: [{ id: 1, completedAt: iso }] });
    expect(await status(path, [], 80)).toContain("⏳[PENDING MERGE]");
  });
});

describe("one project", () => {
  test("a failed one: why, what to do, the facts; the output with -v", async () => {
    const path = await variety();
    const shown = (await status(path, ["--id", "1"], 100)).replace(/ \(\d{4}-\d\d-\d\d\)/g, "");
    expect(shown).toBe(
      [
        "#1 web_server  ❌[MERGE FAILED]",
        "  conflict: src/app.ts",
        "",
        "  What to do  Merge the target into the agent's branch, solve it there and commit: it is then tried",
        "              again by itself. To try at once: orchestrator-merge retry 1",
        "  Completed   2023-05-04 10:00:00 UTC",
        "  Failed      2023-05-04 10:01:40 UTC",
        "  Target      main",
        `  Before it   ${"b".repeat(40)}`,
        "  Heads       developer  cccccccccccc  dev",
        "  Conflicts   src/app.ts",
        "  Warnings    CLAUDE.md set aside",
        "  Attempts    1, the last 2023-05-04 10:01:40 UTC",
        "  Priority    3",
        "  Tags        critical",
        "  Spec        /specs/web_server.md",
        "  Project     /home/user/web",
        "  Row says    status completed, merged_status merge_failed",
        "",
        "With -v also what the failing command said.",
        "",
      ].join("\n"),
    );
    const { stdout } = await cli(["status", "--db", path, "--id", "1", "-v"]);
    expect(stdout).toContain("What the command said:\n  CONFLICT (content): src/app.ts\n");
  });

  test("a merged one: when, the commit, the way back, the push", async () => {
    const shown = await status(await variety(), ["--id", "6"]);
    expect(shown).toContain("#6 api  🔀[MERGED]\n");
    expect(shown).toMatch(/Merged +2023-05-04 10:06:00 UTC\n/);
    expect(shown).toMatch(/Push +pending: no route to host\n/);
    expect(shown).toMatch(/Merge commit +6{40}\n/);
    expect(shown).toMatch(/Backup +backup-before-merge-20230504-100000-p6\n/);
    expect(shown).toMatch(/Tag +integration-20230504-100000-p6\n/);
  });

  test("the commands it names mean the same queue", async () => {
    const path = await variety();
    const { stdout } = await cli(["status", "--db", path, "--id", "1"]);
    expect(stdout).toContain(`orchestrator-merge retry --db ${path} 1`);
  });

  test("narrow: labels above their values, ids and paths whole", async () => {
    const shown = await status(await variety(), ["--id", "6"], 40);
    expect(shown).toContain(`  Merge commit\n    ${"6".repeat(40)}\n`);
  });
});

describe("refusals", () => {
  test.each<[string[], number, string]>([
    [["--id", "99"], 5, "no project 99"],
    [["--id", "x"], 2, '--id does not take "x"'],
    [["--id", "1", "--held"], 2, "--id shows one project"],
    [["--limit", "0"], 2, '--limit does not take "0"'],
    [["--limit", "x"], 2, '--limit does not take "x"'],
    [["--watch"], 2, "--watch needs a terminal"],
    [["--watch", "--json"], 2, "--watch repaints"],
    [["--meged"], 2, "unknown flag --meged"],
  ])("%j: exit %d", async (words, code, sentence) => {
    const result = await cli(["status", "--db", await queueDb(temporaryDirectory(), { rows: [{}] }), ...words]);
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(sentence);
    if (!words.includes("--json")) expect(result.stdout).toBe("");
  });

  test("a database that we never migrated: exit 3, and the command", async () => {
    const path = await queueDb(temporaryDirectory(), { variant: "originalMigrated", migrated: false });
    const result = await cli(["status", "--db", path]);
    expect(result).toMatchObject({ code: 3, stdout: "" });
    expect(result.stderr).toContain("orchestrator-merge migrate");
  });
});

test.each(["status", "run", "stats"])(
  "%s with an id that is beyond 2^53: exit 3 and the way out, or no harm",
  async (name) => {
    const path = await queueDb(temporaryDirectory());
    await sql(
      path,
      "INSERT INTO project_queue (id, spec_path, status) VALUES (9223372036854775807, '/s/a.md', 'completed')",
    );
    const { code, stderr, stdout } = await cli([name, "--db", path]);
    if (name === "stats") return expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toContain("9223372036854775807, which is beyond 9007199254740991");
    const [repair] = /UPDATE project_queue .*;/.exec(stderr) ?? [];
    await sql(path, repair ?? "");
    expect((await cli(["status", "--db", path])).code).toBe(0);
  },
);

test.each(["file:", "file://", "file://localhost"])("--db %s/path is that file", async (scheme) => {
  const path = await queueDb(temporaryDirectory(), { name: "a b.db" });
  const { code, stdout } = await cli(["status", "--db", scheme + path.replace(" ", "%20"), "--json"], { cwd: "/" });
  expect([code, JSON.parse(stdout).database]).toEqual([0, path]);
});

describe("only reads", () => {
  test("no byte of the database changes, and nothing is left beside it", async () => {
    const path = await variety();
    await sql(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    const before = readFileSync(path);
    for (const words of [[], ["--all"], ["--id", "1"], ["--json"]]) await status(path, words);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(join(path, ".."))).toEqual(["task_queue.db"]);
  });

  // A mount that is read-only holds for root too; without root, a private user namespace allows the mount.
  test("works where nobody may write", async () => {
    const directory = join(temporaryDirectory(), "ro");
    mkdirSync(directory);
    const path = join(directory, "task_queue.db");
    const made = await variety();
    await sql(made, "PRAGMA wal_checkpoint(TRUNCATE)");
    copyFileSync(made, path);
    const script =
      'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && ! touch "$1/x" 2>/dev/null && shift && exec "$@"';
    const { file, args } = program();
    const words = [directory, file, ...args, "status", "--db", path];
    const result = await run("unshare", [process.getuid?.() === 0 ? "-m" : "-rm", "sh", "-c", script, "sh", ...words]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toContain("❌[MERGE FAILED]   web_server");
  });
});

test("--watch paints on the alternate screen, ends on q and gives the terminal back", async () => {
  const { file, args } = program();
  const command = [file, ...args, "status", "--watch", "--db", await variety()].join(" ");
  // script (bsdutils) gives the program a terminal of its own; q waits there until it is asked for.
  const { code, stdout } = await run("script", ["-qec", command, "/dev/null"], { stdin: "q", env: { TERM: "xterm" } });
  expect(code).toBe(0);
  const screen = stdout.slice(stdout.indexOf("\x1b[?1049h"));
  expect(screen.startsWith("\x1b[?1049h\x1b[?25l\x1b[?2026h\x1b[H")).toBe(true);
  expect(screen).toContain("❌[MERGE FAILED]");
  expect(screen).not.toContain("\x1b[2J");
  expect(screen.endsWith("\x1b[?25h\x1b[?1049l")).toBe(true);
});
