import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { isAlive, processStart } from "./orphans.ts";
import { type GitContext, type GitResult, git } from "./process.ts";
import { borrowObjects, type Scratch } from "./scratch.ts";

/** A checkout of our own for one run of a gate, with directories beside it that go with it. */
export type GateTree = {
  /** the checkout; its HEAD is the commit, detached */
  readonly path: string;
  /** an empty directory for temporary files */
  readonly temporary: string;
  /** a file that does not exist yet */
  readonly statusFile: string;
};

/** What is checked out, and what else its repository shows. */
export type Exposed = {
  readonly commit: string;
  /** The target, full name, and where it stands before: the only branch there is. */
  readonly branch: { readonly ref: string; readonly oid: string };
  /** The repository's own object directory: git-lfs looks for its files beside it. */
  readonly objects: string;
  readonly identity: { readonly name: string; readonly email: string } | null;
};

/**
 * Checks a commit of the scratch out below `directory`, in a repository of its own that borrows the objects: `git diff` and `git rev-parse`
 * work in it as anywhere, nothing done in it reaches the user's repository, whose list of worktrees does not show it. Filters run as they
 * do in the scratch: the user's, and the repository's own only where a rule trusts it. The failing result when git fails, and then nothing
 * is left. Throws when the disk refuses.
 */
export async function openGateTree(
  context: GitContext,
  scratch: Scratch,
  directory: string,
  exposed: Exposed,
): Promise<GateTree | GitResult> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const owner = `${hostname()}.${process.pid}.${processStart(process.pid) ?? 0}-`;
  const root = realpathSync(mkdtempSync(join(directory, owner)));
  try {
    const path = join(root, "tree");
    const gitDir = join(path, ".git");
    const objects = join(gitDir, "objects");
    for (const dir of [join(gitDir, "refs"), join(gitDir, "info"), join(objects, "info"), join(root, "tmp")])
      mkdirSync(dir, { recursive: true });
    copyFileSync(join(scratch.gitDir, "config"), join(gitDir, "config"));
    for (const file of ["exclude", "attributes"]) {
      const from = join(scratch.gitDir, "info", file);
      if (existsSync(from)) copyFileSync(from, join(gitDir, "info", file));
    }
    writeFileSync(join(gitDir, "HEAD"), `${exposed.commit}\n`);
    writeFileSync(join(gitDir, "packed-refs"), `${exposed.branch.oid} ${exposed.branch.ref}\n`);
    // Alternates of alternates count too, but git-lfs knows only the first.
    borrowObjects({ ...scratch, objects }, exposed.objects);
    borrowObjects({ ...scratch, objects }, scratch.objects);
    const result = await git(context, {
      gitDir,
      workTree: path,
      cwd: path,
      args: ["read-tree", "--reset", "-u", exposed.commit],
      config: [["core.fsync", "none"]],
    });
    if (result.code !== 0) {
      closeGateTree({ path });
      return result;
    }
    appendFileSync(join(gitDir, "config"), ownSettings(exposed.identity));
    return { path, temporary: join(root, "tmp"), statusFile: join(root, "status") };
  } catch (error) {
    remove(root);
    throw error;
  }
}

/** So that a gate may commit, as tests of release scripts do, and leaves no collector of garbage behind. */
function ownSettings(identity: Exposed["identity"]): string {
  const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&").replaceAll("\n", " ")}"`;
  const user =
    identity === null ? "" : `[user]\n\tname = ${quoted(identity.name)}\n\temail = ${quoted(identity.email)}\n`;
  return `${user}[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n`;
}

/** Removes a checkout and what is beside it. What cannot be removed now goes with a later run. */
export function closeGateTree(tree: Pick<GateTree, "path">): void {
  remove(join(tree.path, ".."));
}

/** Removes the checkouts that killed runs of this host have left. */
export function removeLeftGateTrees(directory: string): void {
  if (!existsSync(directory)) return;
  const prefix = `${hostname()}.`;
  for (const name of readdirSync(directory)) {
    const owner = name.startsWith(prefix) ? /^(\d+)\.(\d+)-/.exec(name.slice(prefix.length)) : null;
    if (owner !== null && !isAlive(Number(owner[1]), owner[2] ?? "")) remove(join(directory, name));
  }
}

/** Tests leave directories that even their owner may not write: the cache of go's modules is made so. */
function remove(root: string): void {
  try {
    rmSync(root, { recursive: true, force: true });
  } catch {
    try {
      open(root);
      rmSync(root, { recursive: true, force: true });
    } catch {
      // somebody writes in it this very moment, or it is not ours
    }
  }
}

function open(dir: string): void {
  chmodSync(dir, 0o700);
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    if (lstatSync(path).isDirectory()) open(path);
  }
}
