import { visible } from "../core/describe.ts";
import { held, type Trouble } from "../core/reasons.ts";
import { fastForward } from "../git/checkout.ts";
import { type LookedAt, listPaths } from "../git/dirty.ts";
import { type GitContext, git } from "../git/process.ts";
import { lastWords } from "../git/remote.ts";
import { putCheckoutBack, stagedOtherwise } from "../git/repair.ts";
import { pendingPrefix } from "../git/snapshot.ts";
import { abandon, type Intent, record } from "../queue/journal.ts";
import type { Lease } from "../queue/leases.ts";
import { type App, inCheckout, type Workplace } from "./context.ts";
import { arrived, finishRefs, undo } from "./land.ts";
import { changesOf, putBackWhatIsOurs, standardsOf, stuck } from "./putBack.ts";

/** What recovery found and did with one landing of a dead run: the rows of docs/recovery.md. */
export type Recovered = {
  readonly landingId: string;
  readonly repository: string;
  readonly found: "not begun" | "before the checkout" | "before the tags" | "before the record" | "overtaken";
  readonly did: "abandoned" | "finished";
  readonly projects: ReadonlyArray<{ readonly id: number; readonly name: string }>;
};

type Outcome = Pick<Recovered, "found" | "did">;

/**
 * Finishes or forgets every open landing of a repository. Git decides: the row only says where to look. The dead runs' processes are
 * ended and their lock files gone (locks.ts). A Trouble when something is left that a person must see to, or that may pass; the
 * repository is then not worked on, and the landing stays open.
 */
export async function recover(
  app: App,
  place: Workplace,
  lease: Lease,
  intents: readonly Intent[],
): Promise<Recovered[] | Trouble> {
  const done: Recovered[] = [];
  for (const intent of intents) {
    const outcome = await recoverOne(app, place, lease, intent);
    if ("outcome" in outcome) return outcome;
    done.push({
      landingId: intent.landingId,
      repository: intent.repository,
      projects: intent.landed.map(({ projectId, name }) => ({ id: projectId, name })),
      ...outcome,
    });
  }
  return done;
}

async function recoverOne(app: App, place: Workplace, lease: Lease, intent: Intent): Promise<Outcome | Trouble> {
  const gitDir = place.snapshot.repository.commonDir;
  const refs = await refsOf(app.git, gitDir, intent);
  if (refs === null) return stuck(intent, "its refs could not be read");
  const pending = refs.has(pendingPrefix + intent.landingId);
  const target = refs.get(intent.target) ?? null;
  const there =
    target !== null && (target === intent.tip || (await arrived(app.git, gitDir, intent.target, intent.tip)));
  const close = async (found: Outcome["found"]): Promise<Outcome | Trouble> => {
    // A transaction of several refs is not all or nothing for one who is killed in it: what there is already stays.
    const trouble = await finishRefs(app.git, place.refs, gitDir, intent, refs);
    if (trouble !== null) return trouble;
    await record(app.queue, lease, intent, app.now());
    return { found, did: "finished" };
  };
  const takeBack = async (found: Outcome["found"]): Promise<Outcome | Trouble> => {
    const changes = undo(intent, refs);
    const failure = changes.length === 0 ? null : await place.refs.transact(changes);
    if (failure !== null) return stuck(intent, `its refs could not be put back (${lastWords(failure)})`);
    await abandon(app.queue, lease, intent.landingId, app.now());
    return { found, did: "abandoned" };
  };
  if (!pending) {
    // The pending mark is the first ref to come and the last to go: without it T1 did not happen, or T2 did, and is over.
    if (there) return await close("before the record");
    // With a proof it had landed, and somebody moved the target back since: what bears witness of it stays.
    if (!intent.refs.proofs.some(({ ref }) => refs.has(ref))) return await takeBack("not begun");
    await abandon(app.queue, lease, intent.landingId, app.now());
    return { found: "overtaken", did: "abandoned" };
  }
  if (there) return await close("before the tags");
  const out = place.snapshot.worktrees.find((tree) => tree.present && tree.branch === intent.target);
  if (target === intent.base && (out !== undefined || intent.checkout === null)) {
    const advanced = out === undefined ? null : await advance(app, place, intent, { ...out, head: intent.base });
    if (advanced === null) return await close("before the checkout");
    if (advanced !== "refused") return advanced;
    return await takeBack("overtaken");
  }
  // Somebody committed, or switched branches, before we came: what git had half written for us goes, and the landing starts over.
  const was = place.snapshot.worktrees.find((tree) => tree.present && tree.path === intent.checkout);
  if (was !== undefined) {
    const put = await putBackWhatIsOurs(app, place, intent, { ...was, head: intent.base });
    if (put !== null) return put;
  }
  return await takeBack("overtaken");
}

/**
 * Brings the checkout forward for a landing that died before or while doing so: what git had half written is put back first, then the
 * same fast-forward runs again. Null when the index and the files stand at the tip; "refused" when they stand at the base again.
 */
async function advance(
  app: App,
  place: Workplace,
  intent: Intent,
  tree: LookedAt,
): Promise<"refused" | Trouble | null> {
  const changes = await changesOf(app, place, intent);
  if (changes === null) return stuck(intent, "git could not compare the two commits");
  const context = inCheckout(app.git, place);
  const notNew = await stagedOtherwise(context, tree, intent.tip, changes);
  if (!Array.isArray(notNew)) return stuck(intent, "its index could not be read");
  if (notNew.length === 0) {
    // The index is written last, when all files are: only the branch is behind.
    const failure = await place.refs.transact([
      { verb: "update", ref: intent.target, to: intent.tip, from: intent.base },
    ]);
    return failure === null ? null : stuck(intent, `its branch could not be moved (${lastWords(failure)})`);
  }
  const staged = await stagedOtherwise(context, tree, intent.base, changes);
  if (!Array.isArray(staged)) return stuck(intent, "its index could not be read");
  const ours = changes.filter((change) => !staged.includes(change));
  const users = await putCheckoutBack(context, tree, standardsOf(app, place, intent), ours);
  if (!Array.isArray(users)) return stuck(intent, `its files could not be put back (${lastWords(users)})`);
  const unknown = [...staged.map(({ path }) => path), ...users];
  if (unknown.length > 0) {
    return stuck(intent, `${visible(listPaths(unknown))} there is neither the old version nor the new one`);
  }
  const refusal = await fastForward(context, tree, intent.tip);
  if (refusal === null) return null;
  if (refusal.code === null) return passing(`git was ended while it brought ${visible(tree.path)} forward.`);
  // Refused as a whole, or given up half-way (a full disk): in either case nothing of it may stay.
  const again = await putCheckoutBack(context, tree, standardsOf(app, place, intent), ours);
  return Array.isArray(again) ? "refused" : stuck(intent, `its files could not be put back (${lastWords(again)})`);
}

/** The refs of a landing that there are, and the target: full name -> id. Null when git cannot tell. */
async function refsOf(context: GitContext, gitDir: string, intent: Intent): Promise<Map<string, string> | null> {
  const { backups, tags, proofs } = intent.refs;
  const names = [
    intent.target,
    pendingPrefix + intent.landingId,
    ...[...backups, ...tags, ...proofs].map(({ ref }) => ref),
  ];
  const result = await git(context, { gitDir, args: ["for-each-ref", "--format=%(objectname) %(refname)", ...names] });
  if (result.code !== 0) return null;
  const lines = result.stdout.toString().split("\n");
  return new Map(lines.map((line) => [line.slice(line.indexOf(" ") + 1), line.slice(0, line.indexOf(" "))] as const));
}

function passing(detail: string): Trouble {
  return held("repository_busy", detail, { transient: true });
}
