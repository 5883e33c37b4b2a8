import type { Failure, Hold } from "./reasons.ts";

/** What a person can do about a project that does not land, by reason code. `ID` stands for the project's number. */
const byReason = {
  conflict:
    "Merge the target into the agent's branch, solve it there and commit: it is then tried again by itself. To try at once: orchestrator-merge retry ID",
  dirty_source: "Commit, ignore or remove those files in the agent's worktree; every run looks again.",
  dirty_target: "Commit or put away those changes where the target is checked out; every run looks again.",
  repository_busy: "Finish or abort what is under way in the repository; every run looks again.",
  worktree_active: "Finish or abort what is under way in the worktree; every run looks again.",
  target_diverged:
    "Bring the target and its remote together, or with strategy ff the agent's branch and the target; every run looks again.",
  ambiguous_target: "Name the branch in the configuration, [merge] target; every run looks again.",
  no_target_branch: "Name the branch in the configuration, [merge] target, then: orchestrator-merge retry ID",
  no_worktree: "Find where the work is, then: orchestrator-merge add --project DIR --worktree DIR",
  ambiguous_worktree: "Say which one it is: orchestrator-merge add --project DIR --worktree DIR",
  not_a_repository: "Put the project under git, or correct its path in the queue, then: orchestrator-merge retry ID",
  shallow_repository: "Fetch the rest of its history (git fetch --unshallow), then: orchestrator-merge retry ID",
  repository_untrusted:
    "Look at the drivers its own configuration names; when they are yours, set trust = true in a rule.",
  awaiting_approval:
    "Look at it (orchestrator-merge explain ID), then: orchestrator-merge approve ID, or reject ID --reason TEXT",
  outside_window: "It lands by itself when the window opens.",
  excluded: "A rule of the configuration says so; orchestrator-merge explain ID names it.",
  blocked_by_dependency: "It lands by itself after those; orchestrator-merge explain ID has them.",
  gate_failed:
    "See what it said (orchestrator-merge explain ID), mend it in the agent's worktree and commit: it is then tried again by itself. To run the gate once more: orchestrator-merge retry ID",
  gate_timeout: "Make it quicker or raise its timeout in the configuration, then: orchestrator-merge retry ID",
  rejected: "When what was wrong is mended: orchestrator-merge retry ID",
} satisfies Partial<Record<Failure | Hold, string>>;
const known: ReadonlyMap<string, string> = new Map(Object.entries(byReason));

/**
 * The next step for one that failed or is held; always ends the matter or says who will look again. `options` go into the
 * commands it names: ` --db X`, or nothing.
 */
export function advice(standing: "failed" | "held", reason: string | null, id: number, options: string): string {
  const otherwise =
    standing === "held" ? "Every run looks again." : "When its cause is gone: orchestrator-merge retry ID";
  return (known.get(reason ?? "") ?? otherwise)
    .replaceAll("ID", String(id))
    .replace(/orchestrator-merge (retry|add|explain|approve)/g, (command) => command + options);
}
