import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { projectName, visible } from "../core/describe.ts";
import { reach } from "../core/order.ts";
import { held, isTrouble, type Trouble } from "../core/reasons.ts";
import { worktreesSuffix } from "../core/worktreeNames.ts";
import { parentsOf } from "../git/ancestry.ts";
import { headOf } from "../git/snapshot.ts";
import { rejectedHeads } from "../queue/approvals.ts";
import type { Candidate } from "../queue/candidates.ts";
import { decideFor } from "./candidates.ts";
import type { App, Workplace } from "./context.ts";
import { discover, type Found, rolesIn } from "./discover.ts";
import type { AsBefore, Missed } from "./gather.ts";
import type { Ready } from "./prepare.ts";

/** What git shows of who is built on whom. */
export type Stack = {
  /** For each ready one, the others of this run whose commits its own contain. */
  readonly under: ReadonlyMap<number, readonly number[]>;
  /** Those that would bring in what must not land now, with the reason. */
  readonly blocked: ReadonlyMap<number, Trouble>;
  /** Those that are built on candidates which nobody has looked at yet. */
  readonly early: ReadonlyMap<number, readonly number[]>;
};

/** Everybody of one tick, by what has come of looking at them. */
export type Seen = {
  readonly ready: readonly Ready[];
  readonly missed: readonly Missed[];
  readonly asBefore: readonly AsBefore[];
  /** Their turn has not come. */
  readonly unseen: readonly Candidate[];
  /** They are not looked at in this tick. */
  readonly aside: readonly Candidate[];
};

/** A project whose commits must not come in by way of another's; `standing` for a person, null for one whose turn is still to come. */
type Waiting = {
  readonly id: number;
  readonly name: string;
  readonly standing: string | null;
  /** Where it is to go, as the rules name it: what goes elsewhere is no base. Null for what must not come in anywhere. */
  readonly target: string | null;
  readonly oids: readonly string[];
};

/**
 * Finds, repository by repository, the heads that contain another pending head: its project lands first, and when that is held or has
 * failed, what is built on it waits. One git process for a repository with more than one project, none for one with a single one.
 */
export async function findStacks(app: App, seen: Seen): Promise<Stack> {
  const under = new Map<number, number[]>();
  const blocked = new Map<number, Trouble>();
  const early = new Map<number, number[]>();
  const rejected = await rejectedHeads(app.queue);
  const byRepository = Map.groupBy(seen.ready, (one) => one.visit.repository.commonDir);
  for (const [commonDir, some] of byRepository) {
    const [first] = some;
    if (first === undefined) continue;
    const { place } = first.visit;
    const own = (one: Ready) => one.work.heads.map(({ oid }) => oid);
    const waiting = waitingIn(app, place, commonDir, seen);
    for (const [id, oids] of rejected) waiting.push({ id, name: "", standing: "failed: rejected", target: null, oids });
    const targets = [...new Set(some.map(({ localTip }) => localTip).filter((oid) => oid !== ""))];
    const others = strangers(place, some).filter((oid) => !targets.includes(oid));
    if (some.length + waiting.length + others.length < 2) continue;
    const all = [...some.flatMap(own), ...waiting.flatMap(({ oids }) => oids), ...others];
    const parents = await parentsOf(app.git, place.scratch.gitDir, [...new Set(all)], targets);
    if (!(parents instanceof Map)) continue; // planning will say what git could not read
    const reached = new Map(some.map((one) => [one, reach(own(one), parents)]));
    // Whose they are is looked up only when one of ours has commits with them in common.
    const theirs = reach(others, parents);
    if ([...reached.values()].some((mine) => [...mine].some((oid) => theirs.has(oid)))) {
      waiting.push(...unseenIn(app, place, commonDir, seen));
    }
    for (const one of some) {
      const heads = new Set(own(one));
      const mine = reached.get(one) ?? new Set();
      // The very same commits are no stack: they land once, and both projects record it.
      const contains = (oids: readonly string[]) => oids.some((oid) => mine.has(oid) && !heads.has(oid));
      // But of what must not land not one commit comes in, under whatever head.
      const brings = ({ oids, standing }: Waiting) =>
        contains(oids) || (forbidden.test(standing ?? "") && [...reach(oids, parents)].some((oid) => mine.has(oid)));
      const { id } = one.candidate;
      const beneath = some.filter((other) => other !== one && other.target === one.target && contains(own(other)));
      if (beneath.length > 0) {
        const ids = beneath.map(({ candidate }) => candidate.id);
        under.set(id, ids);
      }
      const wanted = one.decided.settings.target;
      const below = waiting.filter((other) => other.id !== id && (other.target ?? wanted) === wanted && brings(other));
      const stop = below.find(({ standing }) => standing !== null);
      if (stop !== undefined) {
        const name = stop.name === "" ? "" : ` ${visible(stop.name)}`;
        const detail = `its commits contain those of project ${stop.id}${name} (${stop.standing}).`;
        blocked.set(id, held("blocked_by_dependency", detail));
      } else if (below.length > 0) {
        const ids = below.map((other) => other.id);
        early.set(id, ids);
      }
    }
  }
  return { under, blocked, early };
}

/** Those of a repository that were looked at and do not land. */
function waitingIn(app: App, place: Workplace, commonDir: string, { missed, asBefore }: Seen): Waiting[] {
  return [
    ...missed.map((miss) => ({ miss, standing: standingOf(miss.trouble) })),
    ...asBefore.map((miss) => ({ miss, standing: `failed: ${miss.candidate.known?.reason}` })),
  ]
    .filter(({ miss }) => miss.found?.repository.commonDir === commonDir)
    .map(({ miss, standing }) => ({
      id: miss.candidate.id,
      name: miss.name,
      standing,
      target: (miss.ready?.decided ?? decideFor(app, miss.candidate, null)).settings.target,
      oids: miss.ready?.work.heads.map(({ oid }) => oid) ?? (miss.found === null ? [] : headIds(place, miss.found)),
    }));
}

const standingOf = ({ outcome, reason }: Trouble): string => `${outcome === "held" ? "held" : "failed"}: ${reason}`;

/** Those of a repository that nobody has looked at: found by reading directories. */
function unseenIn(app: App, place: Workplace, commonDir: string, { missed, unseen, aside }: Seen): Waiting[] {
  const ofHere = (candidate: Candidate, standing: string | null): Waiting[] => {
    const found = discover({ ...candidate, specPath: candidate.specPath ?? "" });
    if (isTrouble(found) || found.repository.commonDir !== commonDir) return [];
    const { id, specPath } = candidate;
    const { target } = decideFor(app, candidate, null).settings;
    return [{ id, name: projectName(id, specPath), standing, target, oids: headIds(place, found) }];
  };
  return [
    // A rule, or a directory that refuses, kept these before anybody asked where they are.
    ...missed.flatMap(({ candidate, found, trouble }) =>
      found === null ? ofHere(candidate, standingOf(trouble)) : [],
    ),
    ...unseen.flatMap((candidate) => ofHere(candidate, null)),
    ...aside.flatMap((candidate) => {
      const { known } = candidate;
      return ofHere(candidate, known?.reason == null ? "not looked at in this run" : `${known.state}: ${known.reason}`);
    }),
  ];
}

/** How those stand whom a person or a rule keeps from landing. */
const forbidden = /: (rejected|awaiting_approval|outside_window|excluded)$/;

/** Where the agents' worktrees, and the branches that people enqueued, stand: those of others than `some`. */
function strangers({ snapshot, declaredBranches }: Workplace, some: readonly Ready[]): string[] {
  const heads = some.flatMap(({ work }) => work.heads);
  const trees = new Set(heads.map(({ worktree }) => worktree));
  const branches = new Set(heads.map(({ branch }) => branch));
  const others = [
    ...snapshot.worktrees
      .filter(({ path, present }) => present && dirname(path).endsWith(worktreesSuffix) && !trees.has(path))
      .map((tree) => headOf(snapshot, tree)),
    ...[...declaredBranches]
      .filter((branch) => !branches.has(branch))
      .map((branch) => snapshot.refs.get(branch)?.oid ?? null),
  ];
  return [...new Set(others.filter((oid) => oid !== null))];
}

/** Where the work of one that could not be looked at stands, as far as the repository itself knows. */
function headIds(place: Workplace, found: Found): string[] {
  const { snapshot } = place;
  const { sources } = found;
  if (sources.kind === "branch") {
    const ref = snapshot.refs.get(sources.branch.startsWith("refs/") ? sources.branch : `refs/heads/${sources.branch}`);
    return ref === undefined ? [] : [ref.oid];
  }
  const paths = sources.kind === "worktree" ? [sources.path] : rolesIn(sources.directory).map(({ path }) => path);
  return paths.flatMap((path) => {
    const real = realPath(path);
    const tree = snapshot.worktrees.find((one) => one.path === real && one.present);
    return (tree === undefined ? null : headOf(snapshot, tree)) ?? [];
  });
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
