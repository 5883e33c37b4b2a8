/**
 * The conditions of our partial indexes on project_queue. SQLite uses such an index only for a query whose WHERE holds the
 * same expressions, term by term, so queries and CREATE INDEX are both written with these. The columns stand without a
 * table name: a partial index may not have one, and none of our tables has a column of these names.
 *
 * coalesce, because with `merged_status IS NULL OR merged_status = ...` SQLite takes idx_merged_status instead and reads every
 * row that is NULL, the failed and queued ones too (66,000 of 200,000 in the trial, 420 ms a tick).
 */

/** Completed, and nobody has said what became of it. */
export const isPending = "lower(status) = 'completed' AND coalesce(merged_status, 'pending_merge') = 'pending_merge'";

/** Completed, and somebody has. */
export const isSettled = "lower(status) = 'completed' AND coalesce(merged_status, 'pending_merge') <> 'pending_merge'";

/** The row's error message, unless it is one that we wrote. */
export const withoutOurError = "CASE WHEN error_message LIKE 'Merge failed: %' THEN NULL ELSE error_message END";

/** Indexes on project_queue, each with the columns (besides our own) that it needs. `merge_` marks those of no use to others. */
export const queueIndexes = [
  { name: "idx_merged_status", on: "(merged_status)", needs: [] },
  { name: "idx_status_merged", on: "(status, merged_status)", needs: [] },
  { name: "merge_recent", on: "(merged_status, merged_at)", needs: [] },
  { name: "merge_candidates", on: `(id) WHERE ${isPending}`, needs: [] },
  { name: "merge_completed", on: `(completed_at) WHERE ${isSettled}`, needs: ["completed_at"] },
] as const;
