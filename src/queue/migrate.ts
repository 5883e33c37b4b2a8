import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Row } from "@libsql/client";
import { exitCode, UserError } from "../core/errors.ts";
import { queueIndexes } from "./conditions.ts";
import { type Connection, connect, type ScriptTransaction } from "./connection.ts";
import { connectReadOnly } from "./database.ts";
import { type Found, lookAt } from "./file.ts";
import { type Location, parseLocation } from "./location.ts";
import {
  type Baseline,
  type Distribution,
  distribution,
  foretell,
  hasUnmarked,
  markPending,
  oldest,
  type Settled,
  settle,
  type Waiting,
} from "./migrate-rows.ts";
import { projectQueue } from "./migrations/000_project_queue.ts";
import { migrations, schemaVersion } from "./migrations/list.ts";
import { readSchema, refuseForeign, type Schema, writtenColumns } from "./schema.ts";
import { readOnly, trouble } from "./trouble.ts";

export type MigrateOptions = {
  readonly location: string;
  /** only tell: opens for reading, creates nothing */
  readonly dryRun: boolean;
  /** what was completed before it is marked `skipped`; null skips nothing */
  readonly baseline: Baseline | null;
  /** unix milliseconds; a baseline may not be later */
  readonly now: number;
  /** makes the directory of a new file as well, private to its user: only for a place that nobody typed */
  readonly makeDirectory?: boolean | undefined;
  readonly authToken?: string | undefined;
  readonly timeoutMs?: number | undefined;
};

/** What was done, or with dryRun what would be. */
export type Migration = {
  readonly location: string;
  readonly dryRun: boolean;
  /** project_queue itself was made */
  readonly created: boolean;
  /** of our own tables; null before our first migration */
  readonly fromVersion: number | null;
  readonly toVersion: number;
  readonly columnsAdded: readonly string[];
  readonly indexesAdded: readonly string[];
  /** rows from NULL to pending_merge */
  readonly backfilled: number;
  /** rows to skipped, by the baseline */
  readonly skipped: number;
  /** rows that a dated baseline left waiting because nobody knows when they were completed */
  readonly undated: number;
  /** null on a server, and for a file that is not there yet */
  readonly journalMode: string | null;
  readonly notes: readonly string[];
  readonly before: Distribution;
  readonly after: Distribution;
  readonly willLand: number;
  readonly oldest: Waiting | null;
};

/**
 * Makes a queue ready for this program: creates it if it is not there, adds what is missing to any layout, switches a file
 * to WAL, and marks what is completed. One write transaction, so that it is done or not begun; a second run changes nothing.
 * Safe while the orchestrator's tools write: they wait for the lock as for any writer. Throws UserError(3), and UserError(2) for a baseline yet to come.
 */
export async function migrate(options: MigrateOptions): Promise<Migration> {
  const { location, dryRun, baseline, now } = options;
  if (typeof baseline === "number" && baseline > now) {
    throw new UserError(exitCode.usage, "the baseline lies in the future.", 'Give a moment that has passed, or "now".');
  }
  const place = parseLocation(location);
  const found = place.kind === "file" ? await lookAt(place, options.makeDirectory) : null;
  if (dryRun) return rehearse(options, place, found);
  if (found !== null && place.kind === "file" && !found.writable) throw trouble(...readOnly(place.shown));
  if (found?.exists === false && place.kind === "file" && options.makeDirectory === true) {
    await mkdir(dirname(place.path), { recursive: true, mode: 0o700 });
  }
  const connection = await connect(place, "create", options);
  try {
    const schema = await readSchema(connection.read);
    // Planned once without a lock: what is not ours is refused, and where nothing is to be done nobody has to wait.
    const planned = changesFor(schema, place);
    const idle = isNothing(planned) && options.baseline === null && !(await hasUnmarked(connection.read));
    // Counted outside the transaction, so that it is short: 0.9 s with 200,000 rows, and Python's writers wait 2 s or 5 s.
    const before = await distribution(connection.read, schema.columns);
    const { changes, settled, columns } = idle
      ? { changes: planned, settled: { ...nobody, backfilled: 0 }, columns: schema.columns }
      : await connection.write((tx) => apply(tx, place, options));
    const wal = place.kind === "file" ? await switchToWal(place) : { journalMode: null, notes: [] };
    const after = await distribution(connection.read, columns);
    const waiting = await oldest(connection.read, columns);
    await connection.checkpoint();
    return { ...report(options, changes, settled), ...wal, before, after, ...waiting };
  } finally {
    connection.close();
  }
}

/** What a schema lacks. */
type Changes = {
  readonly create: boolean;
  readonly fromVersion: number | null;
  readonly scripts: readonly string[];
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly indexes: readonly { readonly name: string; readonly on: string }[];
};

const isNothing = (changes: Changes): boolean =>
  !changes.create && [changes.scripts, changes.columns, changes.indexes].every((list) => list.length === 0);

const nothingThere: Schema = { tables: new Set(), indexes: new Set(), columns: new Set(), version: null };

function changesFor(schema: Schema, place: Location): Changes {
  // A file without any table is what `touch` or a mere connection leaves; one with other tables is somebody else's.
  const create = schema.tables.size === 0;
  if (!create) refuseForeign(schema, place);
  const version = schema.version ?? 0;
  const due = migrations.filter((migration) => migration.version > version);
  const scripts = due.map(({ sql }) => sql);
  if (schema.version === null) {
    const made = [...scripts.join("\n").matchAll(/^CREATE TABLE (\w+)/gm)].map((match) => match[1] ?? "");
    const taken = made.filter((name) => schema.tables.has(name));
    if (taken.length > 0) {
      throw trouble(
        `${place.shown} already has a table ${taken.join(" and ")} that this program did not make.`,
        "Rename or drop it; names that begin with merge_ are this program's own.",
      );
    }
  }
  const present = (name: string): boolean => create || schema.columns.has(name);
  return {
    create,
    fromVersion: schema.version,
    scripts,
    columns: writtenColumns.filter(({ name }) => !schema.columns.has(name) && !(create && name === "error_message")),
    indexes: queueIndexes.filter(({ name, needs }) => !schema.indexes.has(name) && needs.every(present)),
  };
}

async function apply(
  tx: ScriptTransaction,
  place: Location,
  options: MigrateOptions,
): Promise<{ changes: Changes; settled: Settled; columns: ReadonlySet<string> }> {
  const all = (sql: string): Promise<Row[]> => tx.all(sql);
  const changes = changesFor(await readSchema(all), place);
  if (changes.create) await tx.script(projectQueue);
  for (const { name, type } of changes.columns) await tx.run(`ALTER TABLE project_queue ADD COLUMN ${name} ${type}`);
  const { columns } = await readSchema(all);
  const skipped = options.baseline === null ? nobody : await settle(tx, columns, options.baseline);
  const backfilled = await markPending(tx, place);
  // After the rows: an index is built faster than it is kept up to date.
  for (const { name, on } of changes.indexes) await tx.run(`CREATE INDEX ${name} ON project_queue${on}`);
  for (const script of changes.scripts) await tx.script(script);
  if (changes.fromVersion !== schemaVersion) {
    await tx.run("CREATE TABLE IF NOT EXISTS merge_schema (version INTEGER NOT NULL)");
    await tx.run("DELETE FROM merge_schema");
    await tx.run("INSERT INTO merge_schema (version) VALUES (?)", [schemaVersion]);
  }
  return { changes, settled: { ...skipped, backfilled }, columns };
}

const nobody = { skipped: 0, undated: 0 };

async function rehearse(options: MigrateOptions, place: Location, found: Found | null): Promise<Migration> {
  if (found?.exists === false) {
    const nothing = { before: [], after: [], willLand: 0, oldest: null, journalMode: null, notes: [] };
    return { ...report(options, changesFor(nothingThere, place), { ...nobody, backfilled: 0 }), ...nothing };
  }
  const connection = await (place.kind === "file" && found?.writable === false
    ? connectReadOnly(place, options)
    : connect(place, "read", options));
  try {
    const schema = await readSchema(connection.read);
    const changes = changesFor(schema, place);
    const told = await foretell(connection.read, schema.columns, options.baseline);
    const journalMode = place.kind === "file" ? await journalModeOf(connection, "PRAGMA journal_mode") : null;
    const { before, after, willLand, oldest: first, ...settled } = told;
    return { ...report(options, changes, settled), before, after, willLand, oldest: first, journalMode, notes: [] };
  } finally {
    connection.close();
  }
}

type Report = Omit<Migration, "before" | "after" | "willLand" | "oldest" | "journalMode" | "notes">;

function report({ location, dryRun }: MigrateOptions, changes: Changes, settled: Settled): Report {
  return {
    location,
    dryRun,
    created: changes.create,
    fromVersion: changes.fromVersion,
    toVersion: schemaVersion,
    columnsAdded: changes.columns.map(({ name }) => name),
    indexesAdded: changes.indexes.map(({ name }) => name),
    ...settled,
  };
}

/** Needs the file for itself for a moment: while a reader holds on, it stays as it is, which works and is only slower. */
async function switchToWal(
  place: Extract<Location, { kind: "file" }>,
): Promise<Pick<Migration, "journalMode" | "notes">> {
  const impatient = await connect(place, "write", { timeoutMs: 1000 });
  try {
    if ((await journalModeOf(impatient, "PRAGMA journal_mode")) === "wal") return { journalMode: "wal", notes: [] };
    const reached = await journalModeOf(impatient, "PRAGMA journal_mode = WAL").catch(() => null);
    if (reached === "wal") return { journalMode: "wal", notes: [] };
    const journalMode = await journalModeOf(impatient, "PRAGMA journal_mode").catch(() => null);
    const note =
      "The journal could not be switched to WAL while another program has the database open. Everything works; readers " +
      "and writers wait for each other. Run migrate again when nobody uses it.";
    return { journalMode, notes: [note] };
  } finally {
    impatient.close();
  }
}

async function journalModeOf(connection: Connection, pragma: string): Promise<string | null> {
  const [row] = await connection.read(pragma);
  const mode = row?.["journal_mode"];
  return typeof mode === "string" ? mode.toLowerCase() : null;
}
