import { landedPrefix } from "../git/snapshot.ts";
import type { Intent, Landed } from "../queue/journal.ts";
import type { App, Workplace } from "./context.ts";
import type { Plan, Step, Work } from "./plan.ts";

/** What the rows want to know of a project that the plan does not: by project number. */
export type LandedDetails = ReadonlyMap<
  number,
  {
    readonly generation: string;
    readonly mergedStatus: string | null;
    readonly completedAt: number | null;
    readonly startedAt: number;
  }
>;

/** The journal's form of a plan: everything that recovery needs to finish it or take it back, and what the rows will say. */
export function intentOf(app: App, place: Workplace, plan: Plan, details: LandedDetails): Intent {
  const { receiver, steps } = plan;
  const own = steps.filter((step) => step.brought.length > 0);
  const landingId = app.newId();
  const state = receiver.push.state === "owed" ? "pending" : receiver.push.state;
  return {
    landingId,
    runId: app.runId,
    createdAt: app.now(),
    repository: place.snapshot.repository.commonDir,
    target: receiver.target,
    base: receiver.old,
    tip: plan.tip,
    checkout: receiver.checkout?.path ?? null,
    landed: steps.map((step) => landedOf(place, step.work, details, { ...stepFacts(step), target: receiver.target })),
    refs: {
      backups: own.map((step) => ({ ref: step.backupRef ?? "", oid: step.base })),
      tags: own.flatMap((step) =>
        step.tag === null ? [] : [{ ref: `refs/tags/${step.tag.name}`, oid: step.tag.oid, body: step.tag.body }],
      ),
      proofs: [
        ...own.flatMap((step) => proofs(step)),
        ...(plan.sync === null ? [] : [{ ref: landedPrefix + landingId, oid: plan.sync }]),
      ],
    },
    push: { state, detail: receiver.push.detail },
    trusted: place.trusted,
  };
}

/** A project's rows, as they will stand once it has landed. */
export function landedOf(
  place: Workplace,
  work: Work,
  details: LandedDetails,
  facts: Pick<Landed, "outcome" | "target" | "base" | "mergeCommit" | "backupRef" | "tag" | "warnings" | "gates">,
): Landed {
  const detail = details.get(work.projectId);
  return {
    attemptId: work.attemptId,
    projectId: work.projectId,
    name: work.name,
    generation: detail?.generation ?? "",
    mergedStatus: detail?.mergedStatus ?? null,
    completedAt: detail?.completedAt ?? null,
    startedAt: detail?.startedAt ?? 0,
    repository: place.snapshot.repository.commonDir,
    heads: work.heads.map(({ role, oid, worktree, branch }) => ({ role, oid, worktree, branch })),
    strategy: work.strategy === "merge" ? null : work.strategy,
    ...facts,
  };
}

function stepFacts(step: Step) {
  return {
    outcome: "merged" as const,
    base: step.base,
    mergeCommit: step.mergeCommit,
    backupRef: step.backupRef,
    tag: step.tag?.name ?? null,
    warnings: step.warnings,
    gates: step.gates,
  };
}

/** One ref a head, at its last commit: the last head's bears the attempt's plain name, those before it a number. */
function proofs(step: Step): { ref: string; oid: string; before: string }[] {
  return step.brought.map(({ before, after }, index) => ({
    ref: `${landedPrefix}${step.work.attemptId}${index === step.brought.length - 1 ? "" : `.${index}`}`,
    oid: after,
    before,
  }));
}
