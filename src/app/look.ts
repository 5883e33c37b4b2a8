import { type Dependency, obstacles } from "../core/obstacles.ts";
import { isTrouble, type Trouble } from "../core/reasons.ts";
import type { Decided } from "../core/rules.ts";
import { readApprovals, type Word } from "../queue/approvals.ts";
import type { Candidate } from "../queue/candidates.ts";
import type { Owner } from "../queue/leases.ts";
import { activeDirectories, decideFor, declaredBranches } from "./candidates.ts";
import type { App } from "./context.ts";
import type { Head } from "./head.ts";
import { lineUp } from "./line.ts";
import { type Closed, closedAt, judgement, prepare } from "./prepare.ts";
import type { IsAlive } from "./tick.ts";
import { openVisits } from "./visit.ts";

/** One project as it stands at this moment. */
export type Look = {
  readonly decided: Decided;
  readonly closed: Closed | null;
  readonly dependencies: readonly Dependency[];
  /** What somebody said of this completion. */
  readonly word: Word | null;
  /** Null when git does not let us see them: then `troubles` says why. */
  readonly heads: readonly Head[] | null;
  /** The branch that it goes to, full name; null when there is none. */
  readonly target: string | null;
  /** Everything that keeps it from being tried, most telling first; whether it merges is not tried here. */
  readonly troubles: readonly Trouble[];
  /** It was held for another reason by the last run that planned it, and nothing has moved since. */
  readonly lastHeld: string | null;
};

/** Looks at a project as a tick does before it plans: git, then the rules. Asks no remote, writes nothing. */
export async function look(app: App, owner: Owner, isAlive: IsAlive, candidate: Candidate): Promise<Look> {
  const startedAt = app.now();
  const visits = openVisits(app, owner, isAlive, {
    declaredBranches: await declaredBranches(app.queue),
    until: startedAt,
  });
  try {
    const prepared = await prepare(app, visits, await activeDirectories(app.queue), candidate);
    const result = prepared.result === "settled" || isTrouble(prepared.result) ? null : prepared.result;
    const decided = result?.decided ?? decideFor(app, candidate, null);
    const line = await lineUp(app, [candidate]);
    const dependencies = await line.dependencies(candidate.id, decided.settings.after);
    const said = (await readApprovals(app.queue, [candidate.id])).get(candidate.id) ?? null;
    const word = said?.generation === candidate.generation ? said : null;
    const closed = await closedAt(decided.settings, startedAt);
    const heads = result?.work.heads ?? null;
    const git = isTrouble(prepared.result) && prepared.result.reason !== "excluded" ? [prepared.result] : [];
    // Whom nobody can see, nobody can approve: that is said by git's own trouble.
    const approval = heads === null ? { ...decided, settings: { ...decided.settings, approval: false } } : decided;
    const rules = obstacles({
      projectId: candidate.id,
      decided: approval,
      closed,
      heads: heads ?? [],
      approval: word,
      dependencies,
    });
    const target = result?.target ?? "";
    const { known } = candidate;
    const unmoved =
      result !== null && known !== null && known.judgedOn === judgement(result.localTip, result.work, known.reason);
    const lastHeld = unmoved && known.state === "held" ? `${known.reason}: ${known.detail}` : null;
    return {
      decided,
      closed,
      dependencies,
      word,
      heads,
      target: target === "" ? null : target,
      troubles: [...git, ...rules],
      lastHeld,
    };
  } finally {
    await visits.end();
  }
}
