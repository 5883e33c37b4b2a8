import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Client, InValue, Row } from "@libsql/client";
import { createClient } from "@libsql/client/sqlite3";
import { migrate } from "../../src/queue/migrate.ts";

/** Layouts of project_queue that live databases have; FAULTS "Schema variants met in the wild" is the source. */
export type Variant =
  | "classic" // the layout before any migration
  | "lean" // session_name and fresh_start never arrived
  | "extended" // log_file and friends, priority 5
  | "ignore" // UNIQUE(spec_path, status) ON CONFLICT IGNORE
  | "originalMigrated" // the original's own migration was run: merged_status, merged_at and its two indexes
  | "minimal"; // only what cannot be missing

export type QueueRow = Record<string, InValue>;

/** 2026-05-04T10:00:00Z, the default clock of the tests, in unix milliseconds. */
export const now = Date.UTC(2026, 4, 4, 10);

/**
 * Makes `<dir>/task_queue.db` as the orchestrator would have, with the given rows, and runs our migration on it unless
 * `migrated` is false. Every row is completed unless it says otherwise: id counts from 1, the spec is
 * `/specs/project_<id>.md`, completed an hour before `now` plus one second per id, started ten minutes earlier. A row may
 * give merged_status and merged_at whatever the layout: they are set after the migration.
 * @returns the path of the file
 */
export async function queueDb(
  dir: string,
  options: { variant?: Variant; rows?: QueueRow[]; migrated?: boolean; name?: string } = {},
): Promise<string> {
  const path = join(dir, options.name ?? "task_queue.db");
  const late = ({ merged_status, merged_at, ...row }: QueueRow): QueueRow => row;
  const variant = options.variant ?? "classic";
  const rows = options.rows ?? [];
  const migrated = options.migrated !== false;
  const early = migrated && variant !== "originalMigrated" ? rows.map(late) : rows;
  const ids = await withClient(path, async (client) => {
    await client.executeMultiple(layouts[variant]);
    return insertInto(client, early);
  });
  if (!migrated) return path;
  await migrate({ location: path, dryRun: false, baseline: null, now });
  // The columns that came with the migration.
  await withClient(path, async (client) => {
    const updates = rows.flatMap((row, index) =>
      (["merged_status", "merged_at"] as const)
        .filter((column) => row[column] !== undefined)
        .map((column) => ({
          sql: `UPDATE project_queue SET ${column} = ? WHERE id = ?`,
          args: [row[column] ?? null, ids[index] ?? null],
        })),
    );
    if (updates.length > 0) await client.batch(updates, "write");
  });
  return path;
}

/**
 * Runs one statement on a connection of its own, as somebody else at the same file would. Not with node:sqlite: two copies of
 * SQLite in one process do not see each other's locks, and reading through one while the other checkpoints gives old rows.
 */
export async function sql(path: string, statement: string, args: InValue[] = []): Promise<Row[]> {
  return withClient(path, async (client) => (await client.execute({ sql: statement, args })).rows);
}

/** Adds rows with the defaults of queueDb, gives their ids. */
export async function insertRows(path: string, rows: readonly QueueRow[]): Promise<number[]> {
  return withClient(path, (client) => insertInto(client, rows));
}

/**
 * Starts another process that writes to the queue without pause, as the orchestrator's Python would, and waits until it has
 * begun; see programs/other-writer.ts. `stop` ends it and gives how many times it wrote; it throws if that process failed. `python`
 * is an interpreter for the same in Python.
 */
export async function otherWriter(path: string, python: string | null = null): Promise<{ stop(): Promise<number> }> {
  const name = `../queue/programs/other-writer.${python === null ? "ts" : "py"}`;
  const program = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(python ?? process.execPath, [program, path], { stdio: ["pipe", "pipe", "pipe"] });
  let [said, complained] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complained += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const closed = once(child, "close");
  await Promise.race([once(child.stdout, "data"), closed]);
  return {
    async stop() {
      child.stdin.end();
      const [code] = await closed;
      if (code !== 0) throw new Error(`the other writer failed: ${complained}`);
      return Number(said.trim().split("\n").at(-1));
    },
  };
}

/** The Python of this host, if it has one with SQLite. */
export function findPython(): string | null {
  return spawnSync("python3", ["-c", "import sqlite3"]).status === 0 ? "python3" : null;
}

/**
 * A copy in the journal mode that SQLite begins with. By its header (https://www.sqlite.org/fileformat.html, bytes 18 and 19):
 * PRAGMA journal_mode needs the file for itself, and libsql's closed connections hold it until they are garbage-collected.
 */
export function withRollbackJournal(path: string): string {
  const bytes = readFileSync(path);
  if (bytes[18] !== 2 || bytes[19] !== 2) throw new Error(`${path} is not in WAL mode`);
  bytes.fill(1, 18, 20);
  writeFileSync(`${path}-copy.db`, bytes);
  return `${path}-copy.db`;
}

async function withClient<T>(path: string, work: (client: Client) => Promise<T>): Promise<T> {
  const url = `file:${path.split("/").map(encodeURIComponent).join("/")}`;
  const client = createClient({ url, concurrency: 1, timeout: 2000 });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** Gives the ids of the rows, in their order. */
async function insertInto(client: Client, rows: readonly QueueRow[]): Promise<number[]> {
  if (rows.length === 0) return [];
  const info = await client.execute("SELECT name FROM pragma_table_info('project_queue')");
  const columns = new Set(info.rows.map((row) => String(row["name"])));
  const highest = await client.execute("SELECT coalesce(max(id), 0) AS id FROM project_queue");
  let next = Number(highest.rows[0]?.["id"]) + 1;
  const ids: number[] = [];
  const statements = rows.map((row) => {
    const id = Number(row["id"] ?? next);
    next = Math.max(next, id) + 1;
    ids.push(id);
    const completed = now / 1000 - 3600 + id;
    const defaults: QueueRow = {
      id,
      spec_path: `/specs/project_${id}.md`,
      status: "completed",
      enqueued_at: completed - 1200,
      started_at: completed - 600,
      completed_at: completed,
    };
    const known = Object.entries(defaults).filter(([name]) => columns.has(name));
    const values: QueueRow = { ...Object.fromEntries(known), ...row };
    const names = Object.keys(values).join(", ");
    const marks = Object.keys(values)
      .map(() => "?")
      .join(", ");
    return { sql: `INSERT INTO project_queue (${names}) VALUES (${marks})`, args: Object.values(values) };
  });
  await client.batch(statements, "write");
  return ids;
}

const others = `
  CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, session_name TEXT, agent_role TEXT, next_run REAL, note TEXT);
  CREATE TABLE scheduler_state (key TEXT PRIMARY KEY, value TEXT);
  CREATE TABLE agent_health (session_name TEXT, window_index INTEGER, last_seen REAL);
  CREATE TABLE migrations (version INTEGER PRIMARY KEY, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE message_queue (id INTEGER PRIMARY KEY, agent_id TEXT, message TEXT);
  CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT);
  INSERT INTO migrations (version) VALUES (12);
`;

const uniques = `
  CREATE UNIQUE INDEX idx_unique_active ON project_queue(spec_path, project_path) WHERE status IN ('queued','processing');
  CREATE UNIQUE INDEX idx_unique_session ON project_queue(main_session) WHERE status='processing';
`;

const classic = `
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  spec_path TEXT NOT NULL,
  project_path TEXT,
  status TEXT DEFAULT 'queued',
  enqueued_at REAL DEFAULT (strftime('%s','now')),
  started_at REAL,
  completed_at REAL,
  priority INTEGER DEFAULT 0,
  error_message TEXT,
  batch_id TEXT,
  retry_count INTEGER DEFAULT 0,
  enhanced_spec_path TEXT,
  orchestrator_session TEXT,
  main_session TEXT,
  fresh_start BOOLEAN DEFAULT 0,
  session_name TEXT,
  spec_requirements TEXT,
  validation_score REAL,
  validation_details TEXT,
  spec_version TEXT`;

const lean = `
  id INTEGER PRIMARY KEY,
  spec_path TEXT NOT NULL,
  project_path TEXT,
  status TEXT DEFAULT 'queued',
  enqueued_at REAL,
  started_at TIMESTAMP,
  completed_at TIMESTAMP,
  priority INTEGER DEFAULT 5,
  error_message TEXT`;

const layouts: Record<Variant, string> = {
  classic: `CREATE TABLE project_queue (${classic}); ${uniques} ${others}`,
  lean: `CREATE TABLE project_queue (${lean}); ${others}`,
  extended: `CREATE TABLE project_queue (${classic.replace("DEFAULT 0,\n  error", "DEFAULT 5,\n  error")},
    log_file TEXT, auto_orchestrate_args TEXT, failed_components TEXT, research_session_id TEXT); ${uniques} ${others}`,
  // Untyped times: numbers, numeric text and ISO text stay as they were written.
  ignore: `CREATE TABLE project_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, spec_path TEXT NOT NULL, project_path TEXT, status TEXT DEFAULT 'queued',
    enqueued_at, started_at, completed_at, priority INTEGER DEFAULT 0, error_message TEXT,
    UNIQUE(spec_path, status) ON CONFLICT IGNORE); ${others}`,
  originalMigrated: `CREATE TABLE project_queue (${classic}, merged_status TEXT, merged_at INTEGER); ${uniques} ${others}
    CREATE INDEX idx_merged_status ON project_queue(merged_status);
    CREATE INDEX idx_status_merged ON project_queue(status, merged_status);`,
  minimal: "CREATE TABLE project_queue (id INTEGER PRIMARY KEY, spec_path TEXT, status TEXT);",
};
