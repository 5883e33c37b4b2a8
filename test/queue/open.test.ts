import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient } from "@libsql/client/sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { UserError } from "../../src/core/errors.ts";
import { type OpenOptions, openQueue, type Queue } from "../../src/queue/database.ts";
import { run } from "../helpers/cli.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { insertRows, otherWriter, queueDb, sql, withRollbackJournal } from "../helpers/queueDb.ts";

async function open(location: string, mode: OpenOptions["mode"] = "write", timeoutMs?: number): Promise<Queue> {
  const queue = await openQueue({ location, mode, timeoutMs });
  onTestFinished(() => queue.close());
  return queue;
}

async function refusal(options: OpenOptions): Promise<UserError> {
  const error = await openQueue(options).then(
    async (queue) => {
      await queue.close();
      return "it opened";
    },
    (reason: unknown) => reason,
  );
  if (!(error instanceof UserError)) throw error;
  return error;
}

const digest = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("a queue that is there", () => {
  test("reads and writes, whole numbers as INTEGER and large ones unharmed", async () => {
    const path = await queueDb(temporaryDirectory(), { variant: "ignore", rows: [{}, {}] });
    const queue = await open(path);
    expect(queue).toMatchObject({ location: path, kind: "file" });
    expect(queue.columns.has("merged_status")).toBe(true);
    const changed = await queue.write((tx) =>
      tx.run("UPDATE project_queue SET merged_at = ?, started_at = ?, completed_at = ? WHERE id = ?", [
        600,
        700,
        2n ** 62n,
        1,
      ]),
    );
    expect(changed).toBe(1);
    const [row] = await queue.read(
      "SELECT merged_at, completed_at, typeof(started_at) AS type FROM project_queue WHERE id = :id",
      { id: 1 },
    );
    expect(row).toMatchObject({ merged_at: 600, completed_at: 2n ** 62n, type: "integer" });
  });

  test("a path with every awkward character is one file", async () => {
    const directory = temporaryDirectory();
    const path = await queueDb(directory, { name: "a b%20c?d#e&f=\n'$(x)`é.db" });
    const queue = await open(path);
    expect(await queue.write((tx) => tx.run("INSERT INTO merge_meta VALUES ('a', 'b')"))).toBe(1);
    await queue.close();
    expect(readdirSync(directory).filter((name) => !name.startsWith("a b%20c?d#e&f=\n'$(x)`é.db"))).toEqual([]);
  });

  test("what others write is seen by the next read", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}] });
    const queue = await open(path, "read");
    await queue.read("SELECT id FROM project_queue WHERE id = ?", [1]);
    await sql(path, "UPDATE project_queue SET priority = 9 WHERE id = 1");
    expect((await queue.read("SELECT priority FROM project_queue"))[0]).toMatchObject({ priority: 9 });
  });

  test("a transaction that throws changes nothing and leaves no lock", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}] });
    const queue = await open(path);
    const broken = queue.write(async (tx) => {
      await tx.run("UPDATE project_queue SET priority = 9");
      throw new Error("stop");
    });
    await expect(broken).rejects.toThrow("stop");
    const constraint = queue.write((tx) => tx.run("INSERT INTO project_queue (id, spec_path) VALUES (1, 'x')"));
    await expect(constraint).rejects.toThrow("UNIQUE");
    await sql(path, "UPDATE project_queue SET status = 'queued'");
    expect((await queue.read("SELECT priority, status FROM project_queue"))[0]).toMatchObject({
      priority: 0,
      status: "queued",
    });
  });

  test("calls at the same time wait for each other; only the transaction may be used inside write", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}] });
    const queue = await open(path);
    const add = (): Promise<number> =>
      queue.write(async (tx) => {
        const [row] = await tx.all("SELECT priority FROM project_queue");
        await turn();
        return tx.run("UPDATE project_queue SET priority = ?", [Number(row?.["priority"]) + 1]);
      });
    await Promise.all([add(), queue.read("SELECT 1"), add(), add()]);
    expect((await queue.read("SELECT priority FROM project_queue"))[0]).toMatchObject({ priority: 3 });
    await expect(queue.write(() => queue.read("SELECT 1"))).rejects.toThrow("inside write()");
  });

  test("a lock that is released in time is waited for, and work runs again from its start", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}] });
    const queue = await open(path, "write", 2000);
    const holder = createClient({ url: `file:${path}`, concurrency: 1 });
    onTestFinished(() => holder.close());
    const lock = await holder.transaction("write");
    await lock.execute("UPDATE project_queue SET priority = 5");
    const writing = queue.write((tx) => tx.run("UPDATE project_queue SET priority = priority + 1"));
    await turn(); // by now the first try has failed: it blocks the event loop
    await lock.commit();
    expect(await writing).toBe(1);
    expect((await queue.read("SELECT priority FROM project_queue"))[0]).toMatchObject({ priority: 6 });
  });

  test("a lock that stays is told, and the queue works again when it is gone", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}] });
    const queue = await open(path, "write", 10);
    const holder = createClient({ url: `file:${path}`, concurrency: 1 });
    onTestFinished(() => holder.close());
    const lock = await holder.transaction("write");
    const error = await queue.write((tx) => tx.run("UPDATE project_queue SET priority = 1")).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 3, sentence: `the queue database ${path} stayed locked by another program.` });
    lock.close();
    expect(await queue.write((tx) => tx.run("UPDATE project_queue SET priority = 1"))).toBe(1);
  });

  test("mode read changes no byte and refuses to write", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}] });
    const before = digest(path);
    const queue = await open(path, "read");
    await queue.read("SELECT * FROM project_queue");
    await expect(queue.read("UPDATE project_queue SET priority = 9")).rejects.toMatchObject({ code: 3 });
    await expect(async () => queue.write((tx) => tx.run("UPDATE project_queue SET priority = 9"))).rejects.toThrow();
    await queue.close();
    expect(digest(path)).toBe(before);
  });

  test("the journal mode stays as it is, and a writer leaves no WAL behind", async () => {
    const path = await queueDb(temporaryDirectory(), { rows: [{}] });
    const queue = await open(path);
    await queue.write((tx) => tx.run("UPDATE project_queue SET priority = 1"));
    await queue.close();
    expect(readFileSync(`${path}-wal`, { flag: "a+" }).length).toBe(0);
    const old = withRollbackJournal(path);
    await (await open(old)).close();
    expect((await sql(old, "PRAGMA journal_mode"))[0]).toMatchObject({ journal_mode: "delete" });
  });
});

test("beside a Python-like writer every increment of both arrives, in either journal mode", async () => {
  for (const mode of ["WAL", "DELETE"]) {
    const made = await queueDb(temporaryDirectory(), { rows: [{}] });
    const path = mode === "WAL" ? made : withRollbackJournal(made);
    const queue = await open(path);
    const other = await otherWriter(path);
    for (let i = 0; i < 150; i++) {
      await queue.write((tx) => tx.run("UPDATE project_queue SET priority = priority + 1 WHERE id = 1"));
    }
    const theirs = await other.stop();
    expect(theirs).toBeGreaterThan(0);
    const [row] = await queue.read("SELECT priority FROM project_queue WHERE id = 1");
    expect(row).toMatchObject({ priority: 150 + theirs });
  }
});

describe("bad input: exit 3 and the way out", () => {
  type Case = [what: string, make: (directory: string) => string | Promise<string>, sentence: RegExp, wayOut: RegExp];
  const migrateIt = /^(Run|Make one with): orchestrator-merge migrate --db \S+$/;
  const pointElsewhere = /^Point --db at the orchestrator's task_queue\.db\.$/;
  const cases: Case[] = [
    ["missing", (dir) => join(dir, "no.db"), /^there is no queue database at .*no\.db\.$/, migrateIt],
    [
      "in no directory",
      (dir) => join(dir, "no/q.db"),
      /^the directory .*\/no of the .* not there\.$/,
      /mkdir -p \S+\/no && /,
    ],
    ["a directory", (dir) => dir, /is a directory/, /<directory>\/task_queue\.db/],
    ["below a file", (dir) => join(file(dir, "f", "x"), "q.db"), /a part of the path .* is a file/, /Correct --db/],
    ["a device", () => "/dev/null", /is not a regular file/, pointElsewhere],
    ["empty", (dir) => file(dir, "q.db", ""), /is an empty file/, migrateIt],
    ["text", (dir) => file(dir, "q.db", "hello\n".repeat(500)), /is not a SQLite database/, pointElsewhere],
    ["a few bytes", (dir) => file(dir, "q.db", "hello"), /is not a SQLite database/, pointElsewhere],
    ["truncated", truncated, /is damaged: database disk image is malformed/, /sqlite3 .* \.recover/],
    ["without any table", (dir) => made(dir, "VACUUM"), /is empty/, migrateIt],
    ["of another program", (dir) => made(dir, "CREATE TABLE tasks (id)"), /has no table project_queue/, pointElsewhere],
    [
      "without needed columns",
      (dir) => made(dir, "CREATE TABLE project_queue (id INTEGER PRIMARY KEY, spec_path)"),
      /the table project_queue in .* lacks status\./,
      pointElsewhere,
    ],
    ["unmigrated", (dir) => queueDb(dir, { migrated: false }), /is not migrated for this program/, migrateIt],
    [
      "migrated by the original only",
      (dir) => queueDb(dir, { variant: "originalMigrated", migrated: false }),
      /is not migrated for this program/,
      migrateIt,
    ],
    ["without our columns any more", rebuilt, /has lost merged_status and merged_at/, migrateIt],
    [
      "migrated by a newer program",
      (dir) => changed(dir, "UPDATE merge_schema SET version = 99"),
      /was migrated by a newer orchestrator-merge \(schema 99, this one knows 3\)/,
      /Install the newer version/,
    ],
  ];
  for (const mode of ["read", "write"] as const) {
    test.each(cases)(`${mode}: %s`, async (_, make, sentence, wayOut) => {
      const directory = temporaryDirectory();
      const location = await make(directory);
      const before = readdirSync(directory);
      const error = await refusal({ location, mode });
      expect(error).toMatchObject({ code: 3 });
      expect(error.sentence).toMatch(sentence);
      expect(error.wayOut).toMatch(wayOut);
      expect(readdirSync(directory).filter((name) => !/-(wal|shm)$/.test(name))).toEqual(
        before.filter((name) => !/-(wal|shm)$/.test(name)),
      );
    });
  }

  test("control characters of a path are shown, and the command that is suggested can be pasted", async () => {
    const error = await refusal({ location: join(temporaryDirectory(), "a\n\x1b[31m b'.db"), mode: "read" });
    expect(error.sentence).toMatch(/a\\n\\x1b\[31m b'\.db\.$/);
    expect(error.wayOut).toMatch(/--db \$'\/\S*a\\x0a\\x1b\[31m b\\'\.db'$/);
  });

  test("a link that leads nowhere is a missing database, and nothing is made", async () => {
    const directory = temporaryDirectory();
    symlinkSync(join(directory, "gone.db"), join(directory, "q.db"));
    expect((await refusal({ location: join(directory, "q.db"), mode: "write" })).sentence).toMatch(
      /^there is no queue/,
    );
    expect(readdirSync(directory)).toEqual(["q.db"]);
  });
});

describe("where this user may not write", () => {
  const root = process.getuid?.() === 0;
  /** A mount that is read-only holds for root too; without root, a private user namespace allows the mount. */
  async function readOnly(directory: string, path: string, mode: string): Promise<string> {
    const script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" "$3" "$4" "$5"';
    const { stdout, stderr } = await run("unshare", [
      ...(root ? ["-m"] : ["-rm"]),
      ...["sh", "-c", script, "sh", directory, process.execPath, program("try-open.ts"), path, mode],
    ]);
    return stdout === "" ? stderr : stdout;
  }

  test.each<[string, (path: string, alone: string) => string]>([
    ["a database in WAL mode with its side files", (path) => path],
    ["a database in WAL mode without them", copied],
    ["a database with a rollback journal", (path) => withRollbackJournal(path)],
  ])("%s is read, and refused for writing", async (_, choose) => {
    const directory = join(temporaryDirectory(), "ro");
    mkdirSync(directory);
    const path = choose(await queueDb(directory, { rows: [{}, {}] }), join(directory, "alone.db"));
    expect(await readOnly(directory, path, "read")).toBe("rows 2");
    expect(await readOnly(directory, path, "write")).toMatch(/^3 the queue database .* cannot be written/);
  });

  test("what is in a WAL that cannot be read is not passed over", async () => {
    const directory = join(temporaryDirectory(), "ro");
    mkdirSync(directory);
    const path = await queueDb(directory, { rows: [{}] });
    const alone = join(directory, "alone.db");
    copyFileSync(path, alone);
    await insertRows(path, [{}]);
    copyFileSync(`${path}-wal`, `${alone}-wal`);
    expect(await readOnly(directory, alone, "read")).toMatch(/^3 the queue database .* cannot be opened/);
  });
});

describe("a server", () => {
  const answering = async (status: number, body: string): Promise<string> => {
    const server = createServer((_, response) => response.writeHead(status).end(body)).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    // Only an IP listener has an AddressInfo, and this is one.
    const { port } = server.address() as AddressInfo;
    return `127.0.0.1:${port}`;
  };

  test("that is not there", async () => {
    const host = await answering(200, "");
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo;
        server.close(() => resolve(port));
      });
    });
    expect(host).not.toContain(String(port));
    const error = await refusal({ location: `http://127.0.0.1:${port}`, mode: "read" });
    expect(error).toMatchObject({ code: 3, sentence: expect.stringMatching(/cannot be reached \(ECONNREFUSED\)/) });
  });

  test.each(["http", "ws"])("that refuses the token (%s)", async (scheme) => {
    const location = `${scheme}://${await answering(401, "no")}`;
    const error = await refusal({ location, mode: "write", authToken: "very-secret" });
    expect(error.sentence).toBe(`the server ${location} refuses the token (HTTP 401).`);
    expect(error.wayOut).toContain("ORCHESTRATOR_MERGE_AUTH_TOKEN");
    expect(JSON.stringify(error) + error.message).not.toContain("very-secret");
  });

  test("that is something else", async () => {
    const page = await refusal({ location: `http://${await answering(200, "<html>")}`, mode: "read" });
    expect(page).toMatchObject({ code: 3, sentence: expect.stringMatching(/is no libSQL server/) });
    const missing = await refusal({ location: `http://${await answering(404, "")}`, mode: "read" });
    expect(missing.sentence).toMatch(/answers HTTP 404/);
  });

  test.each([
    ["postgres://host/db", /begins with postgres:\/\//],
    ["libsql://user:very-secret@host", /carries a secret/],
    ["libsql://host?authToken=very-secret", /carries a secret/],
    ["http://", /is not that of a libSQL server/],
  ])("a URL that cannot be: %s", async (location, sentence) => {
    const error = await refusal({ location, mode: "read" });
    expect(error).toMatchObject({ code: 2 });
    expect(error.sentence).toMatch(sentence);
    expect(error.message).not.toContain("very-secret");
  });
});

function copied(path: string, to: string): string {
  copyFileSync(path, to);
  return to;
}

const program = (name: string): string => fileURLToPath(new URL(`programs/${name}`, import.meta.url));

function file(directory: string, name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

async function made(directory: string, statement: string): Promise<string> {
  const path = join(directory, "made.db");
  await sql(path, statement);
  return path;
}

async function changed(directory: string, statement: string): Promise<string> {
  const path = await queueDb(directory);
  await sql(path, statement);
  return path;
}

async function truncated(directory: string): Promise<string> {
  const path = await queueDb(directory, { rows: Array.from({ length: 200 }, () => ({})) });
  truncateSync(path, 3 * 4096 + 100);
  return path;
}

/** A script of the orchestrator that copies its table into a new one, with the columns it knows. */
async function rebuilt(directory: string): Promise<string> {
  const path = await queueDb(directory, { variant: "lean", rows: [{}] });
  const columns = "id, spec_path, project_path, status, enqueued_at, started_at, completed_at, priority, error_message";
  await sql(path, `CREATE TABLE project_queue_new AS SELECT ${columns} FROM project_queue`);
  await sql(path, "DROP TABLE project_queue");
  await sql(path, "ALTER TABLE project_queue_new RENAME TO project_queue");
  return path;
}
