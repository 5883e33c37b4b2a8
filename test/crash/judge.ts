import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { sql } from "../helpers/queueDb.ts";
import { fingerprint } from "../helpers/repo.ts";
import type { World } from "./scenarios.ts";
import type { Run, Slot } from "./slot.ts";

/** What can be seen of a world from outside: compared before, after, and with a run that nobody disturbed. */
export type Look = {
  /** Files of the checkout that receives, and of everything that must stay as it is. */
  readonly checkout: Record<string, string>;
  readonly untouched: Record<string, string>;
  /** `git status` of the checkout and of the main directory: index, edits, untracked and ignored files. */
  readonly status: string;
  readonly stash: string;
  readonly settings: Record<string, string>;
  readonly refs: ReadonlyMap<string, Ref>;
  readonly remoteRefs: ReadonlyMap<string, Ref> | null;
};

type Ref = { readonly oid: string; readonly type: string; readonly to: string };

const environment = {
  PATH: process.env["PATH"],
  HOME: "/nonexistent",
  LC_ALL: "C",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_OPTIONAL_LOCKS: "0",
};

async function git(cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)("git", args, {
    cwd,
    env: environment,
    encoding: "latin1",
    maxBuffer: 1 << 26,
  });
  return stdout;
}

/** Looks at a world without changing it. */
export async function look(world: World): Promise<Look> {
  const main = world.main.path;
  const status = ["status", "--porcelain=v2", "-z", "--ignored", "--untracked-files=all", "--no-renames"];
  const checkout = world.checkout ?? main;
  const isGit = (path: string) => path === ".git";
  return {
    checkout: fingerprint(checkout, isGit),
    untouched: Object.assign(
      {},
      ...world.untouched.map((dir) =>
        Object.fromEntries(
          Object.entries(fingerprint(dir, isGit)).map(([path, what]) => [join(basename(dir), path), what]),
        ),
      ),
    ),
    status: (await git(checkout, ...status)) + (checkout === main ? "" : await git(main, ...status)),
    stash: await git(main, "stash", "list"),
    settings: fingerprint(join(main, ".git"), (path) => !/^(config|HEAD|hooks|info|description)/.test(path)),
    ...(await refsOfBoth(world)),
  };
}

async function refsIn(dir: string): Promise<Map<string, Ref>> {
  const text = await git(dir, "for-each-ref", "--format=%(refname) %(objectname) %(objecttype) %(*objectname)");
  return new Map(
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [name = "", oid = "", type = "", to = ""] = line.split(" ");
        return [name, { oid, type, to }];
      }),
  );
}

/** All refs on both sides. */
export async function refsOfBoth(world: World): Promise<Pick<Look, "refs" | "remoteRefs">> {
  return {
    refs: await refsIn(world.main.path),
    remoteRefs: world.remote === null ? null : await refsIn(world.remote.path),
  };
}

/** Everything that is wrong with a world in which all is over; `before` is what it was, `golden` what an undisturbed run made of it. */
export async function judge(slot: Slot, before: Look, now: Look, golden: Look | null): Promise<string[]> {
  const { world } = slot;
  const wrong: string[] = [];
  const expect = (good: boolean, what: string) => {
    if (!good) wrong.push(what);
  };
  for (const dir of [world.main.path, ...(world.remote === null ? [] : [world.remote.path])]) {
    const fsck = await git(dir, "fsck", "--no-dangling", "--no-progress").then(
      (said) => said,
      (error: { stdout?: string; stderr?: string }) => `${error.stdout}${error.stderr}`,
    );
    expect(fsck.trim() === "", `fsck of ${basename(dir)}: ${fsck}`);
  }
  wrong.push(...leftovers(slot, now, false));
  wrong.push(...(await landings(world, now)));
  wrong.push(...(await rows(world)));
  expect(now.status === before.status, `status was ${show(before.status)} and is ${show(now.status)}`);
  expect(now.stash === before.stash, "the stash changed");
  wrong.push(...difference("untouched", before.untouched, now.untouched));
  wrong.push(...difference("settings", before.settings, now.settings));
  if (golden !== null) wrong.push(...difference("checkout", golden.checkout, now.checkout));
  if (now.remoteRefs !== null) {
    const target = "refs/heads/main";
    expect(now.remoteRefs.get(target)?.oid === now.refs.get(target)?.oid, "the remote's target is another");
    const tags = [...now.refs].filter(([name]) => name.startsWith("refs/tags/integration-"));
    for (const [name, { oid }] of tags) expect(now.remoteRefs.get(name)?.oid === oid, `the remote lacks ${name}`);
    expect(now.remoteRefs.size === tags.length + 1, `the remote has ${[...now.remoteRefs.keys()].join(" ")}`);
    expect(now.refs.get("refs/remotes/origin/main")?.oid === now.refs.get(target)?.oid, "origin/main is behind");
  }
  return wrong;
}

/** Everything that is half done in a world whose run has been told to end: each landing is whole, or has not begun. */
export async function settled(slot: Slot, before: Look, golden: Look): Promise<string[]> {
  const now = await look(slot.world);
  const wrong = leftovers(slot, now, true);
  const target = slot.world.main.git("rev-parse", "refs/heads/main");
  wrong.push(...difference("checkout", (target === slot.world.base ? before : golden).checkout, now.checkout));
  if (now.status !== before.status) wrong.push(`status was ${show(before.status)} and is ${show(now.status)}`);
  const [row] = await sql(
    slot.world.db,
    `SELECT (SELECT count(*) FROM merge_landing WHERE state = 'intended') AS open,
       (SELECT count(*) FROM merge_lease WHERE run_id IS NOT NULL) AS leased,
       (SELECT count(*) FROM project_queue WHERE merged_status = 'merged') AS merged,
       (SELECT count(*) FROM merge_project WHERE next_attempt_at IS NOT NULL) AS waiting`,
  );
  const landed = target === slot.world.base ? 0 : slot.world.lands.size;
  const [is, should] = [JSON.stringify({ ...row }), JSON.stringify({ open: 0, leased: 0, merged: landed, waiting: 0 })];
  return is === should ? wrong : [...wrong, `rows say ${is}, not ${should}`];
}

/** The scratches of dead runs, in a world where all is over. */
export const temporaries = (slot: Slot): string[] =>
  readdirSync(join(slot.path, "tmp")).map((name) => `left behind: tmp/${name}`);

/** Locks, half-written files, pending marks, processes: nothing of a dead run stays. */
function leftovers(slot: Slot, now: Look, temporaryToo: boolean): string[] {
  const { world } = slot;
  const gitDirs = [join(world.main.path, ".git"), ...(world.remote === null ? [] : [world.remote.path])];
  const locks = gitDirs.flatMap((dir) =>
    readdirSync(dir, { recursive: true, encoding: "utf8" })
      .filter((path) => /\.lock$|packed-refs\.new$|MERGE_HEAD$/.test(path))
      .map((path) => `left behind: ${join(basename(dir), path)}`),
  );
  const pending = [...now.refs.keys()].filter((name) => name.startsWith("refs/orchestrator/pending/"));
  const temporary = temporaryToo ? temporaries(slot) : [];
  const processes = slot.processes().length === 0 ? [] : ["processes are left"];
  return [...locks, ...pending.map((name) => `left behind: ${name}`), ...temporary, ...processes];
}

/** Each head came in by exactly one first-parent merge, or a commit that names it; a backup and a tag a project; nothing else came in. */
async function landings(world: World, now: Look): Promise<string[]> {
  const wrong: string[] = [];
  const format = "--format=%H %P %(trailers:key=Orchestrator-Head,valueonly,separator=%x20)";
  const log = await git(world.main.path, "log", "--first-parent", format, `${world.base}..refs/heads/main`);
  const merges = log
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.trim().split(" "))
    .map(([oid = "", first = "", second = "", ...more]) => ({ oid, first, second, more }));
  const heads = [...world.lands.values()].flat();
  if (merges.length !== heads.length) wrong.push(`${merges.length} commits on the target, ${heads.length} expected`);
  if ((merges.at(-1)?.first ?? world.base) !== world.base) wrong.push("the target was moved away from its base");
  for (const head of heads) {
    const by = merges.filter((merge) => merge.second === head && merge.more.length === 0);
    if (by.length !== 1) wrong.push(`${head} came in ${by.length} times`);
  }
  const named = (prefix: string, id: number) =>
    [...now.refs].filter(([name]) => name.startsWith(prefix) && name.endsWith(`-p${id}`)).map(([, ref]) => ref);
  for (const [id, own] of world.lands) {
    const first = merges.find((merge) => merge.second === own[0]);
    const last = merges.find((merge) => merge.second === own.at(-1));
    const backups = named("refs/heads/backup-before-merge-", id);
    const tags = named("refs/tags/integration-", id);
    if (backups.length !== 1 || backups[0]?.oid !== first?.first)
      wrong.push(`${backups.length} backups of project ${id}, or elsewhere`);
    if (tags.length !== 1 || tags[0]?.to !== last?.oid || tags[0]?.type !== "tag")
      wrong.push(`${tags.length} tags of project ${id}, or elsewhere`);
  }
  const proofs = [...now.refs].filter(([name]) => name.startsWith("refs/orchestrator/landed/"));
  if (proofs.length !== heads.length) wrong.push(`${proofs.length} proofs of ${heads.length} merges`);
  for (const [id, { heads: out }] of world.stays) {
    if (named("refs/heads/backup-before-merge-", id).length + named("refs/tags/integration-", id).length > 0)
      wrong.push(`project ${id} did not land, but has refs`);
    if (merges.some((merge) => out.includes(merge.second))) wrong.push(`project ${id} should not have landed`);
  }
  return wrong;
}

/** The rows say what git says: merged once, pushed where there is a remote, nothing open. */
async function rows(world: World): Promise<string[]> {
  const [row] = await sql(
    world.db,
    `SELECT (SELECT json_group_object(id, merged_status) FROM project_queue) AS statuses,
       (SELECT json_group_array(project_id || ' ' || push) FROM
         (SELECT project_id, push FROM merge_attempt WHERE outcome = 'merged' ORDER BY project_id)) AS merged,
       (SELECT count(*) FROM merge_landing WHERE state = 'intended') AS open,
       (SELECT count(*) FROM merge_lease WHERE run_id IS NOT NULL) AS leased,
       (SELECT json_group_array(state) FROM merge_push) AS pushes`,
  );
  const statuses = [...world.lands.keys()].map((id) => [id, "merged"] as const);
  const others = [...world.stays].map(([id, { status }]) => [id, status] as const);
  const pushed = world.remote === null ? "none" : "pushed";
  const expected = {
    statuses: Object.fromEntries([...statuses, ...others].sort(([a], [b]) => a - b)),
    merged: [...world.lands.keys()].map((id) => `${id} ${pushed}`),
    open: 0,
    leased: 0,
    pushes: world.remote === null ? [] : ["pushed"],
  };
  const found = {
    statuses: JSON.parse(String(row?.["statuses"])),
    merged: JSON.parse(String(row?.["merged"])),
    open: Number(row?.["open"]),
    leased: Number(row?.["leased"]),
    pushes: JSON.parse(String(row?.["pushes"])),
  };
  const [is, should] = [JSON.stringify(found), JSON.stringify(expected)];
  return is === should ? [] : [`rows say ${is}, not ${should}`];
}

/** A later run changed nothing: what it had to say, and the refs on both sides. */
export function idle(world: World, run: Run, before: Pick<Look, "refs" | "remoteRefs">, after: Look): string[] {
  const refs = (of: typeof before) =>
    JSON.stringify([[...of.refs], of.remoteRefs === null ? null : [...of.remoteRefs]]);
  // What failed is looked at again because the target has moved since: it may fail with another detail, and that is all it may do.
  if (run.code !== 0 && run.code !== 4) return [`the second run ended with ${run.code}: ${run.stderr}`];
  const { recovered, results, pushes } = JSON.parse(run.stdout);
  const did =
    results.filter(({ id }: { id: number }) => !world.stays.has(id)).length + recovered.length + pushes.length;
  return [
    ...(did === 0 ? [] : [`the second run had something to do: ${run.stdout}`]),
    ...(refs(before) === refs(after) ? [] : ["the second run moved refs"]),
  ];
}

function difference(what: string, from: Record<string, string>, to: Record<string, string>): string[] {
  const paths = new Set([...Object.keys(from), ...Object.keys(to)]);
  const differing = [...paths].filter((path) => from[path] !== to[path]);
  if (differing.length === 0) return [];
  const shown = differing.slice(0, 4).map((path) => `${path} (${from[path]} -> ${to[path]})`);
  return [`${what} differs in ${differing.length}: ${shown.join(", ")}`];
}

const show = (text: string): string => JSON.stringify(text.split("\0").slice(0, 40).join("|"));
