import type { GateRecord } from "./verdicts.ts";

/** Why a project did not land. The codes are public: they stand in JSON, in logs and in people's scripts. */

export const failures = [
  "conflict",
  "gate_failed",
  "gate_timeout",
  "timeout",
  "unrelated_histories",
  "shallow_repository",
  "not_a_repository",
  "no_worktree",
  "ambiguous_worktree",
  "no_target_branch",
  "repository_untrusted",
  "resolver_failed",
  "rejected",
] as const;

export const holds = [
  "dirty_source",
  "dirty_target",
  "repository_busy",
  "repository_leased",
  "awaiting_approval",
  "outside_window",
  "excluded",
  "blocked_by_dependency",
  "target_diverged",
  "ambiguous_target",
  "worktree_active",
] as const;

export type Failure = (typeof failures)[number];
export type Hold = (typeof holds)[number];

/**
 * A project that does not land now: failed (a person or a change must come first) or held (looked at again by itself). `detail` is a
 * sentence for a person, `output` everything the failing command said.
 */
export type Trouble = {
  readonly outcome: "merge_failed" | "held";
  readonly reason: Failure | Hold;
  readonly detail: string;
  readonly conflicts?: readonly string[];
  readonly output?: string;
  /** What gates said of it. */
  readonly gates?: readonly GateRecord[];
  /** True when it is likely to pass by itself, so that looking again waits longer each time. */
  readonly transient?: boolean;
};

export function failed(reason: Failure, detail: string, more: Partial<Trouble> = {}): Trouble {
  return { outcome: "merge_failed", reason, detail, ...more };
}

export function held(reason: Hold, detail: string, more: Partial<Trouble> = {}): Trouble {
  return { outcome: "held", reason, detail, ...more };
}

/** Tells a trouble from what a step would otherwise give. */
export function isTrouble(value: unknown): value is Trouble {
  return typeof value === "object" && value !== null && "outcome" in value && "reason" in value && "detail" in value;
}

/** Failures that new commits of the project itself may cure, and the target's do not. */
export const ownFault: ReadonlySet<string> = new Set<Failure>(["gate_failed", "gate_timeout"]);

/** Failures that a new commit may cure, on either side or of its own; the others wait for `retry`. */
export const curable: ReadonlySet<string> = new Set<string>(["conflict", "unrelated_histories", ...ownFault]);
