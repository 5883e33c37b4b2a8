import { visible } from "../core/describe.ts";
import { held, type Trouble } from "../core/reasons.ts";
import { isBackup, shortName } from "../core/target.ts";
import { revList } from "../git/ancestry.ts";
import type { App, Workplace } from "./context.ts";
import type { Work } from "./plan.ts";
import type { Receiver } from "./receiver.ts";
import { agentsBranches } from "./sources.ts";
import { unreadable } from "./trouble.ts";

/**
 * The works that would bring commits of a branch which is neither the target nor an agent's: agents that forked from `develop` do not
 * belong on `main`. No git process where there is no such branch; two for all works together where there is.
 */
export async function ambiguousTargets(
  app: App,
  place: Workplace,
  receiver: Receiver,
  works: readonly Work[],
): Promise<Map<Work, Trouble> | Trouble> {
  const found = new Map<Work, Trouble>();
  const isAgents = agentsBranches(place);
  const heads = new Set(works.flatMap((work) => work.heads.map((head) => head.branch)));
  const others = [...place.snapshot.refs].filter(
    ([name, ref]) =>
      name.startsWith("refs/heads/") &&
      name !== receiver.target &&
      ref.oid !== receiver.base &&
      !isBackup(name) &&
      !isAgents(name) &&
      !heads.has(name),
  );
  if (others.length === 0) return found;
  const brings = async (oids: readonly string[], without: readonly string[]) =>
    await revList(
      app.git,
      place.scratch.gitDir,
      [],
      [...oids, `^${receiver.base}`, ...without.map((oid) => `^${oid}`)],
    );
  const all = works.flatMap((work) => work.heads.map((head) => head.oid));
  const tips = others.map(([, ref]) => ref.oid);
  const [whole, own] = [await brings(all, []), await brings(all, tips)];
  if (!Array.isArray(whole)) return unreadable("the agents' commits", whole);
  if (!Array.isArray(own)) return unreadable("the agents' commits", own);
  if (whole.length === own.length) return found;
  for (const work of works) {
    const oids = work.heads.map((head) => head.oid);
    const mine = await brings(oids, []);
    if (!Array.isArray(mine)) return unreadable("the agents' commits", mine);
    const dragged: string[] = [];
    for (const [name, ref] of others) {
      const less = await brings(oids, [ref.oid]);
      if (Array.isArray(less) && less.length < mine.length)
        dragged.push(`${mine.length - less.length} of ${visible(shortName(name))}`);
    }
    if (dragged.length === 0) continue;
    const target = visible(shortName(receiver.target));
    found.set(
      work,
      held(
        "ambiguous_target",
        `landing it on ${target} would bring along commits of other branches (${dragged.join(", ")}): set its target with a rule, or merge that branch first.`,
      ),
    );
  }
  return found;
}
