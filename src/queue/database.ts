import type { InArgs, Row } from "@libsql/client";
import { type Connection, connect } from "./connection.ts";
import { hasWal, mustExist } from "./file.ts";
import { type Location, parseLocation } from "./location.ts";
import { demandMigrated, readSchema } from "./schema.ts";

/** An open queue: a SQLite file, or a libSQL server. The one door to SQL. */
export type Queue = {
  /** what a person would type after --db */
  readonly location: string;
  readonly kind: "file" | "server";
  /** names of the columns that project_queue has here; layouts differ, see migrate.ts */
  readonly columns: ReadonlySet<string>;
  /** One SELECT outside any transaction. */
  read(sql: string, args?: InArgs): Promise<Row[]>;
  /**
   * Runs `work` in one write transaction (BEGIN IMMEDIATE) and commits. Retried from the start while another writer holds
   * the file, so `work` must be free of side effects other than SQL, and must never await anything but `tx`.
   */
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};

export type Transaction = {
  all(sql: string, args?: InArgs): Promise<Row[]>;
  /** Runs one statement, gives the number of rows it changed. */
  run(sql: string, args?: InArgs): Promise<number>;
};

export type OpenOptions = {
  /** a path, or the URL of a libSQL server (libsql, https, http, wss, ws) */
  readonly location: string;
  /** "read" never changes a row and needs no permission to write */
  readonly mode: "read" | "write";
  readonly authToken?: string | undefined;
  /** how long a read or a transaction waits for a lock before "locked" is told, in milliseconds; default 20,000 */
  readonly timeoutMs?: number | undefined;
};

/**
 * Opens a queue that is there and migrated; nothing is created and the journal mode stays as it is.
 * Throws UserError(3) that names the cause and the way out for whatever is wrong with it, UserError(2) for a bad URL.
 * So do `read` and `write` later, when the disk, a lock or the server gets in the way.
 */
export async function openQueue(options: OpenOptions): Promise<Queue> {
  const { location, mode } = options;
  const place = parseLocation(location);
  const writable = place.kind === "server" || mustExist(place, mode).writable;
  const connection = await (writable ? connect(place, mode, options) : connectReadOnly(place, options));
  try {
    const schema = await readSchema(connection.read);
    demandMigrated(schema, location, place);
    return queueOn(connection, location, place.kind, schema.columns, mode);
  } catch (error) {
    connection.close();
    throw error;
  }
}

function queueOn(
  connection: Connection,
  location: string,
  kind: Queue["kind"],
  columns: ReadonlySet<string>,
  mode: OpenOptions["mode"],
): Queue {
  let open = true;
  return {
    location,
    kind,
    columns,
    read: connection.read,
    write: connection.write,
    async close() {
      if (!open) return;
      open = false;
      if (mode === "write") await connection.checkpoint();
      connection.close();
    },
  };
}

/**
 * For a file or directory that cannot be written. A database in WAL mode needs its -shm beside it even for reading, so
 * SQLite cannot open one here unless it is told that nobody writes ("immutable"): true enough when no WAL is pending.
 */
export async function connectReadOnly(
  place: Extract<Location, { kind: "file" }>,
  options: { timeoutMs?: number | undefined },
): Promise<Connection> {
  const connection = await connect(place, "read", options);
  try {
    await connection.read("SELECT count(*) FROM sqlite_schema");
    return connection;
  } catch (error) {
    connection.close();
    if (hasWal(place)) throw error;
    return connect(place, "immutable", options);
  }
}
