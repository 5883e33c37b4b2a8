import { visible } from "../../core/describe.ts";
import type { Marked, Tag } from "../../git/marked.ts";
import { landedPrefix, type Snapshot } from "../../git/snapshot.ts";
import type { MergedRow, RecordedLanding } from "../../queue/audit.ts";
import type { Evidence, LandingEvidence } from "./evidence.ts";
import { gitCommand, named, short, type Verdict, verdict } from "./finding.ts";

/** What a row is held against. */
export type Ground = {
  readonly evidence: Evidence;
  readonly snapshot: Snapshot;
  readonly tags: ReadonlyMap<string, Tag>;
  /** For git commands that a person types: the main working tree, or the bare repository. */
  readonly directory: string;
  /** Where the queue is, for commands of our own: ` --db X`, or nothing. */
  readonly options: string;
  /** A backup branch of a landing that is older than this (unix milliseconds) may be gone. */
  readonly keptSince: number;
  /** The landings of all rows of this target, by attempt. */
  readonly recorded: ReadonlyMap<string, RecordedLanding>;
};

/** Holds one row that says merged against what git shows. Pure: all that git had to say is in `ground`. */
export function auditRow(row: MergedRow, landing: RecordedLanding, ground: Ground): Verdict {
  const found = verdict();
  const { evidence } = ground;
  const mark = landing.mergeCommit === null ? null : evidence.history.find(landing.mergeCommit);
  const merged = mark?.attempt == null ? null : (evidence.landings.get(mark.attempt) ?? null);
  const there = isContained(row, landing, ground, found);
  if (there) {
    isOurs(landing, mark, merged, ground, found);
    isStanding(row, landing, merged, ground, found);
    isThatMerge(merged, ground, found);
  }
  landedOnce(landing, ground, found);
  refsStand(row, landing, merged, ground, found);
  return found;
}

/** Every head, and the merge, inside the target. False when the merge is not, so that there is nothing more to say of it. */
function isContained(row: MergedRow, landing: RecordedLanding, ground: Ground, found: Verdict): boolean {
  const { evidence, options } = ground;
  const retry = `orchestrator-merge retry${options} ${row.id}`;
  const branch = named(landing.target);
  const missing = landing.heads.filter(({ oid }) => !evidence.contained.has(oid));
  const work = missing.map(({ role, oid }) => `${visible(role)}'s ${short(oid)}`).join(", ");
  const { mergeCommit } = landing;
  if (mergeCommit === null || evidence.contained.has(mergeCommit)) {
    if (work !== "") found.wrong.push({ what: `${branch} does not contain ${work}`, next: retry });
    return true;
  }
  const other = evidence.history.marked.find(({ attempt }) => attempt === landing.attemptId);
  const rest = other === undefined ? "" : `; it has ${short(other.oid)} in its place: its history was rewritten`;
  const next = other === undefined ? retry : gitCommand(ground.directory, "show", short(other.oid));
  const and = work === "" ? "" : `, nor ${work}`;
  found.wrong.push({ what: `${branch} does not contain its merge ${short(mergeCommit)}${and}${rest}`, next });
  return false;
}

/** The merge bears our mark, follows on the base that was recorded, and merges the recorded heads, on the target's own line. */
function isOurs(
  landing: RecordedLanding,
  mark: Marked | null,
  merged: LandingEvidence | null,
  ground: Ground,
  found: Verdict,
): void {
  const { mergeCommit, attemptId } = landing;
  if (mergeCommit === null) return;
  const next = gitCommand(ground.directory, "show", short(mergeCommit));
  const wrong = (what: string) => found.wrong.push({ what, next });
  if (isFastForward(landing)) {
    // No commit of ours: the head is the landing, and the recorded base must lie before it.
    if (!landing.heads.some(({ oid }) => oid === mergeCommit))
      wrong(`it went to ${short(mergeCommit)}, which is no recorded head of it`);
    if ((ground.evidence.fastForwards.get(attemptId) ?? []).length === 0) {
      wrong(`${short(mergeCommit)} does not follow on the recorded ${short(landing.base ?? "")}`);
    }
    return;
  }
  if (mark?.attempt == null || merged === null) {
    // Work that was in the target already may have come by anybody's commit.
    if (landing.outcome === "merged") wrong(`its merge ${short(mergeCommit)} bears no mark of ours`);
    return;
  }
  if (!ground.evidence.mainline.has(mergeCommit)) {
    found.unproved.push({
      what: `that ${named(landing.target)} has it as a first-parent merge`,
      why: "somebody has merged the other way round since (a git pull before a push), so it came in from the side",
    });
  }
  const [first] = merged.commits;
  const last = merged.commits.at(-1);
  const inTurn = merged.commits.every(
    ({ parents }, index) => index === 0 || parents[0] === merged.commits[index - 1]?.oid,
  );
  if (!inTurn || last?.oid !== mergeCommit || merged.commits.some(({ parents }) => parents.length > 2)) {
    const commits = merged.commits.map(({ oid }) => short(oid)).join(", ");
    wrong(`attempt ${mark.attempt} stands ${merged.commits.length} times in ${named(landing.target)}: ${commits}`);
    return;
  }
  if (landing.outcome !== "merged") return;
  if (mark.attempt !== attemptId) {
    // Rows with the same work land together: one of them made the merge, and all record it.
    const maker = ground.recorded.get(mark.attempt);
    if (maker !== undefined && maker.landingId !== landing.landingId) {
      wrong(`its merge ${short(mergeCommit)} is that of another landing`);
    }
    return;
  }
  if (first?.parents[0] !== landing.base) {
    wrong(`its merge follows on ${short(first?.parents[0] ?? "")}, not on the recorded ${short(landing.base ?? "")}`);
  }
  const heads = new Set(landing.heads.map(({ oid }) => oid));
  const strange = merged.parts.flatMap(({ head }) => (heads.has(head) ? [] : [head]));
  if (strange.length > 0) wrong(`it merged ${strange.map(short).join(", ")}, which is no recorded head of it`);
}

/** Not reverted since, or landed again after that; and something of it is left. */
function isStanding(
  row: MergedRow,
  landing: RecordedLanding,
  merged: LandingEvidence | null,
  ground: Ground,
  found: Verdict,
): void {
  const { history, target } = ground.evidence;
  const commits = merged?.commits ?? [];
  const retry = `orchestrator-merge retry${ground.options} ${row.id}`;
  const alone =
    landing.mergeCommit === null
      ? landing.heads.map(({ oid }) => oid)
      : (ground.evidence.fastForwards.get(landing.attemptId) ?? [landing.mergeCommit]);
  for (const oid of commits.length > 0 ? commits.map((commit) => commit.oid) : alone) {
    const revert = history.revertOf(oid);
    if (revert === null || isLandedAgain(ground, oid, revert)) continue;
    const what = `${short(revert.oid)} has reverted its merge ${short(oid)}`;
    if (merged?.intact === true) {
      const why = `${what}, and yet all of it is there: somebody has brought it back in another way`;
      found.unproved.push({ what: `that it stands in ${named(target)}`, why });
    } else found.wrong.push({ what, next: retry });
    return;
  }
  if (merged?.vanished !== true) return;
  for (const { role, oid } of landing.heads) {
    const revert = history.revertOf(oid);
    if (revert === null) continue;
    found.wrong.push({ what: `${short(revert.oid)} has reverted ${visible(role)}'s ${short(oid)}`, next: retry });
    return;
  }
  const since = `${short(commits[0]?.parents[0] ?? "")}..${named(target)}`;
  found.unproved.push({
    what: `that its changes are still in ${named(target)}`,
    why: `every path it changed is again as it was before it, without a revert that says so: ${gitCommand(ground.directory, "log", "--stat", since)}`,
  });
}

/** Whether a merge of ours with the same head came after a revert, and stands. */
function isLandedAgain(ground: Ground, oid: string, revert: Marked): boolean {
  const { history } = ground.evidence;
  const head = history.partOf(oid)?.head ?? "";
  const at = history.marked.indexOf(revert);
  return history
    .landingsOf(head)
    .some(({ last }) => last.oid !== oid && history.marked.indexOf(last) < at && history.revertOf(last.oid) === null);
}

/** Each merge is the tree that merging again makes, so nothing of either side was dropped or slipped in. */
function isThatMerge(merged: LandingEvidence | null, ground: Ground, found: Verdict): void {
  for (const { commit, comparison } of merged?.comparisons ?? []) {
    if (comparison.kind === "unsure") {
      found.unproved.push({ what: `that ${short(commit.oid)} is ${madeOf(commit)}`, why: comparison.why });
      continue;
    }
    const [before = ""] = merged?.parts.find(({ last }) => last === commit)?.commits[0]?.parents ?? [];
    found.wrong.push({
      what: `${short(commit.oid)} is not ${madeOf(commit)}: ${comparison.detail}`,
      next: gitCommand(ground.directory, "diff", short(before), short(commit.oid)),
    });
  }
}

const madeOf = ({ head }: Marked): string =>
  head === null ? "the merge of its two sides" : `what ${short(head)} comes to there`;

const isFastForward = ({ strategy, outcome }: RecordedLanding): boolean => strategy === "ff" && outcome === "merged";

/** No head was merged twice by us, unless what the earlier merge had brought was reverted in between. */
function landedOnce(landing: RecordedLanding, ground: Ground, found: Verdict): void {
  const { history, target } = ground.evidence;
  for (const { role, oid } of landing.heads) {
    const standing = history
      .landingsOf(oid)
      .filter(({ commits }) => commits.every((commit) => history.revertOf(commit.oid) === null));
    if (standing.length < 2) continue;
    const commits = standing.map(({ last }) => short(last.oid));
    found.wrong.push({
      what: `${visible(role)}'s ${short(oid)} landed ${standing.length} times in ${named(target)}: ${commits.join(", ")}`,
      next: gitCommand(ground.directory, "show", ...commits),
    });
  }
}

/** The refs of the landing stand where it made them. Backup branch and proof have their time; the tag stays. */
function refsStand(
  row: MergedRow,
  landing: RecordedLanding,
  merged: LandingEvidence | null,
  ground: Ground,
  found: Verdict,
): void {
  const { snapshot, tags, directory } = ground;
  const { mergeCommit, backupRef, tag } = landing;
  const base = isFastForward(landing) ? landing.base : (merged?.commits[0]?.parents[0] ?? null);
  if (backupRef !== null && base !== null) {
    const at = snapshot.refs.get(backupRef)?.oid;
    const name = named(backupRef);
    if (at === undefined && landing.finishedAt >= ground.keptSince) {
      found.unproved.push({ what: "that its backup was the target before it", why: `the branch ${name} is gone` });
    } else if (at !== undefined && at !== base) {
      const what = `its backup branch ${name} is at ${short(at)}, not at ${short(base)}, the target before it`;
      found.wrong.push({ what, next: gitCommand(directory, "log", "--oneline", `${short(base)}...${name}`) });
    }
  }
  const [owner] = merged?.commits.map(({ attempt }) => attempt) ?? [];
  const whole = merged?.commits.at(-1)?.oid === mergeCommit ? merged : null;
  const proved = isFastForward(landing)
    ? [{ oid: mergeCommit ?? "", ref: landedPrefix + landing.attemptId }]
    : (whole?.parts ?? []).map(({ last }, index, all) => ({
        oid: last.oid,
        ref: `${landedPrefix}${owner}${index === all.length - 1 ? "" : `.${index}`}`,
      }));
  for (const { oid, ref } of proved) {
    const at = snapshot.refs.get(ref)?.oid;
    if (at === undefined || at === oid) continue;
    const next = gitCommand(directory, "update-ref", ref, oid, at);
    found.wrong.push({ what: `${ref} is at ${short(at)}, not at ${short(oid)}`, next });
  }
  if (tag === null || mergeCommit === null) return;
  const standing = tags.get(`refs/tags/${tag}`);
  const make = (...force: string[]) =>
    gitCommand(directory, "tag", ...force, "-a", "-m", `Integration of ${visible(row.name)}`, tag, mergeCommit);
  if (standing === undefined) found.wrong.push({ what: `its tag ${tag} is gone`, next: make() });
  else if (standing.commit !== mergeCommit) {
    const what = `its tag ${tag} is at ${short(standing.commit)}, not at its merge ${short(mergeCommit)}`;
    found.wrong.push({ what, next: make("-f") });
  } else if (!standing.annotated) found.wrong.push({ what: `its tag ${tag} is not annotated`, next: make("-f") });
}
