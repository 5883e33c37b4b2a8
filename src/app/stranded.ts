import { decodeTime } from "ulid";
import { visible } from "../core/describe.ts";
import { revList } from "../git/ancestry.ts";
import { readMarked } from "../git/marked.ts";
import { git } from "../git/process.ts";
import type { RefChange } from "../git/refs.ts";
import { landedPrefix, pendingPrefix } from "../git/snapshot.ts";
import type { Intent } from "../queue/journal.ts";
import type { App, Workplace } from "./context.ts";

/*
 * Pending marks of landings that the queue knows nothing of: it was put back from an older copy, or made anew, after a run was killed
 * between the two transactions. What they point at was made by this program all the same.
 */

/** So old is a mark that no run of another queue can still be at work on it. Milliseconds. */
const abandonedAfter = 3_600_000;
/** A landing is no longer than this. */
const longestChain = 1000;

/** The commits of landings whose marks are still there: by our own trailers, from each mark down. */
export async function pendingCommits(app: Pick<App, "git">, place: Pick<Workplace, "scratch" | "snapshot">) {
  const tips = marks(place).map(({ oid }) => oid);
  const chains = await Promise.all(tips.map((tip) => chainOf(app, place, tip)));
  return new Set(chains.flat().map(({ oid }) => oid));
}

/**
 * Gives the commits of stranded landings their proofs, where a branch has them, and takes their marks away. Under the lease. True when it
 * has changed something.
 */
export async function adoptStranded(app: App, place: Workplace, open: readonly Intent[]): Promise<boolean> {
  const known = new Set(open.map(({ landingId }) => landingId));
  const stranded = marks(place).filter(({ id }) => !known.has(id) && app.now() - decodeTime(id) > abandonedAfter);
  for (const { id, oid } of stranded) {
    const branches = await git(app.git, {
      gitDir: place.snapshot.repository.commonDir,
      args: ["for-each-ref", "--count=1", "--contains", oid, "refs/heads"],
    });
    if (branches.code !== 0) continue;
    const chain = branches.stdout.length === 0 ? [] : await chainOf(app, place, oid);
    const seen = new Map<string, number>();
    const proofs = chain.map(({ oid: commit, attempt }): RefChange => {
      const nth = seen.get(attempt) ?? 0;
      seen.set(attempt, nth + 1);
      return { verb: "create", ref: `${landedPrefix}${attempt}${nth === 0 ? "" : `.${nth - 1}`}`, to: commit };
    });
    const missing = proofs.filter(({ ref }) => !place.snapshot.refs.has(ref));
    const failure = await place.refs.transact([...missing, { verb: "delete", ref: pendingPrefix + id, from: oid }]);
    if (failure === null) {
      const where = visible(place.snapshot.repository.topLevel ?? place.snapshot.repository.commonDir);
      app.log.info(
        `${where}: landing ${id}, which a killed run had begun, is not in this queue; its commits count as ours`,
      );
    }
  }
  return stranded.length > 0;
}

function marks({ snapshot }: Pick<Workplace, "snapshot">): { id: string; oid: string }[] {
  return [...snapshot.refs]
    .filter(
      ([ref]) => ref.startsWith(pendingPrefix) && /^[0-9A-HJKMNP-TV-Z]{26}$/.test(ref.slice(pendingPrefix.length)),
    )
    .map(([ref, { oid }]) => ({ id: ref.slice(pendingPrefix.length), oid }));
}

/** The line of first parents from a commit down, as long as it bears our trailer. */
async function chainOf(
  app: Pick<App, "git">,
  place: Pick<Workplace, "scratch" | "snapshot">,
  tip: string,
): Promise<{ oid: string; attempt: string }[]> {
  const { gitDir } = place.scratch;
  const line = await revList(app.git, gitDir, ["--first-parent", `--max-count=${longestChain}`], [tip]);
  const marked = await readMarked(app.git, gitDir, tip);
  if (!Array.isArray(line) || !Array.isArray(marked)) return [];
  const attempts = new Map(marked.map(({ oid, attempt }) => [oid, attempt]));
  const end = line.findIndex((oid) => attempts.get(oid) == null);
  const own = end < 0 ? line : line.slice(0, end);
  return own.map((oid) => ({ oid, attempt: attempts.get(oid) ?? "" }));
}
