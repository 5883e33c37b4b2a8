import type { InValue } from "@libsql/client";
import * as z from "zod/mini";
import { inLandingOrder } from "./candidates.ts";
import { isPending } from "./conditions.ts";
import type { Queue } from "./database.ts";
import type { Project } from "./projects.ts";
import { completedAt, memoryOf, readProjects, rowState, stateColumns } from "./projects.ts";
import { newlyRecompleted } from "./recompleted.ts";
import { integer, requiredInteger, safeId, safely, text } from "./rows.ts";
import type { Standing } from "./standing.ts";
import { standingOf } from "./standing.ts";
import { parseCompletion } from "./times.ts";

export type Counts = Readonly<Record<Standing, number>>;
/** What to list. `default` is everything open and the last five merged. */
export type Filter = "default" | "all" | ReadonlySet<Standing>;
export type Overview = {
  readonly counts: Counts;
  readonly projects: readonly Project[];
  /** how many projects the filter fits, those that `limit` left out included */
  readonly matching: number;
  /** when a run last ended well, or was there and had nothing to do; null for never */
  readonly lastRunAt: number | null;
  /** when the run began that holds a repository now; null for none */
  readonly runningSince: number | null;
};
/** How many to list: in all, and of each standing. null is every one. */
export type Limits = { readonly all: number | null; readonly each: number | null };

/** Which part of the list is wanted: from where on, and only what has a text (of spec, path, reason, tag) or number in it. */
export type Part = { readonly offset: number; readonly search: string };
const whole: Part = { offset: 0, search: "" };

/** In the order in which they are shown: what needs a person first. */
const open = ["failed", "held", "pending"] as const;
const closed = ["merged", "rolled_back", "skipped", "not_completed"] as const;
const lastMerged = 5;

/**
 * The projects that the filter names, within the limits, and the counts of all. Counts come from an index and from the few
 * rows where our tables disagree with it (found as a run finds them); only what is listed is read whole.
 */
export async function readOverview(
  queue: Queue,
  filter: Filter,
  limits: Limits,
  { offset, search }: Part = whole,
): Promise<Overview> {
  const { counts, corrected } = await countAll(queue);
  const named: Iterable<Standing> =
    filter === "all" ? [...open, ...closed] : filter === "default" ? [...open, "merged"] : filter;
  const wanted = new Set(named);
  const fits = search === "" ? null : await searchIds(queue, search);
  const ids: number[] = [];
  const left = (): number => (fits === null ? offset + (limits.all ?? Infinity) - ids.length : Infinity);
  for (const standing of open) {
    if (!wanted.has(standing) || left() <= 0) continue;
    const keys = (await readOpen(queue, standing, corrected)).filter(({ id }) => fits?.has(id) ?? true);
    ids.push(...keys.slice(0, Math.min(left(), limits.each ?? Infinity)).map(({ id }) => id));
  }
  const again = new Set(corrected.filter((light) => light.again).map(({ id }) => id));
  for (const standing of closed) {
    if (!wanted.has(standing)) continue;
    const most = filter === "default" ? lastMerged : Math.min(counts[standing], limits.each ?? Infinity);
    ids.push(...(await readClosed(queue, standing, Math.min(most, left()), again, fits)));
  }
  const matching = [...wanted].reduce((sum, standing) => sum + counts[standing], 0);
  return {
    counts,
    projects: await readProjects(queue, ids.slice(offset, limits.all === null ? undefined : offset + limits.all)),
    matching:
      fits !== null ? ids.length : filter === "default" ? matching - Math.max(0, counts.merged - lastMerged) : matching,
    ...(await readRuns(queue)),
  };
}

/** A lease that has not ended belongs to a run at work, or to one that was killed less than ten minutes ago. */
async function readRuns(queue: Queue): Promise<Pick<Overview, "lastRunAt" | "runningSince">> {
  const [row] = await queue.read(
    `SELECT (SELECT CAST(value AS INTEGER) FROM merge_meta WHERE key = 'last_tick') AS last,
       (SELECT max(started_at) FROM merge_run WHERE finished_at IS NULL AND run_id IN
         (SELECT run_id FROM merge_lease WHERE run_id IS NOT NULL)) AS running`,
  );
  if (row === undefined) return { lastRunAt: null, runningSince: null };
  return { lastRunAt: integer(row, "last"), runningSince: integer(row, "running") };
}

/** One project, undefined when the queue has no such id; and the counts of all. */
export async function readOne(queue: Queue, id: number): Promise<{ counts: Counts; project: Project | undefined }> {
  const { counts } = await countAll(queue);
  const [project] = await readProjects(queue, [id]);
  return { counts, project };
}

/** How many projects stand where. */
export async function readCounts(queue: Queue): Promise<Counts> {
  return (await countAll(queue)).counts;
}

/** What sorting needs of a row. */
type Key = {
  readonly id: number;
  readonly priority: number;
  readonly completedAt: number | null;
  /** when it came to stand there */
  readonly since: number | null;
};
type Light = Key & {
  readonly standing: Standing;
  readonly again: boolean;
  readonly mergedStatus: string | null;
};

const newestFirst = (a: Key, b: Key): number => (b.since ?? 0) - (a.since ?? 0) || b.id - a.id;

/** All of one standing, in order: what waits as it will land, the rest newest first. `corrected` is right where the row is not. */
async function readOpen(
  queue: Queue,
  standing: (typeof open)[number],
  corrected: readonly Light[],
): Promise<readonly Key[]> {
  const better = new Set(corrected.map(({ id }) => id));
  const theirs = corrected.filter((light) => light.standing === standing);
  const where = { failed: `${isCompleted} AND q.merged_status = 'merge_failed'`, pending: isPending, held: null }[
    standing
  ];
  const rows = where === null ? [] : (await readKeys(queue, where)).filter(({ id }) => !better.has(id));
  return [...theirs, ...rows].sort(standing === "pending" ? inLandingOrder : newestFirst);
}

/**
 * The keys of every row that fits, handed over as one JSON text: as rows of its own they would cost libsql 50 µs each, 11 s for the
 * 100,000 of a queue whose history was never baselined; so it is 0.3 s. As a blob, like all text of others: see selectColumns.
 */
async function readKeys(queue: Queue, where: string): Promise<Key[]> {
  const column = (name: string): string =>
    queue.columns.has(name) ? `CASE typeof(q."${name}") WHEN 'blob' THEN NULL ELSE q."${name}" END` : "NULL";
  const [row] = await queue.read(
    `SELECT CAST(json_group_array(json_array(CAST(q.id AS TEXT), ${column("priority")}, ${column("completed_at")}, p.since)) AS BLOB) AS keys
     ${fromQueue} WHERE ${where}`,
  );
  return keys
    .parse(JSON.parse((row === undefined ? null : text(row, "keys")) ?? "[]"))
    .map(([id, rank, completed, since]) => ({
      id: safeId(BigInt(id)),
      priority: Math.trunc(Number(rank ?? 0)) || 0,
      completedAt: parseCompletion(completed),
      since: since === null ? null : Number(since),
    }));
}

const scalar = z.union([z.number(), z.string(), z.null()]);
const keys = z.array(z.tuple([z.string(), scalar, scalar, scalar]));

/**
 * Counts by an index-only scan (14 ms for 100,000 rows), put right with the rows that a count by merged_status gets wrong:
 * those held, and those completed again.
 */
async function countAll(queue: Queue): Promise<{ counts: Counts; corrected: Light[] }> {
  const counts = { pending: 0, held: 0, failed: 0, merged: 0, rolled_back: 0, skipped: 0, not_completed: 0 };
  const sql = `SELECT ${safely("q.status")} AS status, ${safely("q.merged_status")} AS merged_status, count(*) AS n
    FROM project_queue AS q GROUP BY q.status, q.merged_status`;
  for (const row of await queue.read(sql)) {
    counts[bareStanding(text(row, "status"), text(row, "merged_status"))] += requiredInteger(row, "n");
  }
  const again = await newlyRecompleted(queue);
  const lights = new Map<number, Light>();
  for (const light of await readLight(queue, fromMemory)) lights.set(light.id, light);
  if (again.length > 0) {
    const where = `${fromQueue} WHERE q.id IN (SELECT value FROM json_each(?))`;
    for (const light of await readLight(queue, where, [JSON.stringify(again)])) lights.set(light.id, light);
  }
  const corrected = [...lights.values()].filter((light) => light.standing === "held" || light.again);
  for (const { standing, mergedStatus } of corrected) {
    counts[bareStanding("completed", mergedStatus)] -= 1;
    counts[standing] += 1;
  }
  return { counts, corrected };
}

const bareStanding = (status: string | null, mergedStatus: string | null): Standing =>
  standingOf({ status, mergedStatus, generation: "" }, null).standing;

const isCompleted = "lower(q.status) = 'completed'";

const isClosed: Readonly<Record<(typeof closed)[number], string>> = {
  merged: `${isCompleted} AND q.merged_status = 'merged' ORDER BY q.merged_at DESC, q.id DESC`,
  rolled_back: `${isCompleted} AND q.merged_status = 'rolled_back' ORDER BY q.id DESC`,
  skipped: `${isCompleted} AND q.merged_status NOT IN ('pending_merge','merge_failed','merged','rolled_back') ORDER BY q.id DESC`,
  not_completed: "coalesce(lower(q.status), '') <> 'completed' ORDER BY q.id DESC",
};

/**
 * Ids of at most `most` projects that are done with, newest first, of those that `fits` has if there is one; `again` say so and wait
 * nevertheless.
 */
async function readClosed(
  queue: Queue,
  standing: (typeof closed)[number],
  most: number,
  again: ReadonlySet<number>,
  fits: ReadonlySet<number> | null,
): Promise<number[]> {
  if (most <= 0) return [];
  const rows = await queue.read(
    `SELECT q.id FROM project_queue AS q WHERE ${isClosed[standing]} LIMIT ${most + again.size}`,
  );
  const ids = rows.map((row) => requiredInteger(row, "id")).filter((id) => !again.has(id) && (fits?.has(id) ?? true));
  return ids.slice(0, most);
}

/** The projects that have the text in them, in letters of either case as far as SQLite knows them (ASCII). One look at every row. */
async function searchIds(queue: Queue, search: string): Promise<Set<number>> {
  const has = (column: string): string => `instr(lower(${column}), lower(?1)) > 0`;
  const paths = ["spec_path", "project_path"].filter((name) => queue.columns.has(name)).map((name) => has(`q.${name}`));
  const rows = await queue.read(
    `SELECT q.id FROM project_queue AS q LEFT JOIN merge_project AS p ON p.project_id = q.id
     WHERE ${paths.join(" OR ")} OR ${has("p.reason")} OR ${has("p.detail")} OR q.id = ?2
       OR q.id IN (SELECT project_id FROM merge_project_tag WHERE ${has("tag")})`,
    [search, /^#?\d{1,15}$/.test(search) ? Number(search.replace("#", "")) : -1],
  );
  return new Set(rows.map((row) => requiredInteger(row, "id")));
}

const fromQueue = "FROM project_queue AS q LEFT JOIN merge_project AS p ON p.project_id = q.id";

/**
 * Held, or failed by us and perhaps completed again since: both have a reason, which what others failed has not. Both terms: SQLite
 * takes the partial index only if its condition is there word by word. CROSS JOIN keeps it from beginning with the long table.
 */
const fromMemory = `FROM merge_project AS p CROSS JOIN project_queue AS q ON q.id = p.project_id
  WHERE p.state IN ('waiting','held','failed') AND p.reason >= ''`;

async function readLight(queue: Queue, from: string, args: InValue[] = []): Promise<Light[]> {
  const rows = await queue.read(`SELECT ${stateColumns(queue)} ${from}`, args);
  return rows.map((row) => {
    const { standing, again } = standingOf(rowState(row), memoryOf(row));
    return {
      id: requiredInteger(row, "id"),
      standing,
      again,
      mergedStatus: text(row, "merged_status"),
      priority: integer(row, "priority") ?? 0,
      completedAt: completedAt(row),
      since: integer(row, "p_since"),
    };
  });
}
