import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { exitCode, UserError } from "../core/errors.ts";
import { type Connection, connect } from "./connection.ts";
import { connectReadOnly } from "./database.ts";
import { type Found, lookAt } from "./file.ts";
import { type Location, parseLocation } from "./location.ts";
import { apply, type Changes, changesFor, isNothing, nobody, remember } from "./migrate-apply.ts";
import {
  type Baseline,
  type Distribution,
  distribution,
  foretell,
  hasUnmarked,
  oldest,
  type Settled,
  type Waiting,
} from "./migrate-rows.ts";
import { schemaVersion } from "./migrations/list.ts";
import { readSchema, type Schema } from "./schema.ts";
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
 * Makes a queue ready for this program: creates it if it is not there, adds what is missing to any layout, marks what is completed,
 * switches a file to WAL, and remembers what others have settled. A second run changes nothing, and one that was killed is finished by
 * the next: each step is a transaction (columns and what the baseline skips, what waits, every index), and our tables with the
 * version that makes it a migrated queue are the last but for what is remembered. All in one transaction locked 200,000 rows for
 * 1.5 s, for more than 2 s on a busy machine, and the orchestrator's Python gives up after 2 s; the longest wait of another writer is now 0.65 s.
 * Throws UserError(3), and UserError(2) for a baseline yet to come.
 */
export async function migrate(options: MigrateOptions): Promise<Migration> {
  const { location, dryRun, baseline, now } = options;
  if (typeof baseline === "number" && baseline > now) {
    throw new UserError(exitCode.usage, "the baseline lies in the future.", 'Give a moment that has passed, or "now".');
  }
  const place = parseLocation(location);
  const found = place.kind === "file" ? lookAt(place, options.makeDirectory) : null;
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
    const idle = isNothing(planned) && baseline === null && !(await hasUnmarked(connection.read));
    const before = await distribution(connection.read, schema.columns);
    const { changes, settled, columns } = idle
      ? { changes: planned, settled: nobody, columns: schema.columns }
      : await apply(connection, place, planned, schema.columns, baseline);
    const wal = place.kind === "file" ? await switchToWal(place) : { journalMode: null, notes: [] };
    await remember(connection, columns, now);
    const after = await distribution(connection.read, columns);
    const waiting = await oldest(connection.read, columns);
    await connection.checkpoint();
    return { ...report(options, changes, settled), ...wal, before, after, ...waiting };
  } finally {
    connection.close();
  }
}

async function rehearse(options: MigrateOptions, place: Location, found: Found | null): Promise<Migration> {
  if (found?.exists === false) {
    const nothing = { before: [], after: [], willLand: 0, oldest: null, journalMode: null, notes: [] };
    return { ...report(options, changesFor(nothingThere, place), nobody), ...nothing };
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

const nothingThere: Schema = { tables: new Set(), indexes: new Set(), columns: new Set(), version: null };

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
