import type { Queue } from "./database.ts";
import type { Owner } from "./leases.ts";
import { integer, requiredText, text } from "./rows.ts";

/** What doctor asks of a queue. Times are unix milliseconds. */
export type Health = {
  /** repositories (their common directories) of the newest attempts, newest first */
  readonly repositories: readonly string[];
  /** who holds a repository, or held it when they were killed */
  readonly leases: readonly (Omit<Owner, "runId"> & { readonly repository: string })[];
  /** the latest moment that a run of ours wrote down */
  readonly latest: number | null;
};

export async function readHealth(queue: Queue, repositories: number): Promise<Health> {
  const recent = await queue.read(
    `SELECT repository FROM merge_attempt WHERE repository IS NOT NULL
     GROUP BY repository ORDER BY max(attempt_id) DESC LIMIT ?`,
    [repositories],
  );
  const leases = await queue.read("SELECT * FROM merge_lease WHERE run_id IS NOT NULL ORDER BY repository");
  const [moments] = await queue.read(
    `SELECT max(coalesce((SELECT max(max(started_at), max(coalesce(finished_at, 0))) FROM merge_run), 0),
       coalesce((SELECT CAST(value AS INTEGER) FROM merge_meta WHERE key = 'last_tick'), 0)) AS latest`,
  );
  const latest = moments === undefined ? null : integer(moments, "latest");
  return {
    repositories: recent.map((row) => requiredText(row, "repository")),
    leases: leases.map((row) => ({
      repository: requiredText(row, "repository"),
      host: text(row, "host") ?? "",
      bootId: text(row, "boot_id") ?? "",
      pid: integer(row, "pid") ?? 0,
      pidStart: text(row, "pid_start") ?? "",
    })),
    latest: latest === 0 ? null : latest,
  };
}
