import type { Queue } from "./database.ts";
import { requiredInteger } from "./rows.ts";

/** A completed project to put in the queue by hand. `completedAt` is unix milliseconds. */
export type NewProject = {
  readonly specPath: string;
  readonly projectPath: string;
  readonly priority: number;
  readonly completedAt: number;
  readonly tags: readonly string[];
  /** Numbers of projects that must land before it. */
  readonly dependsOn: readonly number[];
  /** Where the work is, when no spec leads to it. */
  readonly source: { readonly worktree: string } | { readonly branch: string } | null;
};

/** Adds one row, completed and pending, and what we remember of it; gives its number. Throws NoSuchProject, AlreadyQueued. Columns that this queue lacks are left out. */
export async function enqueue(queue: Queue, project: NewProject): Promise<number> {
  const seconds = project.completedAt / 1000;
  const wanted: Record<string, string | number> = {
    spec_path: project.specPath,
    project_path: project.projectPath,
    status: "completed",
    enqueued_at: seconds,
    started_at: seconds,
    completed_at: seconds,
    priority: project.priority,
    merged_status: "pending_merge",
  };
  const names = Object.keys(wanted).filter((name) => queue.columns.has(name));
  return await queue.write(async (tx) => {
    for (const id of project.dependsOn) {
      if ((await tx.all("SELECT 1 FROM project_queue WHERE id = ?", [id])).length === 0) throw new NoSuchProject(id);
    }
    const inserted = await tx.run(
      `INSERT INTO project_queue (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
      names.map((name) => wanted[name] ?? null),
    );
    // One layout has UNIQUE(spec_path, status) ON CONFLICT IGNORE: then nothing is added, and nothing is said.
    if (inserted === 0) throw new AlreadyQueued(project.specPath);
    const [row] = await tx.all("SELECT last_insert_rowid() AS id");
    const id = row === undefined ? 0 : requiredInteger(row, "id");
    if (project.source !== null) {
      const { worktree = null, branch = null } = { worktree: undefined, branch: undefined, ...project.source };
      await tx.run("INSERT INTO merge_source (project_id, worktree, branch) VALUES (?,?,?)", [id, worktree, branch]);
    }
    for (const tag of new Set(project.tags))
      await tx.run("INSERT INTO merge_project_tag (project_id, tag) VALUES (?,?)", [id, tag]);
    for (const other of new Set(project.dependsOn))
      await tx.run("INSERT INTO merge_dependency (project_id, depends_on) VALUES (?,?)", [id, other]);
    return id;
  });
}

/** This layout of the queue takes only one completed row a spec. */
export class AlreadyQueued extends Error {
  constructor(specPath: string) {
    super(`${specPath} is in the queue already`);
    this.name = "AlreadyQueued";
  }
}

/** What is to land before it is not in the queue. */
export class NoSuchProject extends Error {
  readonly id: number;
  constructor(id: number) {
    super(`there is no project ${id}`);
    this.name = "NoSuchProject";
    this.id = id;
  }
}
