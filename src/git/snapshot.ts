import { statSync } from "node:fs";
import { join } from "node:path";
import { type GitContext, type GitResult, git } from "./process.ts";
import type { Repository } from "./repository.ts";
import { listWorktrees, type Worktree } from "./worktrees.ts";

/** What git says of a repository at one moment: two processes, everything later decides on this. */
export type Snapshot = {
  readonly repository: Repository;
  readonly bare: boolean;
  readonly shallow: boolean;
  readonly sha256: boolean;
  /** How refs are stored; the HEAD files that worktrees are read from say the truth only with "files" (git 2.45 has "reftable"). */
  readonly refStorage: string;
  /** Full ref name -> what it points at. refs/heads, refs/remotes, refs/orchestrator, and of the tags only those named like ours. */
  readonly refs: ReadonlyMap<string, Ref>;
  readonly worktrees: readonly Worktree[];
  readonly config: readonly ConfigValue[];
  /** Null when the system or the user names nobody. */
  readonly identity: { readonly name: string; readonly email: string } | null;
};

export type Ref = {
  readonly oid: string;
  /** Tree of the commit; empty for a ref to something else. */
  readonly tree: string;
  /** The ref this one stands for (origin/HEAD), or null. */
  readonly symref: string | null;
};

export type ConfigValue = { readonly scope: string; readonly key: string; readonly value: string };

/** Refs of ours: pending landings, and one a landing as the proof that outlives any revert. */
export const pendingPrefix = "refs/orchestrator/pending/";
export const landedPrefix = "refs/orchestrator/landed/";

/** Reads a repository. The failing result when git refuses (damaged, or owned by somebody else). */
export async function readSnapshot(context: GitContext, repository: Repository): Promise<Snapshot | GitResult> {
  const gitDir = repository.commonDir;
  const [settings, references] = await Promise.all([
    git(context, { gitDir, args: ["config", "--list", "--show-scope", "-z"] }),
    git(context, {
      gitDir,
      args: [
        "for-each-ref",
        "--format=%(objectname) %(tree) %(refname) %(symref)",
        "refs/heads",
        "refs/remotes",
        "refs/orchestrator",
        "refs/tags/integration-*",
      ],
    }),
  ]);
  if (settings.code !== 0) return settings;
  if (references.code !== 0) return references;
  const config = parseConfig(settings.stdout.toString());
  const value = (key: string) => config.findLast((entry) => entry.key === key)?.value;
  const bare = value("core.bare") === "true";
  const name = value("user.name");
  const email = value("user.email");
  return {
    repository,
    bare,
    shallow: hasContent(join(repository.commonDir, "shallow")),
    sha256: value("extensions.objectformat") === "sha256",
    refStorage: value("extensions.refstorage") ?? "files",
    refs: parseRefs(references.stdout.toString()),
    worktrees: listWorktrees(repository, bare),
    config,
    identity: name !== undefined && email !== undefined ? { name, email } : null,
  };
}

/** The commit a worktree stands on; null on an unborn branch. */
export function headOf(snapshot: Snapshot, worktree: Worktree): string | null {
  return worktree.detachedAt ?? snapshot.refs.get(worktree.branch ?? "")?.oid ?? null;
}

/** True when a repository has been cut off (git clone --depth): merge bases may lie beyond the cut. */
function hasContent(file: string): boolean {
  try {
    return statSync(file).size > 0;
  } catch {
    return false;
  }
}

// `git config --list --show-scope -z`: scope NUL key LF value NUL; a key without a value has no LF and means true.
function parseConfig(text: string): ConfigValue[] {
  const fields = text.split("\0");
  const found: ConfigValue[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const entry = fields[i + 1] ?? "";
    const cut = entry.indexOf("\n");
    found.push({
      scope: fields[i] ?? "",
      key: cut < 0 ? entry : entry.slice(0, cut),
      value: cut < 0 ? "true" : entry.slice(cut + 1),
    });
  }
  return found;
}

function parseRefs(text: string): Map<string, Ref> {
  const refs = new Map<string, Ref>();
  for (const line of text.split("\n")) {
    // Ref names hold no spaces (git-check-ref-format(1)); %(tree) is empty for what is no commit.
    const [oid, tree, name, symref] = line.split(" ");
    if (oid && name) refs.set(name, { oid, tree: tree ?? "", symref: symref || null });
  }
  return refs;
}
