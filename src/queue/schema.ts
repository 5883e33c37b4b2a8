import type { Row } from "@libsql/client";
import { dbFlag, type Location } from "./location.ts";
import { schemaVersion } from "./migrations/list.ts";
import { integer, requiredText } from "./rows.ts";
import { trouble } from "./trouble.ts";

/** What a database holds. Names in lower case, as SQLite compares them. */
export type Schema = {
  /** tables and views */
  readonly tables: ReadonlySet<string>;
  readonly indexes: ReadonlySet<string>;
  /** of project_queue, without the generated ones */
  readonly columns: ReadonlySet<string>;
  /** of our own tables; null before our first migration */
  readonly version: number | null;
};

/** The columns of project_queue that the program writes; everything else may be absent. */
export const writtenColumns = [
  { name: "merged_status", type: "TEXT" },
  { name: "merged_at", type: "INTEGER" }, // unix seconds
  { name: "error_message", type: "TEXT" },
] as const;

const neededColumns = ["id", "spec_path", "status"];

/** Reads what is there, with one query or two. */
export async function readSchema(all: (sql: string) => Promise<Row[]>): Promise<Schema> {
  const found = await all(
    `SELECT type, lower(name) AS name FROM sqlite_schema WHERE type IN ('table','view','index')
     UNION ALL SELECT 'column', lower(name) FROM pragma_table_info('project_queue')`,
  );
  const named = (...types: readonly string[]): Set<string> =>
    new Set(found.filter((row) => types.includes(requiredText(row, "type"))).map((row) => requiredText(row, "name")));
  const tables = named("table", "view");
  const version = tables.has("merge_schema") ? await all("SELECT max(version) AS version FROM merge_schema") : [];
  return {
    tables,
    indexes: named("index"),
    columns: named("column"),
    version: version[0] === undefined ? null : integer(version[0], "version"),
  };
}

/** Throws UserError(3) when this is no queue, or one that a newer program has migrated. */
export function refuseForeign(schema: Schema, place: Location): void {
  const { shown } = place;
  if (!schema.tables.has("project_queue")) {
    throw trouble(`${shown} has no table project_queue.`, "Point --db at the orchestrator's task_queue.db.");
  }
  const missing = neededColumns.filter((name) => !schema.columns.has(name));
  if (missing.length > 0) {
    throw trouble(
      `the table project_queue in ${shown} lacks ${missing.join(" and ")}.`,
      "Point --db at the orchestrator's task_queue.db.",
    );
  }
  if (schema.version !== null && schema.version > schemaVersion) {
    throw trouble(
      `${shown} was migrated by a newer orchestrator-merge (schema ${schema.version}, this one knows ${schemaVersion}).`,
      "Install the newer version; this one would not understand what that one wrote.",
    );
  }
}

/** Throws UserError(3) unless the database is ours to use as it is. */
export function demandMigrated(schema: Schema, location: string, place: Location): void {
  const wayOut = `Run: orchestrator-merge migrate ${dbFlag(location)}`;
  if (schema.tables.size === 0) throw trouble(`the queue database ${place.shown} is empty.`, wayOut);
  refuseForeign(schema, place);
  if (schema.version === null || schema.version < schemaVersion) {
    throw trouble(`the queue database ${place.shown} is not migrated for this program.`, wayOut);
  }
  // A script of the orchestrator that rebuilds its table leaves our columns behind.
  const lost = writtenColumns.filter(({ name }) => !schema.columns.has(name)).map(({ name }) => name);
  if (lost.length > 0) throw trouble(`project_queue in ${place.shown} has lost ${lost.join(" and ")}.`, wayOut);
}
