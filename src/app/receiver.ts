import { visible } from "../core/describe.ts";
import { failed, held, isTrouble, type Trouble } from "../core/reasons.ts";
import { chooseTarget, shortName } from "../core/target.ts";
import { isAncestor, revList } from "../git/ancestry.ts";
import type { LookedAt } from "../git/dirty.ts";
import { type GitResult, git } from "../git/process.ts";
import { announce, fetchBranch, lastWords, listRemote, type Remote, remoteOf } from "../git/remote.ts";
import { landedPrefix } from "../git/snapshot.ts";
import { branchUnderRebase, indexLocked, operationInProgress } from "../git/worktrees.ts";
import type { App, Workplace } from "./context.ts";
import { agentsBranches } from "./sources.ts";
import { pendingCommits } from "./stranded.ts";
import { unreadable } from "./trouble.ts";

/** The branch that receives a landing, where it stands here and on the remote, and what that means for the push. */
export type Receiver = {
  /** Full name. */
  readonly target: string;
  /** The local tip. */
  readonly old: string;
  /** Where the landing starts: the local tip, or the remote's when that is ahead. */
  readonly base: string;
  readonly baseTree: string;
  readonly oldTree: string;
  /** A remote that went its own way: to be merged into `base` before any project. */
  readonly takeIn: string | null;
  /** The working tree that has the target checked out, if any; of several the first, the main one before the linked ones. */
  readonly checkout: LookedAt | null;
  /** Why nothing can land although the target is known: several checkouts, of which only one could be kept in step. */
  readonly crowded: Trouble | null;
  readonly remote: Remote | null;
  readonly push: PushOutlook;
  readonly warnings: readonly string[];
};

/** What will become of the push, as far as can be seen before landing. `owed` means: try it. */
export type PushOutlook = {
  readonly state: "none" | "off" | "owed" | "pending" | "withheld" | "refused";
  readonly detail: string | null;
  /** What the remote's branch stood at; null when it has none. */
  readonly remoteTip: string | null;
};

/**
 * Looks at the target and at its remote. One git process when the remote stands where the target does; more only when they differ.
 * Nothing of the repository changes: what is fetched goes into the scratch.
 */
export async function readReceiver(
  app: App,
  place: Workplace,
  wanted: string,
  pushMode: "auto" | "off",
): Promise<Receiver | Trouble> {
  const { snapshot } = place;
  const remoteName = app.config.push.remote;
  const branches = [...snapshot.refs.keys()].filter((ref) => ref.startsWith("refs/heads/"));
  const chosen = chooseTarget(wanted, {
    branches,
    remoteDefault: snapshot.refs.get(`refs/remotes/${remoteName}/HEAD`)?.symref ?? null,
    remotePrefix: `refs/remotes/${remoteName}/`,
    isAgents: agentsBranches(place),
  });
  if ("missing" in chosen) return failed("no_target_branch", `${chosen.missing}.`);
  const { target } = chosen;
  const ref = snapshot.refs.get(target);
  if (ref === undefined || ref.tree === "") return failed("no_target_branch", `${shortName(target)} is no commit.`);
  const checkout = findCheckout(place, target);
  if (isTrouble(checkout)) return checkout;
  const remote = pushMode === "off" ? null : remoteOf(snapshot, remoteName);
  const local = {
    target,
    old: ref.oid,
    base: ref.oid,
    baseTree: ref.tree,
    oldTree: ref.tree,
    takeIn: null,
    checkout: checkout === null ? null : { path: checkout.path, gitDir: checkout.gitDir, head: ref.oid },
    crowded: checkout?.crowded ?? null,
    remote,
    warnings: [],
  };
  if (remote === null) {
    return { ...local, push: { state: pushMode === "off" ? "off" : "none", detail: null, remoteTip: null } };
  }
  return await compareWithRemote(app, place, { ...local, remote });
}

type Local = Omit<Receiver, "push"> & { readonly remote: Remote };

/**
 * Asks the remote now for what readReceiver will want to know next, while another repository lands: a look over a network takes longer
 * than a landing, and with 20 remotes on the same disk it is a tenth of the time.
 */
export function askAhead(app: App, place: Workplace, pushMode: "auto" | "off"): void {
  const remote = pushMode === "off" ? null : remoteOf(place.snapshot, app.config.push.remote);
  if (remote === null || place.asked !== null) return;
  place.asked = listRemote(app.git, place.scratch, remote, app.config.push.timeoutMs);
  place.asked.catch(() => {}); // told where it is waited for
}

async function compareWithRemote(app: App, place: Workplace, local: Local): Promise<Receiver | Trouble> {
  const { remote, target, old } = local;
  const tracked = place.snapshot.refs.get(`refs/remotes/${remote.name}/${shortName(target)}`)?.oid ?? null;
  const answer = place.asked ?? listRemote(app.git, place.scratch, remote, app.config.push.timeoutMs);
  place.asked = null;
  const heads = await answer;
  if ("transcript" in heads) {
    const detail = `${remote.name} cannot be reached: ${lastWords(heads)}`;
    return {
      ...local,
      push: { state: "pending", detail, remoteTip: tracked },
      warnings: [detail],
    };
  }
  const remoteTip = heads.get(target) ?? null;
  if (remoteTip === null) {
    const others = [...heads.keys()].filter((name) => name.startsWith("refs/heads/"));
    if (others.length === 0) return { ...local, push: { state: "owed", detail: null, remoteTip: null } };
    const detail = `${remote.name} has no branch ${shortName(target)}, but has others: it is not created there`;
    return { ...local, push: { state: "refused", detail, remoteTip: null } };
  }
  if (remoteTip === old) return { ...local, push: { state: "owed", detail: null, remoteTip } };
  if (remoteTip !== tracked) {
    announce(place.scratch, [old, ...(tracked === null ? [] : [tracked])]);
    const failure = await fetchBranch(app.git, place.scratch, remote, target, app.config.push.timeoutMs);
    if (failure !== null) {
      const detail = `${remote.name} could not be fetched: ${lastWords(failure)}`;
      return { ...local, push: { state: "pending", detail, remoteTip }, warnings: [detail] };
    }
    place.borrowed = true;
  }
  return await reconcile(app, place, local, remoteTip);
}

/** The remote's branch and ours differ: who is ahead, and whose commits are they? */
async function reconcile(app: App, place: Workplace, local: Local, remoteTip: string): Promise<Receiver | Trouble> {
  const { old } = local;
  const gitDir = place.scratch.gitDir;
  const behind = await isAncestor(app.git, gitDir, old, remoteTip);
  if (typeof behind !== "boolean") return unreadable("the remote's commits", behind);
  if (behind) {
    const baseTree = await treeOf(app, place, remoteTip);
    if (typeof baseTree !== "string") return unreadable("the remote's commits", baseTree);
    return { ...local, base: remoteTip, baseTree, push: { state: "owed", detail: null, remoteTip } };
  }
  const ahead = await isAncestor(app.git, gitDir, remoteTip, old);
  if (typeof ahead !== "boolean") return unreadable("the remote's commits", ahead);
  if (!ahead && app.config.push.diverged === "hold") {
    return held(
      "target_diverged",
      `${visible(shortName(local.target))} and ${local.remote.name}/${visible(shortName(local.target))} have gone different ways.`,
    );
  }
  const mainline = await revList(app.git, gitDir, ["--first-parent"], [old, `^${remoteTip}`]);
  if (!Array.isArray(mainline)) return unreadable("the target's commits", mainline);
  const ours = new Set(
    [...place.snapshot.refs].filter(([name]) => name.startsWith(landedPrefix)).map(([, ref]) => ref.oid),
  );
  for (const oid of await pendingCommits(app, place)) ours.add(oid);
  const foreign = mainline.filter((oid) => !ours.has(oid));
  const branch = shortName(local.target);
  if (foreign.length > 0 && app.config.push.unpublished === "withhold") {
    const detail = `${visible(branch)} has ${foreign.length} unpublished commit${foreign.length === 1 ? "" : "s"} of somebody else's (newest ${foreign[0]?.slice(0, 10)}): push them, then ours follow`;
    return { ...local, push: { state: "withheld", detail, remoteTip } };
  }
  if (ahead) return { ...local, push: { state: "owed", detail: null, remoteTip } };
  return { ...local, takeIn: remoteTip, push: { state: "owed", detail: null, remoteTip } };
}

/** Where the target is checked out, with nothing going on there. */
function findCheckout(
  place: Workplace,
  target: string,
): (Omit<LookedAt, "head"> & Pick<Receiver, "crowded">) | null | Trouble {
  const trees = place.snapshot.worktrees.filter((tree) => tree.present);
  const branch = visible(shortName(target));
  for (const tree of trees) {
    if (tree.branch === null && branchUnderRebase(tree.gitDir) === target) {
      return held("repository_busy", `${branch} is being rebased in ${visible(tree.path)}.`);
    }
  }
  const out = trees.filter((tree) => tree.branch === target);
  const [tree] = out;
  if (tree === undefined) return null;
  const operation = operationInProgress(tree.gitDir);
  if (operation !== null) return held("repository_busy", `${visible(tree.path)} is in the middle of ${operation}.`);
  if (indexLocked(tree.gitDir)) {
    return held(
      "repository_busy",
      `another git is at work in ${visible(tree.path)} (or died there and left ${visible(tree.gitDir)}/index.lock).`,
    );
  }
  const crowded =
    out.length === 1
      ? null
      : held(
          "dirty_target",
          `${branch} is checked out in ${out.map(({ path }) => visible(path)).join(" and ")}: only one can be kept in step.`,
        );
  return { path: tree.path, gitDir: tree.gitDir, crowded };
}

/** The tree of a commit; the failing result when git cannot tell. */
export async function treeOf(app: App, place: Workplace, commit: string): Promise<string | GitResult> {
  const result = await git(app.git, {
    gitDir: place.scratch.gitDir,
    args: ["rev-parse", "--verify", "--end-of-options", `${commit}^{tree}`],
  });
  return result.code === 0 ? result.stdout.toString().trim() : result;
}
