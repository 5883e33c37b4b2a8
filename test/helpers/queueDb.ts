import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { migrate } from "../../src/queue/migrate.ts";

/** Layouts of project_queue that live databases have; FAULTS "Schema variants met in the wild" is the source. */
export type Variant =
  | "classic" // the layout before any migration
  | "lean" // session_name and fresh_start never arrived
  | "extended" // log_file and friends, priority 5
  | "ignore" // UNIQUE(spec_path, status) ON CONFLICT IGNORE
  | "originalMigrated" // the original's own migration was run: merged_status, merged_at and its two indexes
  | "minimal"; // only what cannot be missing

type Stored = null | number | bigint | string | Uint8Array;

export type QueueRow = Record<string, Stored>;

/** 2026-05-04T10:00:00Z, the default clock of the tests, in unix milliseconds. */
export const now = Date.UTC(2026, 4, 4, 10);

/**
 * Makes `<dir>/task_queue.db` as the orchestrator would have, with the given rows, and runs our migration on it unless
 * `migrated` is false. Every row is completed unless it says otherwise: id counts from 1, the spec is
 * `/specs/project_<id>.md`, completed an hour before `now` plus one second per id, started ten minutes earlier.
 * @returns the path of the file
 */
export async function queueDb(
  dir: string,
  options: { variant?: Variant; rows?: QueueRow[]; migrated?: boolean; name?: string } = {},
): Promise<string> {
  const path = join(dir, options.name ?? "task_queue.db");
  const database = new DatabaseSync(path);
  try {
    database.exec(layouts[options.variant ?? "classic"]);
    insertRows(database, options.rows ?? []);
  } finally {
    database.close();
  }
  if (options.migrated !== false) await migrate({ location: path, dryRun: false, baseline: null, now });
  return path;
}

/** Runs `work` with an ordinary SQLite connection, as the orchestrator's tools hold one, and closes it. */
export function withSqlite<T>(path: string, work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path, { timeout: 2000 });
  try {
    return work(database);
  } finally {
    database.close();
  }
}

/** Adds rows with the defaults of queueDb. */
export function insertRows(database: DatabaseSync, rows: readonly QueueRow[]): void {
  const columns = new Set(
    database
      .prepare("SELECT name FROM pragma_table_info('project_queue')")
      .all()
      .map((row) => String(row["name"])),
  );
  let next = Number(database.prepare("SELECT coalesce(max(id), 0) + 1 AS next FROM project_queue").get()?.["next"]);
  database.exec("BEGIN");
  for (const row of rows) {
    const id = Number(row["id"] ?? next);
    next = Math.max(next, id) + 1;
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
    const names = Object.keys(values);
    database
      .prepare(`INSERT INTO project_queue (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
      .run(...Object.values(values));
  }
  database.exec("COMMIT");
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
