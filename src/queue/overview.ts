import type { InValue } from "@libsql/client";
import { inLandingOrder } from "./candidates.ts";
import { isPending } from "./conditions.ts";
import type { Queue } from "./database.ts";
import type { Project } from "./projects.ts";
import { completedAt, memoryOf, readProjects, rowState, stateColumns } from "./projects.ts";
import { newlyRecompleted } from "./recompleted.ts";
import { integer, requiredInteger, safely, text } from "./rows.ts";
import type { Standing } from "./standing.ts";
import { standingOf } from "./standing.ts";

export type Counts = Readonly<Record<Standing, number>>;
/** What to list. `default` is everything open and the last five merged. */
export type Filter = "default" | "all" | ReadonlySet<Standing>;
export type Overview = {
  readonly counts: Counts;
  readonly projects: readonly Project[];
  /** how many projects the filter fits, those that `limit` left out included */
  readonly matching: number;
};

/** In the order in which they are shown: what needs a person first. */
const open: readonly Standing[] = ["failed", "held", "pending"];
const closed = ["merged", "rolled_back", "skipped", "not_completed"] as const;
const lastMerged = 5;

/**
 * The projects that the filter names, at most `limit`, and the counts of all. Counts come from an index and from the few
 * rows where our tables disagree with it (found as a run finds them); only what is listed is read whole.
 */
export async function readOverview(queue: Queue, filter: Filter, limit: number | null): Promise<Overview> {
  const { counts, corrected } = await countAll(queue);
  const named: Iterable<Standing> =
    filter === "all" ? [...open, ...closed] : filter === "default" ? [...open, "merged"] : filter;
  const wanted = new Set(named);

  const found = new Map<number, Light>();
  const keep = (lights: readonly Light[]): void => {
    for (const light of lights) if (wanted.has(light.standing)) found.set(light.id, light);
  };
  keep(corrected);
  if (wanted.has("pending")) keep(await readLight(queue, `${fromQueue} WHERE ${isPending}`));
  if (wanted.has("failed"))
    keep(await readLight(queue, `${fromQueue} WHERE ${isCompleted} AND q.merged_status = 'merge_failed'`));
  const ids = [...found.values()].sort(byWorth).map(({ id }) => id);

  const again = new Set(corrected.filter((light) => light.again).map(({ id }) => id));
  for (const standing of closed) {
    if (!wanted.has(standing)) continue;
    const most = filter === "default" ? lastMerged : counts[standing];
    ids.push(...(await readClosed(queue, standing, Math.min(most, (limit ?? Infinity) - ids.length), again)));
  }
  const matching = [...wanted].reduce((sum, standing) => sum + counts[standing], 0);
  return {
    counts,
    projects: await readProjects(queue, limit === null ? ids : ids.slice(0, limit)),
    matching: filter === "default" ? matching - Math.max(0, counts.merged - lastMerged) : matching,
  };
}

/** One project, undefined when the queue has no such id; and the counts of all. */
export async function readOne(queue: Queue, id: number): Promise<{ counts: Counts; project: Project | undefined }> {
  const { counts } = await countAll(queue);
  const [project] = await readProjects(queue, [id]);
  return { counts, project };
}

/** What sorting and counting need of a row. */
type Light = {
  readonly id: number;
  readonly standing: Standing;
  readonly again: boolean;
  readonly mergedStatus: string | null;
  readonly priority: number;
  readonly completedAt: number | null;
  /** when it came to stand there */
  readonly since: number | null;
};

/** Pending: the order in which they land. The rest: newest first. */
function byWorth(a: Light, b: Light): number {
  const rank = open.indexOf(a.standing) - open.indexOf(b.standing);
  if (rank !== 0) return rank;
  return a.standing === "pending" ? inLandingOrder(a, b) : (b.since ?? 0) - (a.since ?? 0) || b.id - a.id;
}

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

/** Ids of at most `most` projects that are done with, newest first; `again` say so and wait nevertheless. */
async function readClosed(
  queue: Queue,
  standing: (typeof closed)[number],
  most: number,
  again: ReadonlySet<number>,
): Promise<number[]> {
  if (most <= 0) return [];
  const rows = await queue.read(
    `SELECT q.id FROM project_queue AS q WHERE ${isClosed[standing]} LIMIT ${most + again.size}`,
  );
  const ids = rows.map((row) => requiredInteger(row, "id")).filter((id) => !again.has(id));
  return ids.slice(0, most);
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
