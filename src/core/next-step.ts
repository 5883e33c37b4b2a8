import { advice } from "./advice.ts";
import type { Failure, Hold } from "./reasons.ts";

/** What comes next, in a few words, where the words of advice.ts would not do beside the reason. `ID` stands for the project's number. */
const steps: ReadonlyMap<string, string> = new Map<Failure | Hold, string>([
  ["conflict", "merge the target into its branch, commit"],
  ["dirty_source", "commit, ignore or remove them there"],
  ["dirty_target", "commit or put them away there"],
  ["repository_busy", "finish or abort that"],
  ["worktree_active", "finish or abort that"],
  ["target_diverged", "bring target and remote together"],
  ["repository_leased", "nothing: the other run has it in hand"],
  ["excluded", "nothing: a rule keeps it out"],
  ["ambiguous_target", "name it: [merge] target"],
  ["no_target_branch", "name it: [merge] target, then retry ID"],
  ["no_worktree", "add --project DIR --worktree DIR"],
  ["ambiguous_worktree", "add --project DIR --worktree DIR"],
  ["not_a_repository", "put it under git, then retry ID"],
  ["shallow_repository", "git fetch --unshallow, then retry ID"],
  ["repository_untrusted", "trust = true in a rule, then retry ID"],
]);

/**
 * The next step for a project that failed or is held, short enough to stand beside the reason: up to 45 characters for the reasons
 * that have words of their own, else the command that advice.ts names, else what happens by itself.
 */
export function nextStep(standing: "failed" | "held", reason: string | null, id: number): string {
  const own = steps.get(reason ?? "");
  if (own !== undefined) return own.replace("ID", String(id));
  const command = /orchestrator-merge ([a-z]+( (\d+|[A-Z]+|--[a-z-]+))*)/.exec(advice(standing, reason, id, ""))?.[1];
  return command ?? (standing === "held" ? "nothing: every run looks again" : `retry ${id}`);
}
