import type { InArgs, Row } from "@libsql/client";
import { isSettled } from "./conditions.ts";
import type { Transaction } from "./database.ts";
import { generationColumns, generationOf } from "./generation.ts";
import { requiredInteger, requiredText, selectColumns } from "./rows.ts";
import { settledAs } from "./standing.ts";

/**
 * A row that is settled, and not as we have it written down: by the original's tools before our time, by hand, by migrate
 * --baseline. From now on its merged_status and generation are the ones to compare with.
 */
export type Overridden = { readonly id: number; readonly mergedStatus: string; readonly generation: string };

type Source = { read(sql: string, args?: InArgs): Promise<Row[]>; readonly columns: ReadonlySet<string> };

/**
 * At most `most` of them by id, those above `after`; a page is the last when it is not full.
 * @param unfinished true takes in rows unknown to us that have an outcome and are not completed now: the orchestrator works on
 *   them again, and what they say is of the completion before. Only migrate can tell that from a wish given in advance.
 */
export async function readOverridden(
  { read, columns }: Source,
  page: { readonly after: number | null; readonly most: number; readonly unfinished?: boolean },
): Promise<Overridden[]> {
  const again = "p.project_id IS NULL AND merged_status IN ('merged','merge_failed','rolled_back')";
  const rows = await read(
    `SELECT ${selectColumns(columns, "q", ["id", "merged_status", ...generationColumns])}
     FROM project_queue AS q LEFT JOIN merge_project AS p ON p.project_id = q.id
     WHERE ((${isSettled} AND p.recorded_status IS NOT merged_status) ${page.unfinished === true ? `OR (${again})` : ""})
       ${page.after === null ? "" : "AND q.id > ?1"}
     ORDER BY q.id LIMIT ${page.most}`,
    page.after === null ? [] : [page.after],
  );
  return rows.map((row) => ({
    id: requiredInteger(row, "id"),
    mergedStatus: requiredText(row, "merged_status"),
    generation: generationOf(row),
  }));
}

/**
 * Remembers them as they were read; what was remembered before is forgotten. A row that says something else by now, or that a
 * run has recorded meanwhile, is left alone. One that was completed again meanwhile is noticed, because its generation is the old one.
 * One statement for all: 10,000 rows take 60 ms of processor time, one by one 455 ms, and others wait for the lock.
 * @param now unix milliseconds
 */
export async function rememberOverridden(tx: Transaction, rows: readonly Overridden[], now: number): Promise<void> {
  if (rows.length === 0) return;
  const list = rows.map(({ id, mergedStatus, generation }) => [id, mergedStatus, generation, settledAs(mergedStatus)]);
  await tx.run(
    `INSERT INTO merge_project (project_id, recorded_status, generation, state, since)
     SELECT q.id, q.merged_status, json_extract(j.value, '$[2]'), json_extract(j.value, '$[3]'), ?2
     FROM json_each(?1) AS j CROSS JOIN project_queue AS q ON q.id = json_extract(j.value, '$[0]')
     WHERE q.merged_status = json_extract(j.value, '$[1]')
     ON CONFLICT (project_id) DO UPDATE SET recorded_status = excluded.recorded_status, generation = excluded.generation,
       state = excluded.state, since = excluded.since, reason = NULL, detail = NULL, judged_on = NULL, failures = 0,
       next_attempt_at = NULL, roles_json = NULL, attempt_id = NULL
     WHERE merge_project.recorded_status IS NOT excluded.recorded_status`,
    [JSON.stringify(list), now],
  );
}
