import { backoff } from "../core/backoff.ts";
import type { Trouble } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import { isAncestor } from "../git/ancestry.ts";
import { git } from "../git/process.ts";
import { listRemote, push as pushRefs, type Remote } from "../git/remote.ts";
import type { Lease } from "../queue/leases.ts";
import { postPush } from "../queue/outbox.ts";
import { type Debt, owedTags, recordPush, writePush } from "../queue/pushes.ts";
import { clearRemoteLocks } from "./clearLocks.ts";
import type { App, Workplace } from "./context.ts";
import type { Receiver } from "./receiver.ts";

/** What a push came to, for the report. `moved` means that the remote is ahead again: take it in and push once more. */
export type PushReport = {
  readonly repository: string;
  readonly target: string;
  readonly remote: string | null;
  readonly state: Debt["state"];
  readonly detail: string | null;
  readonly moved: boolean;
};

export type TagRef = { readonly oid: string; readonly ref: string };

/** First and longest wait after a failed push; a refusal by rule starts later. Milliseconds. */
const waits = { failed: 60_000, refused: 3_600_000, limit: 86_400_000, failedLimit: 3_600_000 };

/**
 * Pushes the target at `tip` with our tags that the remote lacks, all or none, and writes down what came of it. After any answer but a
 * clear yes or no the remote is asked what it holds: a push that was accepted and whose answer was lost is a push.
 */
export async function pushTarget(
  app: App,
  place: Workplace,
  lease: Lease,
  receiver: Receiver,
  tip: string,
  newTags: readonly TagRef[],
  failures: number,
): Promise<PushReport> {
  const { remote, target } = receiver;
  const repository = place.snapshot.repository.commonDir;
  const settle = async (
    state: Debt["state"],
    detail: string | null,
    { moved = false, output = null }: { moved?: boolean; output?: string | null } = {},
  ): Promise<PushReport> => {
    // What a signal cut short is no verdict: it stays owed as it was, without a wait.
    const cut = state === "pending" && app.git.signal.aborted;
    if (cut)
      return { repository, target, remote: remote?.name ?? null, state, detail: "ended by a signal", moved: false };
    const nth = state === "pending" || state === "refused" ? failures + 1 : 0;
    const wait =
      state === "refused"
        ? backoff(nth, waits.refused, waits.limit, app.random())
        : backoff(nth, waits.failed, waits.failedLimit, app.random());
    await recordPush(
      app.queue,
      lease,
      { repository, target, state, detail, failures: nth, nextAt: nth === 0 || moved ? null : app.now() + wait },
      app.now(),
      app.outbox,
      output,
    );
    return { repository, target, remote: remote?.name ?? null, state, detail, moved };
  };
  const { state, detail } = receiver.push;
  if (remote === null) return await settle("none", null); // the remote was taken away: nothing is owed any more
  if (state === "withheld" || state === "refused" || state === "pending") return await settle(state, detail);
  app.progress(`pushing ${shortName(target)} to ${remote.name}`);
  const tags = app.config.tag.mode === "push" ? await tagsToPush(app, place, target, newTags) : [];
  const refspecs = [{ oid: tip, ref: target }, ...tags];
  const began = app.now();
  const result = await pushRefs(app.git, place.scratch, remote, refspecs, app.config.push.timeoutMs);
  switch (result.kind) {
    case "pushed":
      await moveTracking(place, remote, target, tip);
      return await settle("pushed", null);
    case "moved":
      return await settle("pending", `${remote.name} has moved on`, { moved: true });
    case "refused":
      return await settle("refused", result.detail, { output: result.transcript });
    case "failed": {
      // The other side of a push to a directory on this host is our child: killed, it leaves its lock files there, done or not.
      await clearRemoteLocks(app, place, target, began);
      if (await holds(app, place, remote, target, tip, tags)) {
        await moveTracking(place, remote, target, tip);
        return await settle("pushed", null);
      }
      app.log.debug(result.transcript);
      return await settle("pending", result.detail, { output: result.transcript });
    }
  }
}

/** A push that could not even be tried: owed as before, with the reason, and later each time. */
export async function postpone(
  app: App,
  place: Workplace,
  lease: Lease,
  target: string,
  trouble: Trouble,
  failures: number,
): Promise<PushReport> {
  const repository = place.snapshot.repository.commonDir;
  const report = { repository, target, remote: null, state: "pending", detail: trouble.detail, moved: false } as const;
  if (app.git.signal.aborted) return report;
  const nextAt = app.now() + backoff(failures + 1, waits.failed, waits.failedLimit, app.random());
  await recordPush(app.queue, lease, { ...report, failures: failures + 1, nextAt }, app.now(), app.outbox);
  return report;
}

/** The same where the repository is gone or cannot be worked on, so that there is no lease. It may come back. */
export async function postponeUnvisited(app: App, debt: Debt, detail: string): Promise<PushReport> {
  const { repository, target, failures } = debt;
  const nextAt = app.now() + backoff(failures + 1, waits.refused, waits.limit, app.random());
  const owed = { repository, target, state: "pending", detail, failures: failures + 1, nextAt } as const;
  await app.queue.write(async (tx) => {
    await writePush(tx, repository, target, owed, app.now());
    await postPush(tx, app.outbox, owed);
  });
  return { repository, target, remote: null, state: "pending", detail, moved: false };
}

/**
 * Whether the remote's branch contains `tip` now, and all `tags` are there, asked of the remote itself. An atomic push is none for a
 * receiving side that is killed in it: it moves ref by ref.
 */
async function holds(
  app: App,
  place: Workplace,
  remote: Remote,
  target: string,
  tip: string,
  tags: readonly TagRef[],
): Promise<boolean> {
  const heads = await listRemote(app.git, place.scratch, remote, app.config.push.timeoutMs);
  if ("transcript" in heads) return false;
  const there = heads.get(target);
  if (there === undefined || tags.some(({ ref, oid }) => heads.get(ref) !== oid)) return false;
  return there === tip || (await isAncestor(app.git, place.scratch.gitDir, tip, there)) === true;
}

/** The tags of this landing, whose ids are known, and those that earlier pushes still owe. */
async function tagsToPush(app: App, place: Workplace, target: string, known: readonly TagRef[]): Promise<TagRef[]> {
  const owed = await owedTags(app.queue, place.snapshot.repository.commonDir, target);
  const older = owed.map((name) => `refs/tags/${name}`).filter((ref) => !known.some((tag) => tag.ref === ref));
  if (older.length === 0) return [...known];
  // A tag that somebody has deleted since is not owed: for-each-ref leaves it out.
  const result = await git(app.git, {
    gitDir: place.snapshot.repository.commonDir,
    args: ["for-each-ref", "--format=%(objectname) %(refname)", ...older],
  });
  const found = result.stdout
    .toString()
    .split("\n")
    .flatMap((line): TagRef[] => {
      const [oid, ref] = line.split(" ");
      return oid && ref ? [{ oid, ref }] : [];
    });
  return [...known, ...found];
}

/** What `git push origin` would do: the remote-tracking branch follows. Losing a race for it does no harm. */
async function moveTracking(place: Workplace, remote: Remote, target: string, tip: string): Promise<void> {
  const ref = `refs/remotes/${remote.name}/${shortName(target)}`;
  const from = place.snapshot.refs.get(ref)?.oid;
  if (from === tip) return;
  const change =
    from === undefined
      ? ({ verb: "create", ref, to: tip } as const)
      : ({ verb: "update", ref, to: tip, from } as const);
  const failure = await place.refs.transact([change]);
  // Killed, or no room on the disk: there is no later step that would bring the ref up to date.
  if (failure !== null) await place.refs.transact([change]);
}
