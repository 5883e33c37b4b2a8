import { setTimeout as sleep } from "node:timers/promises";
import { queueIndexes } from "./conditions.ts";
import type { Connection, ScriptTransaction } from "./connection.ts";
import type { Location } from "./location.ts";
import { type Baseline, cut, markPending, type Settled, settle } from "./migrate-rows.ts";
import { projectQueue } from "./migrations/000_project_queue.ts";
import { migrations, schemaVersion } from "./migrations/list.ts";
import { type Overridden, readOverridden, rememberOverridden } from "./overridden.ts";
import { readSchema, refuseForeign, type Schema, writtenColumns } from "./schema.ts";
import { trouble } from "./trouble.ts";

/** What a schema lacks. */
export type Changes = {
  readonly create: boolean;
  readonly fromVersion: number | null;
  readonly scripts: readonly string[];
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly indexes: readonly { readonly name: string; readonly on: string }[];
};

/** Whether a schema lacks nothing. */
export const isNothing = (changes: Changes): boolean =>
  !changes.create && [changes.scripts, changes.columns, changes.indexes].every((list) => list.length === 0);

/** What is to be done to a schema. Throws UserError(3) when it is none of ours to change. */
export function changesFor(schema: Schema, place: Location): Changes {
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

/**
 * Does what was planned, and marks the rows; gives the columns that project_queue has then, and what was really done: less than
 * planned when another migrate was at work.
 * @param present the columns of project_queue before
 * @param baseline see MigrateOptions
 */
export async function apply(
  connection: Connection,
  place: Location,
  planned: Changes,
  present: ReadonlySet<string>,
  baseline: Baseline | null,
): Promise<{ changes: Changes; settled: Settled; columns: ReadonlySet<string> }> {
  const skip = baseline === null ? null : await cut(connection.read, present, baseline);
  const step = <T>(work: (tx: ScriptTransaction, missing: Changes) => Promise<T>): Promise<T> =>
    lettingOthersIn(() =>
      // Looked at again under the lock.
      connection.write(async (tx) => work(tx, changesFor(await readSchema((sql) => tx.all(sql)), place))),
    );
  const { columns, skipped, done } = await step(async (tx, missing) => {
    if (missing.create) await tx.script(projectQueue);
    for (const { name, type } of missing.columns) await tx.run(`ALTER TABLE project_queue ADD COLUMN ${name} ${type}`);
    const marked = skip === null ? nobody : await settle(tx, skip);
    const schema = await readSchema((sql) => tx.all(sql));
    return { columns: schema.columns, skipped: marked, done: missing };
  });
  const settled = { ...skipped, backfilled: await step((tx) => markPending(tx, place)) };
  const indexes: Changes["indexes"][number][] = [];
  // After the rows: an index is built faster than it is kept up to date.
  for (const index of planned.indexes) {
    const made = await step(async (tx, missing) => {
      if (!missing.indexes.includes(index)) return false;
      await tx.run(`CREATE INDEX ${index.name} ON project_queue${index.on}`);
      return true;
    });
    if (made) indexes.push(index);
  }
  if (planned.fromVersion === schemaVersion) return { changes: { ...done, indexes }, settled, columns };
  const fromVersion = await step(async (tx, missing) => {
    if (missing.fromVersion === schemaVersion) return missing.fromVersion;
    for (const script of missing.scripts) await tx.script(script);
    await tx.run("CREATE TABLE IF NOT EXISTS merge_schema (version INTEGER NOT NULL)");
    await tx.run("DELETE FROM merge_schema");
    await tx.run("INSERT INTO merge_schema (version) VALUES (?)", [schemaVersion]);
    return missing.fromVersion;
  });
  return { changes: { ...done, indexes, fromVersion }, settled, columns };
}

/** Remembers what others have settled, so that it is noticed when such a project is completed again. */
export async function remember(connection: Connection, columns: ReadonlySet<string>, now: number): Promise<void> {
  const source = { read: connection.read, columns };
  for (let after: number | null = null; ; ) {
    const rows: Overridden[] = await readOverridden(source, { after, most: rememberedAtOnce, unfinished: true });
    const last = rows.at(-1);
    if (last === undefined) return;
    await lettingOthersIn(() => connection.write((tx) => rememberOverridden(tx, rows, now)));
    if (rows.length < rememberedAtOnce) return;
    after = last.id;
  }
}

/** Rows in one transaction: 0.1 s. */
const rememberedAtOnce = 10_000;

/**
 * A pause after a long transaction, in which a writer that waits gets its turn: SQLite's busy handler asks every 100 ms once it has
 * waited for a quarter of a second (sqliteDefaultBusyCallback in its main.c), and gives up without having met a gap.
 */
async function lettingOthersIn<T>(work: () => Promise<T>): Promise<T> {
  const since = performance.now();
  const result = await work();
  if (performance.now() - since > 50) await sleep(120);
  return result;
}

/** No rows marked. */
export const nobody: Settled = { backfilled: 0, skipped: 0, undated: 0 };
