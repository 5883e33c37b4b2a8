import { realpathSync } from "node:fs";
import { visible } from "../core/describe.ts";
import { heldHeads } from "../core/order.ts";
import { held, type Trouble } from "../core/reasons.ts";
import { parentsOf } from "../git/ancestry.ts";
import { headOf } from "../git/snapshot.ts";
import { rejectedHeads } from "../queue/approvals.ts";
import type { App, Workplace } from "./context.ts";
import { type Found, rolesIn } from "./discover.ts";
import type { AsBefore, Missed } from "./gather.ts";
import type { Ready } from "./prepare.ts";

/** What git shows of who is built on whom. */
export type Stack = {
  /** For each ready one, the others of this run whose commits its own contain. */
  readonly under: ReadonlyMap<number, readonly number[]>;
  /** Those that would bring in what must not land now, with the reason. */
  readonly blocked: ReadonlyMap<number, Trouble>;
};

/** A project whose commits must not come in by way of another's; `standing` for a person. */
type Waiting = {
  readonly id: number;
  readonly name: string;
  readonly standing: string;
  readonly oids: readonly string[];
};

/**
 * Finds, repository by repository, the heads that contain another pending head: its project lands first, and when that is held or has
 * failed, what is built on it waits. One git process for a repository with more than one project.
 */
export async function findStacks(
  app: App,
  ready: readonly Ready[],
  missed: readonly Missed[],
  asBefore: readonly AsBefore[],
): Promise<Stack> {
  const under = new Map<number, number[]>();
  const blocked = new Map<number, Trouble>();
  const rejected = await rejectedHeads(app.queue);
  const byRepository = Map.groupBy(ready, (one) => one.visit.repository.commonDir);
  for (const [commonDir, some] of byRepository) {
    const [first] = some;
    if (first === undefined) continue;
    const { place } = first.visit;
    const waiting: Waiting[] = [
      ...missed.map((miss) => ({
        miss,
        standing: `${miss.trouble.outcome === "held" ? "held" : "failed"}: ${miss.trouble.reason}`,
      })),
      ...asBefore.map((miss) => ({ miss, standing: `failed: ${miss.candidate.known?.reason}` })),
    ]
      .filter(({ miss }) => miss.found?.repository.commonDir === commonDir)
      .map(({ miss, standing }) => ({
        id: miss.candidate.id,
        name: miss.name,
        standing,
        oids: miss.ready?.work.heads.map(({ oid }) => oid) ?? (miss.found === null ? [] : headIds(place, miss.found)),
      }));
    for (const [id, oids] of rejected) waiting.push({ id, name: "", standing: "failed: rejected", oids });
    if (some.length + waiting.length < 2) continue;
    const own = (one: Ready) => one.work.heads.map(({ oid }) => oid);
    const known = [...some.flatMap(own), ...waiting.flatMap(({ oids }) => oids)];
    const targets = [...new Set(some.map(({ localTip }) => localTip).filter((oid) => oid !== ""))];
    const parents = await parentsOf(app.git, place.scratch.gitDir, known, targets);
    if (!(parents instanceof Map)) continue; // planning will say what git could not read
    const holds = heldHeads(known, parents);
    for (const one of some) {
      const mine = new Set(own(one));
      const inside = new Set([...mine].flatMap((oid) => [...(holds.get(oid) ?? [])]));
      // The very same commits are no stack: they land once, and both projects record it.
      const contains = (oids: readonly string[]) =>
        oids.some((oid) => inside.has(oid) && !mine.has(oid) && parents.has(oid));
      const { id } = one.candidate;
      const beneath = some.filter((other) => other !== one && contains(own(other)));
      if (beneath.length > 0)
        under.set(
          id,
          beneath.map(({ candidate }) => candidate.id),
        );
      const stop = waiting.find((other) => other.id !== id && contains(other.oids));
      if (stop === undefined) continue;
      const detail = `its commits contain those of project ${stop.id}${stop.name === "" ? "" : ` ${visible(stop.name)}`} (${stop.standing}).`;
      blocked.set(id, held("blocked_by_dependency", detail));
    }
  }
  return { under, blocked };
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
