import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, InArgs, InStatement, InValue, Row } from "@libsql/client";
import type { Transaction } from "./database.ts";
import { fileUrl, type Location } from "./location.ts";
import { explain, isBusy } from "./trouble.ts";

/** One connection with patience, and without any idea of what the tables mean. database.ts puts the queue on it. */
export type Connection = {
  read(sql: string, args?: InArgs): Promise<Row[]>;
  write<T>(work: (tx: ScriptTransaction) => Promise<T>): Promise<T>;
  /** Empties the WAL of a file, if nobody reads it right now. Never throws. */
  checkpoint(): Promise<void>;
  close(): void;
};

export type ScriptTransaction = Transaction & {
  /** Several statements without arguments. */
  script(sql: string): Promise<void>;
};

export type Access = "read" | "write" | "create" | "immutable";

/**
 * SQLite's own wait for a lock, in milliseconds; what is longer is made of such waits. Each blocks the event loop, and its
 * polls grow rarer the longer it lasts. Beside a writer that never pauses, with a rollback journal, 20 writes in 20 s: waits
 * of 5 s got through 2 to 6 times, of 1 s 3 to 6 times, of 0.2 s 13 to 17 times.
 */
const slice = 200;
const answerMs = 30_000;

/**
 * Connects; for a file nothing is read yet. `access` "create" alone makes a file that is missing; "immutable" reads one
 * whose directory cannot be written, and must never be used where somebody may write.
 * @param timeoutMs how long a lock is waited for in all; default 20 s
 * Throws UserError(3), as do the functions of the connection.
 */
export async function connect(
  place: Location,
  access: Access,
  options: { authToken?: string | undefined; timeoutMs?: number | undefined } = {},
): Promise<Connection> {
  const timeoutMs = options.timeoutMs ?? 20_000;
  const client = await makeClient(place, access, options.authToken, timeoutMs).catch((error: unknown) => {
    throw explain(error, place);
  });
  const alone = oneAtATime();

  let prepared = false;
  async function prepare(): Promise<void> {
    if (prepared || place.kind === "server") return;
    // libsql turns foreign keys on, the orchestrator's Python has them off and was never tried with them on.
    await client.execute("PRAGMA foreign_keys = OFF");
    if (!writes(access)) await client.execute("PRAGMA query_only = ON");
    prepared = true;
  }

  /** Who has waited so long in vain is ending, and does not wait as long again to give back a lease. */
  let inVain = false;

  /**
   * Tries until it works, fails otherwise than by a lock, or has waited too long. A statement that met SQLITE_BUSY is not
   * reset until it is garbage-collected and keeps its lock until then (measured: a plain retry never ends), so every try
   * begins on a new connection. With this, 700 of 700 increments went through beside Python writers.
   */
  async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
    const patience = inVain ? Math.min(slice, timeoutMs) : timeoutMs;
    const since = process.uptime(); // seconds; performance.now() would load node:perf_hooks, 2 ms of every command
    for (let tries = 1; ; tries++) {
      try {
        await prepare();
        const result = await attempt();
        inVain = false;
        return result;
      } catch (error) {
        if (!isBusy(error)) throw explain(error, place);
        inVain = (process.uptime() - since) * 1000 >= patience;
        if (inVain) throw explain(error, place);
        await sleep(Math.random() * Math.min(20 * tries, 200));
        if (place.kind === "file") await client.reconnect();
        prepared = false;
      }
    }
  }

  async function transact<T>(work: (tx: ScriptTransaction) => Promise<T>): Promise<T> {
    const transaction = await client.transaction("write");
    try {
      const result = await work({
        all: async (sql, args) => (await transaction.execute(bound(sql, args))).rows.map(plain),
        run: async (sql, args) => (await transaction.execute(bound(sql, args))).rowsAffected,
        script: (sql) => transaction.executeMultiple(sql),
      });
      await transaction.commit();
      return result;
    } finally {
      transaction.close();
    }
  }

  return {
    read: (sql, args) => alone(() => patiently(async () => (await client.execute(bound(sql, args))).rows.map(plain))),
    write(work) {
      if (!writes(access)) throw new Error("write on a connection opened for reading");
      return alone(() => patiently(() => transact(work)));
    },
    async checkpoint() {
      if (place.kind === "file" && writes(access)) await alone(() => truncateWal(client));
    },
    close: () => client.close(),
  };
}

const writes = (access: Access): boolean => access === "write" || access === "create";

async function makeClient(
  place: Location,
  access: Access,
  authToken: string | undefined,
  timeoutMs: number,
): Promise<Client> {
  if (place.kind === "server") {
    const { createClient } = await import("@libsql/client/http");
    const bounded: typeof fetch = (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(answerMs) });
    const token = authToken === undefined ? {} : { authToken };
    return createClient({ url: place.url, intMode: "bigint", concurrency: 1, fetch: bounded, ...token });
  }
  const { createClient } = await import("@libsql/client/sqlite3");
  const parameter = access === "create" ? "mode=rwc" : access === "immutable" ? "immutable=1" : "mode=rw";
  return createClient({
    url: fileUrl(place.path, parameter),
    intMode: "bigint",
    // Of a pool, PRAGMAs would reach one connection only.
    concurrency: 1,
    timeout: Math.min(slice, timeoutMs),
  });
}

/** libsql does not empty the WAL when the last connection closes, as SQLite does, so that it would only grow. */
async function truncateWal(client: Client): Promise<void> {
  try {
    // TRUNCATE waits for readers; whoever comes next can do it as well.
    await client.execute("PRAGMA busy_timeout = 100");
    await client.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // Everything is committed already: the WAL stays longer, which costs space and nothing else.
  }
}

/** The client has one connection and refuses a second user while a transaction is open: here they queue up. */
function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  const inside = new AsyncLocalStorage<true>();
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    if (inside.getStore() === true) throw new Error("inside write(), only its transaction may be used");
    const mine = last.then(() => inside.run(true, work));
    last = mine.catch(() => {});
    return mine;
  };
}

/** Whole numbers are bound as INTEGER: as they come, libsql binds every number as REAL, and an untyped column keeps 600.0. */
function bound(sql: string, args: InArgs = []): InStatement {
  const convert = (given: InValue): InValue => (Number.isSafeInteger(given) ? BigInt(Number(given)) : given);
  if (Array.isArray(args)) return { sql, args: args.map(convert) };
  return { sql, args: Object.fromEntries(Object.entries(args).map(([name, given]) => [name, convert(given)])) };
}

/** Integers are read as bigint (the client throws on those beyond 2^53 otherwise) and handed on as numbers where they fit. */
function plain(row: Row): Row {
  for (const [name, stored] of Object.entries(row)) {
    if (typeof stored === "bigint" && Number.isSafeInteger(Number(stored))) row[name] = Number(stored);
  }
  return row;
}
