import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@libsql/client/sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { openQueue } from "../../src/queue/database.ts";
import { generationOf } from "../../src/queue/generation.ts";
import { type MigrateOptions, type Migration, migrate } from "../../src/queue/migrate.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { remember } from "../helpers/memory.ts";
import {
  insertRows,
  now,
  otherWriter,
  type QueueRow,
  queueDb,
  sql,
  type Variant,
  withRollbackJournal,
} from "../helpers/queueDb.ts";

const run = (location: string, options: Partial<MigrateOptions> = {}): Promise<Migration> =>
  migrate({ location, dryRun: false, baseline: null, now, ...options });

const indexes = ["idx_merged_status", "idx_status_merged", "merge_recent", "merge_candidates", "merge_completed"];
const ownTables = ["attempt", "landing", "lease", "meta", "project", "project_tag", "push", "run", "schema", "source"];

/** Everything a database holds, as text. */
async function contents(path: string): Promise<string> {
  const schema = await sql(path, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
  const tables = schema.filter((row) => row["type"] === "table").map((row) => String(row["name"]));
  const rows = await Promise.all(tables.map((table) => sql(path, `SELECT * FROM "${table}"`)));
  return JSON.stringify([schema, rows]);
}

async function merged(path: string): Promise<Record<string, unknown>> {
  const rows = await sql(path, "SELECT id, merged_status FROM project_queue ORDER BY id");
  return Object.fromEntries(rows.map((row) => [String(row["id"]), row["merged_status"]]));
}

describe("every layout", () => {
  const rows: QueueRow[] = [
    {},
    { status: "COMPLETED" },
    { status: "queued" },
    { status: "FAILED" },
    { status: "processing" },
    { status: "Completed", spec_path: "/a/'quoted'\n$(x).md" },
  ];
  const variants: [Variant, added: string[], indexesAdded: string[]][] = [
    ["classic", ["merged_status", "merged_at"], indexes],
    ["lean", ["merged_status", "merged_at"], indexes],
    ["extended", ["merged_status", "merged_at"], indexes],
    ["ignore", ["merged_status", "merged_at"], indexes],
    ["originalMigrated", [], indexes.slice(2)],
    ["minimal", ["merged_status", "merged_at", "error_message"], indexes.slice(0, 4)],
  ];
  test.each(variants)("%s: gains what it lacks, once, and nothing else changes", async (variant, columns, added) => {
    const path = await queueDb(temporaryDirectory(), { variant, rows, migrated: false });
    const before = await sql(path, "SELECT * FROM project_queue ORDER BY id");
    const others = await sql(
      path,
      "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'project_queue' ORDER BY 1",
    );

    const rehearsed = await run(path, { dryRun: true });
    const done = await run(path);
    expect(done).toMatchObject({
      created: false,
      fromVersion: null,
      toVersion: 3,
      columnsAdded: columns,
      indexesAdded: added,
      backfilled: 3,
      skipped: 0,
      journalMode: "wal",
      notes: [],
      willLand: 3,
      oldest: { id: 1, name: "project_1", completedAt: variant === "minimal" ? null : now - 3_599_000 },
    });
    expect(rehearsed).toEqual({ ...done, dryRun: true, journalMode: "delete" });

    const after = await sql(path, "SELECT * FROM project_queue ORDER BY id");
    const expected = [1, 2, 6];
    expect(after).toEqual(
      before.map((row) => ({
        ...row,
        ...Object.fromEntries(columns.map((name) => [name, null])),
        merged_status: expected.includes(Number(row["id"])) ? "pending_merge" : null,
      })),
    );
    const schema = await sql(path, "SELECT name, sql FROM sqlite_schema ORDER BY 1");
    for (const other of others) expect(schema).toContainEqual(other);
    const names = schema.map((row) => String(row["name"]));
    expect(names).toEqual(
      expect.arrayContaining([...indexes.slice(0, 4), ...ownTables.map((name) => `merge_${name}`)]),
    );
    await (await openQueue({ location: path, mode: "write" })).close();

    const complete = await contents(path);
    expect(await run(path)).toMatchObject({
      fromVersion: 3,
      columnsAdded: [],
      indexesAdded: [],
      backfilled: 0,
      before: done.after,
      after: done.after,
      willLand: 3,
    });
    expect(await contents(path)).toBe(complete);
  });

  test("merged_at takes whole unix seconds as INTEGER", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}] });
    const queue = await openQueue({ location: path, mode: "write" });
    onTestFinished(() => queue.close());
    await queue.write((tx) => tx.run("UPDATE project_queue SET merged_at = ?", [1_777_888_800]));
    expect((await sql(path, "SELECT typeof(merged_at) AS type FROM project_queue"))[0]).toMatchObject({
      type: "integer",
    });
  });

  test("the values of others stay", async () => {
    const rows = ["merged", "merge_failed", "pending_merge", "skipped", "whatever", ""].map((merged_status) => ({
      merged_status,
    }));
    const path = await queueDb(temporaryDirectory(), { variant: "originalMigrated", rows });
    expect(Object.values(await merged(path))).toEqual(rows.map(({ merged_status }) => merged_status));
  });

  test("a table that a script has rebuilt gets its columns and indexes back, our tables stay", async () => {
    const path = await queueDb(temporaryDirectory(), { variant: "lean", rows: [{}] });
    await sql(path, "INSERT INTO merge_meta VALUES ('kept', 'yes')");
    await sql(path, "CREATE TABLE copy (id INTEGER PRIMARY KEY, spec_path TEXT, status TEXT, completed_at)");
    await sql(path, "INSERT INTO copy SELECT id, spec_path, status, completed_at FROM project_queue");
    await sql(path, "DROP TABLE project_queue");
    await sql(path, "ALTER TABLE copy RENAME TO project_queue");
    expect(await run(path)).toMatchObject({
      fromVersion: 3,
      columnsAdded: ["merged_status", "merged_at", "error_message"],
      indexesAdded: indexes,
      backfilled: 1,
    });
    expect(await sql(path, "SELECT * FROM merge_meta")).toMatchObject([{ key: "kept", value: "yes" }]);
  });

  test("text that is no UTF-8 is read without harm", async () => {
    const path = await queueDb(temporaryDirectory(), { variant: "ignore", rows: [{}], migrated: false });
    const broken =
      "UPDATE project_queue SET spec_path = CAST(x'2fff412e6d64' AS TEXT), completed_at = CAST(x'ff' AS TEXT)";
    await sql(path, broken);
    expect((await run(path)).oldest).toEqual({ id: 1, name: "\ufffdA", completedAt: null });
  });
});

describe("our tables", () => {
  test("hold nothing that SQLite before 3.37 cannot parse: it would refuse the whole file", async () => {
    const path = await queueDb(temporaryDirectory());
    const made = await sql(path, "SELECT name, sql FROM sqlite_schema WHERE name LIKE 'merge_%' AND sql IS NOT NULL");
    expect(made).toHaveLength(26);
    // Since 3.37, 3.31 and 3.38. Tried once: 3.28 refuses the file for one STRICT, and reads, writes and checks it without.
    for (const { name, sql: statement } of made) {
      expect(String(statement).replace(/--.*/g, ""), String(name)).not.toMatch(
        /\bSTRICT\b|\bGENERATED\b|\bAS\s*\(|->/i,
      );
    }
    const strict = await sql(path, "SELECT name FROM pragma_table_list WHERE strict");
    expect(strict).toEqual([]);
  });

  test("what STRICT gave is there without it: keys are not NULL, whole numbers stay whole numbers", async () => {
    const path = await queueDb(temporaryDirectory());
    const columns = await sql(
      path,
      `SELECT t.name || '.' || c.name AS name, c.type, c.pk, c."notnull" AS required FROM pragma_table_list AS t
       JOIN pragma_table_info(t.name) AS c WHERE t.name LIKE 'merge_%'`,
    );
    expect(new Set(columns.map((column) => column["type"]))).toEqual(new Set(["INTEGER", "TEXT"]));
    const keys = columns.filter(({ pk }) => Number(pk) > 0);
    expect(keys).toHaveLength(18);
    const nullable = keys.filter(({ type, required }) => Number(required) === 0 && type !== "INTEGER");
    expect(nullable).toEqual([]);

    const queue = await openQueue({ location: path, mode: "write" });
    onTestFinished(() => queue.close());
    await queue.write((tx) =>
      tx.run("INSERT INTO merge_project (project_id, generation, state, since, failures) VALUES (?,?,?,?,?)", [
        ...[1, "[]", "skipped", now, 2],
      ]),
    );
    const types = "typeof(project_id) AS id, typeof(since) AS since, typeof(failures) AS failures";
    const [row] = await queue.read(`SELECT ${types}, since AS at FROM merge_project`);
    expect(row).toMatchObject({ id: "integer", since: "integer", failures: "integer", at: now });
  });
});

describe("what others have settled is remembered", () => {
  const memory = (path: string) => sql(path, "SELECT * FROM merge_project ORDER BY project_id");

  test.each<Variant>(["originalMigrated", "ignore", "minimal"])("%s: as it was completed then", async (variant) => {
    const words = ["merged", "merge_failed", "rolled_back", "skipped", 'somebody\'s "word"', ""];
    const times = [now / 1000 - 0.123456, "2026-05-04 10:00:00", String(now / 1000), null, 5, 1e300];
    const rows = words.map((_, index) => ({
      ...(variant === "minimal" ? {} : { started_at: 0.1 + index, completed_at: times[index] ?? null }),
      status: index === 1 ? "COMPLETED" : "completed",
    }));
    const path = await queueDb(temporaryDirectory(), {
      variant,
      rows: [...rows, {}, { status: "queued" }],
      migrated: false,
    });
    if (variant !== "originalMigrated") await sql(path, "ALTER TABLE project_queue ADD COLUMN merged_status TEXT");
    for (const [index, word] of words.entries()) {
      await sql(path, "UPDATE project_queue SET merged_status = ? WHERE id = ?", [word, index + 1]);
    }
    const done = await run(path);
    expect(done).toMatchObject({ backfilled: 1, skipped: 0, willLand: 1 });
    const stored = await sql(path, "SELECT * FROM project_queue ORDER BY id");
    const states = ["merged", "failed", "rolled_back", "skipped", "skipped", "skipped"];
    const nothing = {
      reason: null,
      detail: null,
      judged_on: null,
      failures: 0,
      next_attempt_at: null,
      roles_json: null,
    };
    expect(await memory(path)).toEqual(
      words.map((word, index) => ({
        ...{ project_id: index + 1, generation: generationOf(stored[index] ?? never()), recorded_status: word },
        ...{ state: states[index], since: now, ...nothing, attempt_id: null },
      })),
    );

    const complete = await contents(path);
    await run(path, { now: now + 5 });
    expect(await contents(path)).toBe(complete);
    // Known by now, or settled since.
    await sql(path, "UPDATE project_queue SET merged_status = 'merged' WHERE id IN (6, 7)");
    await run(path, { now: now + 5 });
    expect(
      (await memory(path)).map(({ project_id, since, state }) => [project_id, Number(since) - now, state]),
    ).toEqual([...[1, 2, 3, 4, 5].map((id) => [id, 0, states[id - 1]]), ...[6, 7].map((id) => [id, 5, "merged"])]);
  });

  test("what the baseline skips too, whatever was remembered of it", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}, {}] });
    await remember(path, 2, "held", {
      reason: "dirty_source",
      detail: "a.txt",
      failures: 3,
      next_attempt_at: 9,
      attempt_id: "A",
    });
    expect(await run(path, { baseline: "now", now: now + 5 })).toMatchObject({ skipped: 2 });
    const skipped = { recorded_status: "skipped", state: "skipped", since: now + 5, reason: null, detail: null };
    expect(await memory(path)).toMatchObject(
      [1, 2].map((id) => ({ project_id: id, ...skipped, failures: 0, next_attempt_at: null, attempt_id: null })),
    );
  });

  test("of what is not completed now, only an outcome of the completion before: a wish in advance is none", async () => {
    const rows = ["merged", "merge_failed", "rolled_back", "skipped", "word", "pending_merge", null].map((word) => ({
      status: "processing",
      merged_status: word,
    }));
    const spread = rows.map((row, index) => ({ ...row, main_session: `s${index}` }));
    const path = await queueDb(temporaryDirectory(), { variant: "originalMigrated", rows: spread });
    expect((await memory(path)).map(({ project_id, state }) => [project_id, state])).toEqual([
      [1, "merged"],
      [2, "failed"],
      [3, "rolled_back"],
    ]);
    // Nor is one that comes later, of a row that we know.
    await sql(path, "UPDATE project_queue SET merged_status = 'rolled_back' WHERE id = 1");
    await run(path);
    expect((await memory(path))[0]).toMatchObject({ project_id: 1, recorded_status: "merged" });
  });

  test("text that is no UTF-8 is left out, and the rest is remembered", async () => {
    const path = await queueDb(temporaryDirectory(), {
      variant: "originalMigrated",
      rows: [{ merged_status: "merged" }, { merged_status: "merged" }],
      migrated: false,
    });
    await sql(path, "UPDATE project_queue SET merged_status = CAST(x'ff' AS TEXT) WHERE id = 1");
    await sql(path, "UPDATE project_queue SET spec_path = CAST(x'2fff' AS TEXT) WHERE id = 2");
    await run(path);
    expect(await memory(path)).toMatchObject([{ project_id: 2, generation: expect.stringMatching(/^\["\/\ufffd",/) }]);
  });

  test("more rows than are written at once, beside a writer that hardly pauses; and what a killed migrate left out", async () => {
    const path = await queueDb(temporaryDirectory(), {
      variant: "originalMigrated",
      rows: [{ status: "queued" }],
      migrated: false,
    });
    await sql(
      path,
      `WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 25001)
       INSERT INTO project_queue (id, spec_path, status, merged_status, completed_at) SELECT i, '/s' || i, 'completed', 'merged', i FROM n`,
    );
    const other = await otherWriter(path);
    await run(path);
    await other.stop();
    const known = async (): Promise<unknown> => (await sql(path, "SELECT count(*) AS n FROM merge_project"))[0]?.["n"];
    expect(await known()).toBe(25_000);
    await sql(path, "DELETE FROM merge_project WHERE project_id % 2 = 0");
    await run(path);
    expect(await known()).toBe(25_000);
    expect((await sql(path, "SELECT generation FROM merge_project WHERE project_id = 20002"))[0]).toMatchObject({
      generation: '["/s20002",null,20002]',
    });
  });
});

describe("no queue yet", () => {
  test("a missing file is made in the orchestrator's layout", async () => {
    const path = join(temporaryDirectory(), "new queue.db");
    const rehearsed = await run(path, { dryRun: true });
    expect(existsSync(path)).toBe(false);
    const done = await run(path);
    expect(done).toMatchObject({ created: true, columnsAdded: ["merged_status", "merged_at"], journalMode: "wal" });
    expect(rehearsed).toEqual({ ...done, dryRun: true, journalMode: null });
    const classic = await queueDb(temporaryDirectory(), { migrated: false });
    const columns = (of: string): Promise<unknown> =>
      sql(of, "SELECT name FROM pragma_table_info('project_queue') WHERE name NOT LIKE 'merged%'");
    expect(await columns(path)).toEqual(await columns(classic));
    // The orchestrator adds rows, with its defaults and its rules.
    await sql(path, "INSERT INTO project_queue (spec_path, project_path) VALUES ('/a.md', '/a')");
    await expect(
      sql(path, "INSERT INTO project_queue (spec_path, project_path) VALUES ('/a.md', '/a')"),
    ).rejects.toThrow();
    expect(await sql(path, "SELECT status, priority FROM project_queue")).toMatchObject([
      { status: "queued", priority: 0 },
    ]);
    await (await openQueue({ location: path, mode: "write" })).close();
  });

  test.each([
    ["an empty file", (path: string) => Promise.resolve(writeFileSync(path, ""))],
    ["a database without tables", (path: string) => sql(path, "VACUUM")],
  ])("%s becomes a queue", async (_, make) => {
    const path = join(temporaryDirectory(), "q.db");
    await make(path);
    expect(await run(path)).toMatchObject({ created: true });
    await (await openQueue({ location: path, mode: "write" })).close();
  });

  test("a directory that is not there: refused, or made when nobody typed it", async () => {
    const path = join(temporaryDirectory(), "state/deep/q.db");
    await expect(run(path)).rejects.toMatchObject({ code: 3, wayOut: expect.stringContaining("mkdir -p") });
    await expect(run(path, { dryRun: true })).rejects.toMatchObject({ code: 3 });
    expect(await run(path, { dryRun: true, makeDirectory: true })).toMatchObject({ created: true });
    expect(existsSync(join(path, "..", ".."))).toBe(false);
    expect(await run(path, { makeDirectory: true })).toMatchObject({ created: true });
    expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
  });
});

describe("what is refused is left alone", () => {
  const cases: [string, (directory: string) => Promise<string>, RegExp][] = [
    ["a newer schema", newer, /was migrated by a newer orchestrator-merge \(schema 99/],
    ["another program's database", (dir) => made(dir, "CREATE TABLE cookies (id)"), /has no table project_queue/],
    ["a table without status", (dir) => made(dir, "CREATE TABLE project_queue (id, spec_path)"), /lacks status/],
    ["a table of our names", taken, /already has a table merge_run/],
    ["text", async (dir) => file(dir, "words ".repeat(1000)), /is not a SQLite database/],
    ["a truncated database", truncated, /is damaged/],
    ["a row that will not change", stubborn, /1 rows of .* could not be marked/],
  ];
  test.each(cases)("%s", async (_, make, sentence) => {
    const directory = temporaryDirectory();
    const path = await make(directory);
    const [bytes, names] = [readFileSync(path), readdirSync(directory)];
    const error = await run(path).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 3, sentence: expect.stringMatching(sentence) });
    const withoutSide = (list: string[]): string[] => list.filter((name) => !/-(wal|shm)$/.test(name));
    expect(withoutSide(readdirSync(directory))).toEqual(withoutSide(names));
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test("a baseline yet to come", async () => {
    const path = await queueDb(temporaryDirectory(), { migrated: false });
    await expect(run(path, { baseline: now + 1 })).rejects.toMatchObject({ code: 2 });
  });
});

describe("baseline", () => {
  const hour = 3_600_000;
  const rows: QueueRow[] = [
    { completed_at: (now - 2 * hour) / 1000 },
    { completed_at: String((now - 2 * hour) / 1000) },
    { completed_at: new Date(now - 2 * hour).toISOString().replace("T", " ").slice(0, 19) },
    { completed_at: (now - hour) / 1000 },
    { completed_at: null },
    { completed_at: "garbage" },
    { status: "queued", completed_at: (now - 2 * hour) / 1000 },
    { completed_at: (now - 2 * hour) / 1000, status: "COMPLETED" },
  ];

  test("a moment skips what was completed before it, and what has an outcome keeps it", async () => {
    const path = await queueDb(temporaryDirectory(), { variant: "ignore", rows, migrated: false });
    const rehearsed = await run(path, { baseline: now - hour, dryRun: true });
    const done = await run(path, { baseline: now - hour });
    expect(done).toMatchObject({ backfilled: 3, skipped: 4, undated: 2, willLand: 3, oldest: { id: 4 } });
    expect(rehearsed).toEqual({ ...done, dryRun: true, journalMode: "delete" });
    const [old, waits] = ["skipped", "pending_merge"];
    expect(await merged(path)).toEqual({ 1: old, 2: old, 3: old, 4: waits, 5: waits, 6: waits, 7: null, 8: old });

    await sql(path, "UPDATE project_queue SET merged_status = 'merged' WHERE id = 4");
    expect(await run(path, { baseline: now })).toMatchObject({ skipped: 0, willLand: 2 });
    expect(await merged(path)).toMatchObject({ 4: "merged", 5: waits });
  });

  test("now skips all that is completed, dated or not", async () => {
    const path = await queueDb(temporaryDirectory(), { variant: "ignore", rows });
    const rehearsed = await run(path, { baseline: "now", dryRun: true });
    const done = await run(path, { baseline: "now" });
    expect(done).toMatchObject({ backfilled: 0, skipped: 7, undated: 0, willLand: 0, oldest: null });
    expect(rehearsed).toEqual({ ...done, dryRun: true });
    await insertRows(path, [{}]);
    expect(await run(path)).toMatchObject({ backfilled: 1, willLand: 1, oldest: { id: 9 } });
  });
});

test("more waiting rows than are read at once", async () => {
  const path = await queueDb(temporaryDirectory(), { migrated: false });
  await sql(
    path,
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20001)
     INSERT INTO project_queue (id, spec_path, status, completed_at) SELECT i, '/s' || i, 'completed', 1000 + i % 2 FROM n`,
  );
  const rehearsed = await run(path, { baseline: 1_001_000, dryRun: true });
  const done = await run(path, { baseline: 1_001_000 });
  expect(done).toMatchObject({ skipped: 10_000, backfilled: 10_001, undated: 0, willLand: 10_001, oldest: { id: 1 } });
  expect(rehearsed).toEqual({ ...done, dryRun: true, journalMode: "delete" });
});

test("a dry run changes no byte and leaves no file behind in a directory with a rollback journal", async () => {
  const directory = temporaryDirectory();
  const path = await queueDb(directory, { rows: [{}], migrated: false });
  const digest = (): string => createHash("sha256").update(readFileSync(path)).digest("hex");
  const [before, names] = [digest(), readdirSync(directory)];
  await run(path, { dryRun: true, baseline: "now" });
  expect([digest(), readdirSync(directory)]).toEqual([before, names]);
});

describe("beside others", () => {
  test("a writer that hardly pauses loses nothing and never fails", async () => {
    const rows = Array.from({ length: 3000 }, (_, id) => ({ status: id % 2 === 0 ? "completed" : "queued" }));
    const path = await queueDb(temporaryDirectory(), { variant: "lean", rows, migrated: false });
    const other = await otherWriter(path);
    const done = await run(path);
    const written = await other.stop();
    expect(done).toMatchObject({ backfilled: 1500, willLand: 1500 });
    const [row] = await sql(path, "SELECT priority FROM project_queue WHERE id = 1");
    expect(row).toMatchObject({ priority: 5 + written });
    const [count] = await sql(path, "SELECT count(*) AS rows FROM project_queue");
    expect(count).toMatchObject({ rows: 3000 + written });
  });

  test("two at once: one does it, the other finds it done", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}], migrated: false });
    const both = await Promise.all([run(path), run(path)]);
    expect(both.map(({ backfilled }) => backfilled).sort()).toEqual([0, 1]);
    expect(both.map(({ fromVersion }) => fromVersion).sort()).toEqual([3, null]);
  });

  test("one that ended halfway leaves a queue that is not yet migrated, and the next finishes it", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}], migrated: false });
    // In the way of the third index: what came before it is committed.
    await sql(path, "CREATE TABLE merge_recent (id)");
    await expect(run(path)).rejects.toThrow();
    await expect(openQueue({ location: path, mode: "write" })).rejects.toMatchObject({ code: 3 });
    await sql(path, "DROP TABLE merge_recent");
    expect(await run(path)).toMatchObject({
      fromVersion: null,
      columnsAdded: [],
      indexesAdded: indexes.slice(2),
      backfilled: 0,
      willLand: 1,
    });
    await (await openQueue({ location: path, mode: "write" })).close();
  });

  test("two at once on a missing file", async () => {
    const path = join(temporaryDirectory(), "q.db");
    const both = await Promise.all([run(path), run(path)]);
    expect(both.map(({ created }) => created).sort()).toEqual([false, true]);
  });

  test("a reader that stays keeps the journal mode as it is: said, and no error", async () => {
    const path = withRollbackJournal(await queueDb(temporaryDirectory(), { rows: [{}] }));
    const reader = createClient({ url: `file:${path}`, concurrency: 1 });
    onTestFinished(() => reader.close());
    const transaction = await reader.transaction("read");
    await transaction.execute("SELECT * FROM project_queue");
    const done = await run(path);
    expect(done).toMatchObject({ journalMode: "delete", willLand: 1 });
    expect(done.notes).toEqual([expect.stringMatching(/could not be switched to WAL/)]);
    transaction.close();
    await (await openQueue({ location: path, mode: "write" })).close();
  });
});

function never(): never {
  throw new Error("no such row");
}

async function made(directory: string, statement: string): Promise<string> {
  const path = join(directory, "q.db");
  await sql(path, statement);
  return path;
}

function file(directory: string, content: string): string {
  writeFileSync(join(directory, "q.db"), content);
  return join(directory, "q.db");
}

async function newer(directory: string): Promise<string> {
  const path = await queueDb(directory, { rows: [{ status: "queued" }] });
  await sql(path, "UPDATE merge_schema SET version = 99");
  await sql(path, "PRAGMA wal_checkpoint(TRUNCATE)");
  return path;
}

async function taken(directory: string): Promise<string> {
  const path = await queueDb(directory, { migrated: false });
  await sql(path, "CREATE TABLE merge_run (mine)");
  return path;
}

async function truncated(directory: string): Promise<string> {
  const path = await queueDb(directory, { rows: Array.from({ length: 200 }, () => ({})), migrated: false });
  truncateSync(path, 3 * 4096 + 100);
  return path;
}

async function stubborn(directory: string): Promise<string> {
  const path = await queueDb(directory, { rows: [{}, {}], variant: "originalMigrated", migrated: false });
  await sql(path, `CREATE TRIGGER keep BEFORE UPDATE ON project_queue WHEN old.id = 2 BEGIN SELECT RAISE(IGNORE); END`);
  return path;
}
