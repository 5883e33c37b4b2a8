import { projectName } from "../core/describe.ts";
import { excluded } from "../core/obstacles.ts";
import { held, isTrouble, type Trouble } from "../core/reasons.ts";
import { type Decided, decide } from "../core/rules.ts";
import type { Candidate } from "../queue/candidates.ts";
import type { Queue } from "../queue/database.ts";
import { integer, selectColumns, text } from "../queue/rows.ts";
import type { App } from "./context.ts";
import { discover, type Found } from "./discover.ts";

/** A candidate with a name, its place, and what the rules say of it as long as nobody has looked at its files. */
export type Located = {
  readonly candidate: Candidate;
  readonly name: string;
  readonly found: Found;
  readonly decided: Decided;
};

/** Finds a candidate's place and asks the rules. `active` are the worktree directories of projects whose agents still work. */
export function locate(app: App, candidate: Candidate, active: ReadonlyMap<string, number>): Located | Trouble {
  const name = projectName(candidate.id, candidate.specPath);
  const decided = decideFor(app, candidate, null);
  if (decided.settings.action === "skip") return excluded(decided);
  const found = discover({ ...candidate, specPath: candidate.specPath ?? "" });
  if (isTrouble(found)) return found;
  if (found.sources.kind === "agents") {
    const other = active.get(found.sources.directory);
    if (other !== undefined && other !== candidate.id) {
      return held("worktree_active", `its worktrees are those of project ${other} too, which is not completed.`);
    }
  }
  return { candidate, name, found, decided };
}

/** What the rules say of a candidate; `types` are what its files show it to be, null while nobody has looked. */
export function decideFor(app: Pick<App, "config">, candidate: Candidate, types: ReadonlySet<string> | null): Decided {
  const { id, specPath, projectPath, priority, tags } = candidate;
  const subject = {
    name: projectName(id, specPath),
    path: projectPath ?? "",
    spec: specPath ?? "",
    priority,
    tags,
    types,
  };
  return decide(subject, app.config);
}

/** The worktree directories of projects that are queued or in work, each with the project's number. */
export async function activeDirectories(queue: Queue): Promise<Map<string, number>> {
  const rows = await queue.read(
    // Spelled out so that the index on status serves: lower(status) would read every row there ever was.
    `SELECT ${selectColumns(queue.columns, "q", ["id", "spec_path", "project_path"])} FROM project_queue AS q
     WHERE q.status IN ('queued','processing','QUEUED','PROCESSING','Queued','Processing')`,
  );
  const directories = new Map<string, number>();
  for (const row of rows) {
    const specPath = text(row, "spec_path");
    if (specPath === null) continue;
    const found = discover({ specPath, projectPath: text(row, "project_path"), source: null });
    if (!isTrouble(found) && found.sources.kind === "agents")
      directories.set(found.sources.directory, integer(row, "id") ?? 0);
  }
  return directories;
}

/** Every branch that \`add\` was ever told of, full names: work that people have declared to be finished agents' work. */
export async function declaredBranches(queue: Queue): Promise<Set<string>> {
  const rows = await queue.read("SELECT DISTINCT branch FROM merge_source WHERE branch IS NOT NULL");
  return new Set(
    rows
      .map((row) => text(row, "branch") ?? "")
      .map((name) => (name.startsWith("refs/") ? name : `refs/heads/${name}`)),
  );
}
