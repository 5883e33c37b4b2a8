import { ownTables } from "./001_own_tables.ts";
import { rulesTables } from "./002_rules.ts";
import { outbox } from "./003_outbox.ts";

/** Our tables, version by version. A number is never used twice, and what is published is never edited. */
export const migrations: readonly { readonly version: number; readonly sql: string }[] = [
  { version: 1, sql: ownTables },
  { version: 2, sql: rulesTables },
  { version: 3, sql: outbox },
];

/** The version that this program reads and writes. */
export const schemaVersion = 3;
