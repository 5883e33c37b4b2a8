import type { Plan, Step } from "./plan.ts";

/** What a gate is asked about: a tree, and the commit that holds it. */
export type Exhibit = {
  readonly tree: string;
  readonly commit: string;
  /** the target before all of it */
  readonly base: string;
  /** The target, full name, and where it stands now. */
  readonly target: { readonly ref: string; readonly oid: string };
  /** the projects that it is about, and the attempt that its output is filed under */
  readonly projects: readonly number[];
  readonly attemptId: string;
};

/** The plan as it is after the last of these steps, which are in its order. */
export function exhibitOf(plan: Plan, steps: readonly Step[]): Exhibit {
  const [first, last] = [steps[0], steps.at(-1)];
  if (first === undefined || last === undefined) throw new Error("a gate is asked about nothing");
  const next = plan.steps[plan.steps.indexOf(last) + 1];
  return {
    tree: last.tree,
    commit: next?.base ?? plan.tip,
    base: first.base,
    target: { ref: plan.receiver.target, oid: plan.receiver.old },
    projects: steps.map(({ work }) => work.projectId),
    attemptId: last.work.attemptId,
  };
}

/** The plan as it is before a step. */
export function exhibitBefore(plan: Plan, step: Step): Exhibit {
  return { ...exhibitOf(plan, [step]), tree: treeBefore(plan, step), commit: step.base };
}

export function treeBefore(plan: Plan, step: Step): string {
  return plan.steps[plan.steps.indexOf(step) - 1]?.tree ?? plan.startTree;
}
