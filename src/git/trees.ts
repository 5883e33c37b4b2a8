import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathIn } from "./paths.ts";
import { type GitContext, type GitResult, git, gitSession } from "./process.ts";
import type { Scratch } from "./scratch.ts";

/** One path that differs between two trees. Mode "000000" means absent on that side. */
export type Change = {
  readonly path: string;
  readonly oldMode: string;
  readonly newMode: string;
  readonly oldOid: string;
  readonly newOid: string;
};

export type Differ = {
  /** The paths in which two trees differ, renames not paired; null when git failed. */
  diff(oldTree: string, newTree: string): Promise<Change[] | null>;
  close(): Promise<void>;
};

/** One `git diff-tree --stdin` for any number of pairs of trees; it is started when first asked. */
export function openDiffer(context: GitContext, scratch: Scratch): Differ {
  let session: ReturnType<typeof gitSession> | null = null;
  const mark = `end of diff ${randomUUID()}\n`;
  const end = Buffer.from(mark);
  return {
    async diff(oldTree, newTree) {
      if (oldTree === newTree) return [];
      session ??= gitSession(context, {
        gitDir: scratch.gitDir,
        args: ["diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=none"],
      });
      // A line that is no object id is echoed and flushed: it marks the end of the answer.
      const answer = await session.ask(`${oldTree} ${newTree}\n${mark}`, (output) =>
        output.subarray(-mark.length).equals(end),
      );
      return answer === null ? null : parseRaw(answer.toString("latin1"));
    },
    async close() {
      await session?.end();
    },
  };
}

// git-diff-tree(1), "RAW OUTPUT FORMAT" with -z: ":oldmode newmode oldoid newoid status" NUL path NUL.
function parseRaw(text: string): Change[] {
  const changes: Change[] = [];
  const fields = text.slice(text.indexOf("\n") + 1).split("\0");
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const match = fields[i]?.match(/^:(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) [A-Z]\d*$/);
    const path = fields[i + 1];
    if (!match || path === undefined) break;
    const [, oldMode = "", newMode = "", oldOid = "", newOid = ""] = match;
    changes.push({ path, oldMode, newMode, oldOid, newOid });
  }
  return changes;
}

/**
 * The tree that is `tree` with the old side of `changes` put back: what `changes` added is absent again, what it altered or
 * removed is as it was. Writes into the scratch. The failing result when git fails.
 */
export async function putBack(
  context: GitContext,
  scratch: Scratch,
  tree: string,
  changes: readonly Change[],
): Promise<string | GitResult> {
  const env = { GIT_INDEX_FILE: join(scratch.gitDir, "putback.index") };
  const run = (args: string[], input?: Buffer) =>
    git(context, { gitDir: scratch.gitDir, args, env, ...(input === undefined ? {} : { input }) });
  const read = await run(["read-tree", tree]);
  if (read.code !== 0) return read;
  // Mode 0 removes the entry (git-update-index(1), "USING --INDEX-INFO").
  const lines = changes.map(({ path, oldMode, oldOid }) =>
    oldMode === "000000" ? `0 ${oldOid}\t${path}\0` : `${oldMode} ${oldOid}\t${path}\0`,
  );
  const update = await run(["update-index", "-z", "--index-info"], Buffer.from(lines.join(""), "latin1"));
  if (update.code !== 0) return update;
  const write = await run(["write-tree"]);
  return write.code === 0 ? write.stdout.toString().trim() : write;
}

/** The names at the top of a commit's tree; the failing result when git cannot read it. */
export async function topFiles(context: GitContext, scratch: Scratch, commit: string): Promise<string[] | GitResult> {
  const list = await git(context, { gitDir: scratch.gitDir, args: ["ls-tree", "--name-only", "-z", commit] });
  return list.code === 0 ? list.stdout.toString().split("\0") : list;
}

/**
 * Copies the .gitattributes files of `tree` into `dir`, for merges whose target is checked out nowhere (or differently): git reads
 * attributes from a directory, and only the target's are right. With them .gitmodules, by which git finds the history of a submodule
 * that both sides have moved. The failing result when git fails, null when done.
 */
export async function copyAttributes(
  context: GitContext,
  scratch: Scratch,
  tree: string,
  dir: string,
): Promise<GitResult | null> {
  mkdirSync(dir, { recursive: true });
  const list = await git(context, { gitDir: scratch.gitDir, args: ["ls-tree", "-r", "-z", "--full-tree", tree] });
  if (list.code !== 0) return list;
  const files = list.stdout
    .toString("latin1")
    .split("\0")
    .map((line) => line.match(/^100\d{3} blob ([0-9a-f]+)\t((?:.*\/)?\.gitattributes|\.gitmodules)$/s))
    .filter((match) => match !== null);
  if (files.length === 0) return null;
  // All in one process: a tree with a dozen of them cost 50 ms with one process each.
  const input = files.map(([, oid = ""]) => `${oid}\n`).join("");
  const blobs = await git(context, { gitDir: scratch.gitDir, args: ["cat-file", "--batch"], input });
  if (blobs.code !== 0) return blobs;
  let at = 0;
  for (const [, , path = ""] of files) {
    // git-cat-file(1), "BATCH OUTPUT": "<oid> blob <size>" LF contents LF.
    const contents = blobs.stdout.indexOf("\n", at) + 1;
    const size = Number(blobs.stdout.toString("latin1", at, contents).match(/ blob (\d+)\n$/)?.[1] ?? Number.NaN);
    if (Number.isNaN(size)) return { ...blobs, code: 1 };
    at = contents + size + 1;
    // The path is bytes: read as UTF-8, the attributes of a directory with a latin1 name were lost (found against git merge).
    const file = pathIn(dir, path);
    mkdirSync(file.subarray(0, file.lastIndexOf("/")), { recursive: true });
    writeFileSync(file, blobs.stdout.subarray(contents, contents + size));
  }
  return null;
}
