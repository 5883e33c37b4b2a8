import { obstacles, together } from "../core/obstacles.ts";
import { type Hold, held, isTrouble, type Trouble } from "../core/reasons.ts";
import type { Word } from "../queue/approvals.ts";
import type { Candidate } from "../queue/candidates.ts";
import type { Found } from "./discover.ts";
import type { Line } from "./line.ts";
import { judgement, type Prepared, type Ready } from "./prepare.ts";

export type Missed = {
  readonly candidate: Candidate;
  readonly name: string;
  readonly trouble: Trouble;
  readonly startedAt: number;
  readonly repository: string | null;
  /** Where its work is, if it was found. */
  readonly found: Found | null;
  /** What was known of it when a rule, or what it is built on, kept it. */
  readonly ready?: Ready;
};

/** One that failed before and has no reason to be tried again. */
export type AsBefore = Pick<Missed, "candidate" | "name" | "found" | "ready">;

type Gathered = { ready: Ready[]; readonly missed: Missed[]; readonly asBefore: AsBefore[] };

/** So many candidates are looked at side by side: what takes the time is git reading files, and the unit's TasksMax counts each. */
const sideBySide = 2;

/** Looks at candidates, in turns: each goes on where the one before it ended. */
export type Gatherer = {
  /** Until so many more can be attempted. What is held takes no place; what fails does. */
  next(places: number): Promise<void>;
  /** Takes back those that may not come after all; gives how many. */
  withdraw(reason: (ready: Ready) => Trouble | null): number;
  /** Takes one back that came too early: those of `before` are looked at next, and then it again. False when it is not among them. */
  defer(id: number, before: readonly number[]): boolean;
  /** Those whose turn has not come. */
  unseen(): readonly Candidate[];
  readonly gathered: Gathered;
};

/** What the candidates of one tick share. */
export type Surroundings = {
  /** Looks at one of them; throws nothing that a disk or a directory said. */
  readonly look: (candidate: Candidate) => Promise<Prepared>;
  /** What people said, by project number. */
  readonly words: ReadonlyMap<number, Word>;
  readonly line: Line;
  /** No further one is looked at once this says so. */
  readonly stop: () => boolean;
  /** Those that will land in this run: what waits only for such may come too. Added to here. */
  readonly coming: Set<number>;
};

/**
 * Looks at `candidates` in the order of the line. `secondLook`: only those whose target or heads have moved since they failed.
 */
export function openGatherer(around: Surroundings, candidates: readonly Candidate[], secondLook: boolean): Gatherer {
  const { look, words, line, stop, coming } = around;
  const gathered: Gathered = { ready: [], missed: [], asBefore: [] };

  /** What a rule, or the line, has against one that git would let land; null when nothing. */
  async function against(ready: Ready): Promise<Trouble | null> {
    const { candidate, decided, closed, work } = ready;
    const circle = line.circleOf(candidate.id);
    if (circle !== null) return held("blocked_by_dependency", circle);
    const word = words.get(candidate.id);
    const dependencies = await line.dependencies(candidate.id, decided.settings.after);
    return together(
      obstacles({
        projectId: candidate.id,
        decided,
        closed,
        heads: work.heads,
        approval: word?.generation === candidate.generation ? word : null,
        dependencies: dependencies.map((one) => ({ ...one, met: one.met || coming.has(one.id) })),
      }),
    );
  }

  function miss(ready: Ready, trouble: Trouble): void {
    const { candidate, located, startedAt, visit } = ready;
    const { name, found } = located;
    const missed = { candidate, name, found, startedAt, repository: visit.repository.commonDir, ready };
    if (secondLook) gathered.asBefore.push(missed);
    else gathered.missed.push({ ...missed, trouble });
  }

  const begin = (candidate: Candidate) => {
    const found = look(candidate);
    found.catch(() => {}); // told where it is waited for
    return { candidate, found };
  };
  const inHand: ReturnType<typeof begin>[] = [];
  /** They come when all others have had their turn. */
  let last: Ready[] = [];
  /** Others are built on these: their turn is now. */
  const pulled = new Set<number>();
  let rest = line.inOrder(candidates);
  return {
    gathered,
    async next(wanted) {
      let places = wanted;
      const take = (ready: Ready) => {
        places--;
        coming.add(ready.candidate.id);
        gathered.ready.push(ready);
      };
      for (;;) {
        while (inHand.length < Math.min(sideBySide, places) && !stop()) {
          const candidate = rest.shift();
          if (candidate === undefined) break;
          inHand.push(begin(candidate));
        }
        if (places <= 0) return;
        const next = inHand.shift();
        if (next === undefined) {
          for (const ready of last.splice(0, places)) take(ready);
          return;
        }
        const { candidate } = next;
        const { result, located, startedAt, name } = await next.found.catch(async (error) => {
          await Promise.allSettled(inHand.map((other) => other.found)); // nothing goes on behind the back of who gives up
          throw error;
        });
        if (result === "settled") continue;
        if (isTrouble(result)) {
          const found = located?.found ?? null;
          if (secondLook) {
            gathered.asBefore.push({ candidate, name, found }); // it failed for another reason and still does
            continue;
          }
          if (result.outcome === "merge_failed") places--;
          const repository = found?.repository.commonDir ?? null;
          gathered.missed.push({ candidate, name, trouble: result, startedAt, repository, found });
          continue;
        }
        const trouble = await against(result);
        if (trouble !== null) miss(result, trouble);
        else if (
          secondLook &&
          judgement(result.localTip, result.work, candidate.known?.reason) === candidate.known?.judgedOn
        ) {
          gathered.asBefore.push({ candidate, name, found: result.located.found, ready: result });
        } else if (!pulled.has(candidate.id) && heldInPlanning(result)) last.push(result);
        else take(result);
      }
    },
    withdraw(reason) {
      const before = gathered.ready.length;
      gathered.ready = gathered.ready.filter((ready) => {
        const trouble = reason(ready);
        if (trouble === null) return true;
        coming.delete(ready.candidate.id);
        miss(ready, trouble);
        return false;
      });
      return before - gathered.ready.length;
    },
    defer(id, before) {
      const early = gathered.ready.find(({ candidate }) => candidate.id === id);
      if (early === undefined) return false;
      gathered.ready = gathered.ready.filter((one) => one !== early);
      coming.delete(id);
      for (const other of before) pulled.add(other);
      const isFirst = (candidate: Candidate) => before.includes(candidate.id);
      const first = [...last.map(({ candidate }) => candidate), ...rest].filter(isFirst);
      last = last.filter(({ candidate }) => !isFirst(candidate));
      rest = [...first, early.candidate, ...rest.filter((candidate) => !isFirst(candidate))];
      return true;
    },
    unseen: () => [...rest, ...last.map(({ candidate }) => candidate)],
  };
}

/** Reasons that only planning and landing find out, so that a project takes a place before they are known. */
const foundInPlanning: ReadonlySet<string> = new Set<Hold>([
  "dirty_target",
  "target_diverged",
  "ambiguous_target",
  "repository_busy",
  "blocked_by_dependency", // by a gate that the target itself does not pass; those who wait for others do not come as far
]);

/** Whether a project was held so the last time, and neither it nor the target has moved: what may land must not wait behind it. */
function heldInPlanning({ candidate: { known }, localTip, work }: Ready): boolean {
  if (known?.state !== "held" || !foundInPlanning.has(known.reason ?? "")) return false;
  if (known.reason === "blocked_by_dependency" && work.gates.length === 0) return false;
  return known.judgedOn === judgement(localTip, work, known.reason);
}
