import { projectName } from "../core/describe.ts";
import type { Dependency } from "../core/obstacles.ts";
import type { Queue } from "./database.ts";
import { type Project, readProjects } from "./projects.ts";
import { integer, requiredInteger, selectColumns, text } from "./rows.ts";

/** One who waits: `after` are names of projects, of which the newest row of each counts. */
export type Dependent = { readonly id: number; readonly after: readonly string[] };

/**
 * What each of these projects waits for: what `add --depends-on` said, and the newest project of each name in `after`. A name that no
 * project bears keeps nobody waiting. One query where nobody waits.
 */
export async function dependenciesOf(
  queue: Queue,
  dependents: readonly Dependent[],
): Promise<Map<number, Dependency[]>> {
  const told = await queue.read(
    "SELECT project_id, depends_on FROM merge_dependency WHERE project_id IN (SELECT value FROM json_each(?))",
    [JSON.stringify(dependents.map(({ id }) => id))],
  );
  const byName = await newestByName(queue, new Set(dependents.flatMap(({ after }) => after)));
  const waitsFor = new Map<number, Set<number>>();
  const note = (id: number, other: number | undefined) => {
    if (other !== undefined && other !== id) waitsFor.set(id, (waitsFor.get(id) ?? new Set()).add(other));
  };
  for (const row of told) note(requiredInteger(row, "project_id"), requiredInteger(row, "depends_on"));
  for (const { id, after } of dependents) for (const name of after) note(id, byName.get(name));
  const ids = [...new Set([...waitsFor.values()].flatMap((others) => [...others]))];
  if (ids.length === 0) return new Map();
  const projects = new Map((await readProjects(queue, ids)).map((project) => [project.id, project]));
  const landed = await landedBefore(
    queue,
    ids.filter((id) => !projects.has(id)),
  );
  const dependency = (id: number): Dependency => {
    const project = projects.get(id);
    if (project !== undefined) return dependencyOn(project);
    const met = landed.has(id);
    return { id, name: "", met, standing: met ? "merged" : "gone from the queue" };
  };
  return new Map([...waitsFor].map(([id, others]) => [id, [...others].map(dependency)]));
}

/** What waiting for this project means. `skipped` is what a person has declared to be done with. */
function dependencyOn({ id, name, standing, status, reason }: Project): Dependency {
  const met = standing === "merged" || standing === "skipped";
  const words = standing === "not_completed" ? (status ?? "not completed") : standing.replaceAll("_", " ");
  return { id, name, met, standing: reason === null || met ? words : `${words}: ${reason}` };
}

/** Those whose rows are gone, and which we remember to have landed. */
async function landedBefore(queue: Queue, ids: readonly number[]): Promise<Set<number>> {
  if (ids.length === 0) return new Set();
  const rows = await queue.read(
    "SELECT project_id FROM merge_project WHERE state = 'merged' AND project_id IN (SELECT value FROM json_each(?))",
    [JSON.stringify(ids)],
  );
  return new Set(rows.map((row) => requiredInteger(row, "project_id")));
}

/** The highest number of each name. Reads every spec path of the queue, and only where a rule says \`after\`. */
async function newestByName(queue: Queue, names: ReadonlySet<string>): Promise<Map<string, number>> {
  const newest = new Map<string, number>();
  for (const name of names) {
    const columns = selectColumns(queue.columns, "q", ["id", "spec_path"]);
    const sql = `SELECT ${columns} FROM project_queue AS q WHERE instr(q.spec_path, ?) > 0 ORDER BY q.id DESC`;
    const row = (await queue.read(sql, [name])).find((one) => projectName(0, text(one, "spec_path")) === name);
    const id = row === undefined ? null : integer(row, "id");
    if (id !== null) newest.set(name, id);
  }
  return newest;
}
