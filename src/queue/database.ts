import type { InArgs, Row } from "@libsql/client";

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
