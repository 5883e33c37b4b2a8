/** Where a project stands, for a person. `not_completed`: its agents work, wait or gave up, and it is no business of ours yet. */
export type Standing = "pending" | "held" | "failed" | "merged" | "rolled_back" | "skipped" | "not_completed";

/** What the orchestrator's row says; `generation` as generationOf makes it. */
export type RowState = {
  readonly status: string | null;
  readonly mergedStatus: string | null;
  readonly generation: string;
};
/** What we remember (merge_project), null for a project that we never looked at. */
export type Memory = {
  readonly generation: string;
  readonly recordedStatus: string | null;
  readonly state: string;
} | null;

/**
 * The rules of CONTRACT 5 in one place. The row's merged_status wins wherever it is not what we last wrote: then what we
 * remember is old news. Equal, but of another generation: the project was completed again and waits like a new one.
 * `remembered` says whether reason, attempt and backoff of our tables still speak of this row as it is now.
 * A merged_status that is nobody's we know is somebody's wish to be left alone: `skipped`.
 */
export function standingOf(row: RowState, memory: Memory): { standing: Standing; remembered: boolean; again: boolean } {
  if (row.status?.toLowerCase() !== "completed") return { standing: "not_completed", remembered: false, again: false };
  const wish = row.mergedStatus ?? "pending_merge";
  // NULL and pending_merge mean the same to everybody, and we write neither over the other.
  const ours = memory !== null && wish === (memory.recordedStatus ?? "pending_merge");
  if (ours && memory.generation !== row.generation) {
    return { standing: "pending", remembered: false, again: wish !== "pending_merge" };
  }
  const standing = wish !== "pending_merge" ? settledAs(wish) : ours && memory.state === "held" ? "held" : "pending";
  return { standing, remembered: ours, again: false };
}

/** What a merged_status other than pending_merge stands for; also the state in which it is remembered when others wrote it. */
export function settledAs(mergedStatus: string): "failed" | "merged" | "rolled_back" | "skipped" {
  switch (mergedStatus) {
    case "merge_failed":
      return "failed";
    case "merged":
    case "rolled_back":
      return mergedStatus;
    default:
      return "skipped";
  }
}
