import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { exitCode, UserError } from "../core/errors.ts";
import { type GitContext, type GitResult, type GitSession, git, gitSession } from "./process.ts";
import type { Scratch } from "./scratch.ts";

/** What came of merging two commits in memory. A conflict is a value; paths are byte strings (paths.ts). */
export type MergeResult =
  | { readonly kind: "clean"; readonly tree: string }
  | { readonly kind: "conflict"; readonly tree: string; readonly paths: readonly string[] }
  | { readonly kind: "unrelated" }
  | { readonly kind: "failed"; readonly result: GitResult };

export type Merger = {
  merge(ours: string, theirs: string): Promise<MergeResult>;
  close(): Promise<void>;
};

/**
 * Merges commits in a scratch, one after the other. `attributesDir` is a directory whose .gitattributes files hold (a checkout of the
 * target, or a copy of them); `expected` the number of merges to come: several share one process where the host has `stdbuf`.
 *
 * Measured: git 2.39 and 2.47 answer `merge-tree --stdin` only at end of input, so a chain (tip onto tip) would hang; unbuffered
 * output cures it. Without stdbuf, and on 2.38 which has no --stdin, it is one process a merge: 4 ms each in a small repository.
 */
export function openMerger(context: GitContext, scratch: Scratch, attributesDir: string, expected: number): Merger {
  let session: GitSession | null = null;
  if (expected > 1 && onPath("stdbuf", context.env["PATH"])) {
    session = gitSession(
      context,
      {
        gitDir: scratch.gitDir,
        workTree: attributesDir,
        cwd: attributesDir,
        args: ["merge-tree", "--write-tree", "--stdin", "--name-only", "--no-messages"],
        config: quick,
      },
      ["stdbuf", "-o0", "git"],
    );
  }
  return {
    async merge(ours, theirs) {
      if (session !== null) {
        const answer = await session.ask(`${ours} ${theirs}\n`, (output) => output.subarray(-2).equals(ending));
        if (answer !== null) return parseRecord(answer);
        // One bad pair (unrelated histories) ends the process for all: go on with one process a merge.
        session = null;
      }
      return await mergeOnce(context, scratch, attributesDir, ours, theirs);
    },
    async close() {
      await session?.end();
    },
  };
}

const ending = Buffer.from("\0\0");
// Nothing in the scratch needs to survive a power cut: what lands is synced when it is published.
const quick = [["core.fsync", "none"]] as const;

async function mergeOnce(
  context: GitContext,
  scratch: Scratch,
  attributesDir: string,
  ours: string,
  theirs: string,
): Promise<MergeResult> {
  const result = await git(context, {
    gitDir: scratch.gitDir,
    workTree: attributesDir,
    cwd: attributesDir,
    args: ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs],
    config: quick,
  });
  const [tree = "", ...paths] = result.stdout.toString("latin1").split("\0");
  // An unresolvable id exits 1 like a conflict does; only a conflict begins with a tree.
  if (/^[0-9a-f]{40,64}$/.test(tree)) {
    if (result.code === 0) return { kind: "clean", tree };
    if (result.code === 1) return { kind: "conflict", tree, paths: unique(paths) };
  }
  // Merging in memory came with git 2.38; an older one knows the command, and shows how it was used then.
  if (/^usage: git merge-tree/m.test(result.stderr)) {
    throw new UserError(exitCode.usage, "this git is too old to merge in memory.", "Install git 2.38 or newer.");
  }
  if (result.code !== null && (await noMergeBase(context, scratch, ours, theirs))) return { kind: "unrelated" };
  return { kind: "failed", result };
}

async function noMergeBase(context: GitContext, scratch: Scratch, ours: string, theirs: string): Promise<boolean> {
  const base = await git(context, { gitDir: scratch.gitDir, args: ["merge-base", ours, theirs] });
  return base.code === 1 && base.stdout.length === 0;
}

// git-merge-tree(1), "INPUT FORMAT" and "OUTPUT": 1 NUL tree NUL NUL when clean, 0 NUL tree NUL (path NUL)... NUL when not.
function parseRecord(record: Buffer): MergeResult {
  const [clean, tree = "", ...paths] = record.toString("latin1").split("\0");
  return clean === "1" ? { kind: "clean", tree } : { kind: "conflict", tree, paths: unique(paths) };
}

function unique(paths: readonly string[]): string[] {
  return [...new Set(paths.filter((path) => path !== ""))];
}

function onPath(program: string, path: string | undefined): boolean {
  return (path ?? "").split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return dir !== "";
    } catch {
      return false;
    }
  });
}
