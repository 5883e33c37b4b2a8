import { appendFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { type GitContext, type GitResult, git } from "./process.ts";
import { locateRepository, type Repository } from "./repository.ts";
import type { Scratch } from "./scratch.ts";
import type { Snapshot } from "./snapshot.ts";

/** A remote as the repository's configuration names it; URLs with relative paths made absolute. */
export type Remote = { readonly name: string; readonly fetchUrl: string; readonly pushUrls: readonly string[] };

/** The repository behind a URL that is a directory on this host, where git runs the other side as a child of ours; else null. */
export function localRepository(url: string): Repository | null {
  const path = url.startsWith("file://") ? decodeURIComponent(url.slice("file://".length)) : url;
  return isAbsolute(path) ? locateRepository(path) : null;
}

/** What a remote answered: its branches, full name -> id. */
export type RemoteHeads = ReadonlyMap<string, string>;

/** The remote of that name, or null when the configuration has none. */
export function remoteOf(snapshot: Snapshot, name: string): Remote | null {
  const values = (key: string) =>
    snapshot.config.filter((entry) => entry.key === `remote.${name}.${key}`).map((entry) => entry.value);
  const base = snapshot.worktrees[0]?.path ?? snapshot.repository.commonDir;
  const fetchUrl = values("url")[0];
  if (fetchUrl === undefined || fetchUrl === "") return null;
  const pushUrls = values("pushurl");
  const absolute = (url: string) => absoluteUrl(url, snapshot.bare ? snapshot.repository.commonDir : base);
  return {
    name,
    fetchUrl: absolute(fetchUrl),
    pushUrls: (pushUrls.length > 0 ? pushUrls : values("url")).map(absolute),
  };
}

/** Asks the remote for its branches. The failing result when it cannot be reached. */
export async function listRemote(
  context: GitContext,
  scratch: Scratch,
  remote: Remote,
  timeoutMs: number,
): Promise<RemoteHeads | GitResult> {
  const result = await git(context, {
    gitDir: scratch.gitDir,
    args: [
      "ls-remote",
      "--upload-pack=git-upload-pack",
      "--", // a URL may be made to look like an option: one planted as --upload-pack=<command>: was run
      remote.fetchUrl,
      "refs/heads/*",
      "refs/tags/integration-*",
    ],
    timeoutMs,
  });
  if (result.code !== 0) return result;
  const heads = new Map<string, string>();
  for (const line of result.stdout.toString().split("\n")) {
    const [oid, ref] = line.split("\t");
    if (oid && ref && !ref.endsWith("^{}")) heads.set(ref, oid);
  }
  return heads;
}

/** Fetches one branch of the remote into the scratch: its objects only, no ref of the repository moves. Null when done. */
export async function fetchBranch(
  context: GitContext,
  scratch: Scratch,
  remote: Remote,
  branch: string,
  timeoutMs: number,
): Promise<GitResult | null> {
  const result = await git(context, {
    gitDir: scratch.gitDir,
    args: [
      "fetch",
      "-q",
      "--no-tags",
      "--no-write-fetch-head",
      "--no-auto-maintenance",
      "--no-recurse-submodules",
      "--upload-pack=git-upload-pack",
      "--",
      remote.fetchUrl,
      // The + is for this ref of the scratch alone: a second branch of the repository does not descend from the first.
      `+${branch}:refs/remotes/fetched`,
    ],
    timeoutMs,
  });
  return result.code === 0 ? null : result;
}

/** Lets later fetches and pushes in the scratch know what the repository has, so that only the difference travels. */
export function announce(scratch: Scratch, oids: readonly string[]): void {
  appendFileSync(
    `${scratch.gitDir}/packed-refs`,
    oids.map((oid, index) => `${oid} refs/orchestrator/have/${index}\n`).join(""),
  );
}

export type PushResult =
  | { readonly kind: "pushed" }
  /** The remote moved on: fetch, merge, push again. */
  | { readonly kind: "moved" }
  /** A rule of the remote forbids it: a hook, a protected branch. */
  | { readonly kind: "refused"; readonly detail: string; readonly transcript: string }
  | { readonly kind: "failed"; readonly detail: string; readonly transcript: string };

/**
 * Pushes exactly `refspecs` (id:full-ref), all or none, to every push URL. Never forced, never a deletion: an empty source would
 * delete the branch on the remote, so ids are checked first. What the remote then holds is for the caller to read back.
 */
export async function push(
  context: GitContext,
  scratch: Scratch,
  remote: Remote,
  refspecs: ReadonlyArray<{ readonly oid: string; readonly ref: string }>,
  timeoutMs: number,
): Promise<PushResult> {
  for (const { oid, ref } of refspecs) {
    if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(oid) || !ref.startsWith("refs/"))
      throw new Error(`bad refspec ${oid}:${ref}`);
  }
  for (const url of remote.pushUrls) {
    const result = await git(context, {
      gitDir: scratch.gitDir,
      args: [
        "push",
        "--porcelain",
        "--atomic",
        "--no-verify",
        "--receive-pack=git-receive-pack",
        "--",
        url,
        ...refspecs.map(({ oid, ref }) => `${oid}:${ref}`),
      ],
      timeoutMs,
    });
    if (result.code !== 0) return classify(result);
  }
  return { kind: "pushed" };
}

/** Rejections that are no rule of the remote's but trouble it had: tried again like any failure. */
const passing = /lock|failed to update ref|unpacker error|unable to|missing necessary objects|internal/i;

// git-push(1), "OUTPUT" with --porcelain: "<flag>\t<from>:<to>\t<summary>", flag "!" for a ref that was not pushed. The summaries are
// untranslated strings of git's protocol ("[rejected] (fetch first)", "[remote rejected] (pre-receive hook declined)").
function classify(result: GitResult): PushResult {
  const { transcript } = result;
  const refused = result.stdout
    .toString()
    .split("\n")
    .filter((line) => line.startsWith("!\t"))
    .map((line) => line.split("\t")[2] ?? "");
  const own = refused.filter(
    (summary) => !summary.includes("atomic push failed") && !summary.includes("atomic transaction failed"),
  );
  if (own.some((summary) => summary.startsWith("[rejected]"))) return { kind: "moved" };
  if (own.some((summary) => summary.startsWith("[remote rejected]") && !passing.test(summary))) {
    const said = result.stderr
      .split("\n")
      .filter((line) => line.startsWith("remote: "))
      .map((line) => line.slice(8).trim());
    return { kind: "refused", detail: [own[0], ...said].join("; ").slice(0, 500), transcript };
  }
  return { kind: "failed", detail: lastWords(result), transcript };
}

/** The most telling line of a failed git: its last "fatal:" or "error:", else its last one. */
export function lastWords(result: GitResult): string {
  if (result.timedOut) return "no answer within the time limit";
  const lines = result.stderr.split("\n").filter((line) => line.trim() !== "");
  const last = lines.findLastIndex((line) => /^(fatal|error):/.test(line));
  const line = lines[last] ?? lines.at(-1) ?? `exit ${result.code}`;
  // What ssh or the other side said of it stands before this one.
  const cause = line.startsWith("fatal: Could not read from remote repository") ? lines[last - 1] : undefined;
  return (cause ?? line).slice(0, 500);
}

// A path relative to the repository, as git reads it there; "host:path" and "scheme://" are left alone (git-push(1), "GIT URLS").
function absoluteUrl(url: string, base: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(url) || isAbsolute(url)) return url;
  if (/^[^/]+:/.test(url)) return url;
  return resolve(base, url);
}
