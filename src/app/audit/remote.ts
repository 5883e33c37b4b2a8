import { visible } from "../../core/describe.ts";
import { revList } from "../../git/ancestry.ts";
import { lookUp, type Tag } from "../../git/marked.ts";
import { announce, fetchBranch, lastWords, listRemote, remoteOf } from "../../git/remote.ts";
import type { RecordedLanding } from "../../queue/audit.ts";
import type { App, Workplace } from "../context.ts";
import type { Evidence } from "./evidence.ts";
import { gitCommand, named, saying, short, type Verdict } from "./finding.ts";

/** Tells what the remote holds of a landing that was pushed: adds to the verdict what is not as it was recorded. */
export type RemoteCheck = (landing: RecordedLanding, into: Verdict) => void;

/**
 * Asks the remote for its branches and tags (once a repository: `asked` remembers), and fetches a branch that stands elsewhere into the
 * scratch. What cannot be reached is not proved, and not wrong.
 */
export function openRemote(
  app: Pick<App, "git" | "config">,
  place: Pick<Workplace, "scratch" | "snapshot">,
  directory: string,
  tags: ReadonlyMap<string, Tag>,
): (evidence: Evidence, landings: readonly RecordedLanding[]) => Promise<RemoteCheck> {
  const name = app.config.push.remote;
  const remote = remoteOf(place.snapshot, name);
  let asked: ReturnType<typeof listRemote> | null = null;
  const unproved =
    (why: string): RemoteCheck =>
    (_, into) => {
      into.unproved.push({ what: `that ${visible(name)} has it`, why });
    };

  return async ({ target, tip, contained }, landings) => {
    if (landings.length === 0) return () => {};
    if (remote === null) return unproved(`the repository has no remote ${visible(name)} any more`);
    asked ??= listRemote(app.git, place.scratch, remote, app.config.push.timeoutMs);
    const heads = await asked;
    if ("transcript" in heads) return unproved(`${visible(name)} cannot be reached: ${lastWords(heads)}`);
    const push = gitCommand(directory, "push", name, named(target));
    const there = heads.get(target);
    if (there === undefined) {
      return (_, into) => {
        into.wrong.push({ what: `${visible(name)} has no branch ${named(target)}, though it was pushed`, next: push });
      };
    }
    const merges = [...new Set(landings.flatMap(broughtBy))];
    let published: ReadonlySet<string> = contained;
    if (there !== tip) {
      const found = await containedIn(app, place, { remote, target, there, tip }, merges);
      if (typeof found === "string") return unproved(found);
      published = found;
    }
    return (landing, into) => {
      const { mergeCommit, tag } = landing;
      const missing = broughtBy(landing).filter((oid) => !published.has(oid));
      if (missing.length > 0) {
        const it = mergeCommit === null ? missing.map(short).join(", ") : `its merge ${short(mergeCommit)}`;
        const what = `${visible(name)}'s ${named(target)} does not contain ${it}, though it was pushed`;
        into.wrong.push({ what, next: push });
      }
      const ref = `refs/tags/${tag}`;
      const [ours, theirs] = [tags.get(ref), heads.get(ref)];
      if (tag !== null && ours !== undefined && theirs === undefined && app.config.tag.mode === "push") {
        into.wrong.push({
          what: `${visible(name)} does not have the tag ${named(ref)}, though it was pushed`,
          next: gitCommand(directory, "push", name, ref),
        });
      }
      if (ours !== undefined && theirs !== undefined && ours.oid !== theirs && ours.commit === mergeCommit) {
        const next = gitCommand(directory, "ls-remote", name, ref);
        into.wrong.push({ what: `the tag ${named(ref)} is another one on ${visible(name)}`, next });
      }
    };
  };
}

/** The commits that the remote must have: the merge, or the heads of work that came without one. */
const broughtBy = ({ mergeCommit, heads }: RecordedLanding): string[] =>
  mergeCommit === null ? heads.map(({ oid }) => oid) : [mergeCommit];

/** Those of `merges` that the remote's branch contains; a sentence when that cannot be told. */
async function containedIn(
  app: Pick<App, "git" | "config">,
  place: Pick<Workplace, "scratch" | "snapshot">,
  at: { remote: NonNullable<ReturnType<typeof remoteOf>>; target: string; there: string; tip: string },
  merges: readonly string[],
): Promise<ReadonlySet<string> | string> {
  const { gitDir } = place.scratch;
  const tip = await lookUp(app.git, gitDir, [at.there]);
  if (!Array.isArray(tip)) return saying(tip);
  if (tip[0] === null) {
    announce(place.scratch, [at.tip]);
    const failure = await fetchBranch(app.git, place.scratch, at.remote, at.target, app.config.push.timeoutMs);
    if (failure !== null) return `${visible(at.remote.name)} could not be fetched: ${lastWords(failure)}`;
  }
  const known = await lookUp(app.git, gitDir, merges);
  if (!Array.isArray(known)) return saying(known);
  const present = merges.filter((_, index) => known[index] !== null);
  const outside = await revList(app.git, gitDir, [], [...present, `^${at.there}`]);
  if (!Array.isArray(outside)) return saying(outside);
  const out = new Set(outside);
  return new Set(present.filter((oid) => !out.has(oid)));
}
