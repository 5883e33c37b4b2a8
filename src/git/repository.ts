import { lstatSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";

/**
 * Where a repository lives. Found by reading files, never by running git: a git process started inside a directory that an
 * agent can write runs what that directory's forged `.git` tells it to.
 */
export type Repository = {
  /** The directory all worktrees share (GIT_COMMON_DIR), real path. Identifies the repository. */
  readonly commonDir: string;
  /** Top of the working tree that the path was in; null for a bare repository. */
  readonly topLevel: string | null;
};

/**
 * The repository that `path` is in, as `git rev-parse --show-toplevel` would find it (gitrepository-layout(5)): the nearest
 * `.git` directory or file upwards, or `path` itself when bare. Null when there is none.
 */
export function locateRepository(path: string): Repository | null {
  const start = directoryOf(path);
  if (start === null) return null;
  if (isGitDir(start) && !start.endsWith("/.git")) return { commonDir: commonDirOf(start), topLevel: null };
  for (let dir = start; ; dir = dirname(dir)) {
    const gitDir = gitDirOf(dir);
    if (gitDir !== null) return { commonDir: commonDirOf(gitDir), topLevel: dir };
    if (dirname(dir) === dir) return null;
  }
}

/** The git directory behind `<dir>/.git`, a directory or a `gitdir:` file; null when it is neither or leads nowhere. */
export function gitDirOf(dir: string): string | null {
  const dotGit = join(dir, ".git");
  try {
    if (statSync(dotGit).isDirectory()) return isGitDir(dotGit) ? realpathSync(dotGit) : null;
    const target = readGitFile(dotGit);
    if (target === null) return null;
    const gitDir = resolve(dir, target);
    return isGitDir(gitDir) ? realpathSync(gitDir) : null;
  } catch {
    return null;
  }
}

/** What a `.git` file points at, as written; null when it is no such file. */
function readGitFile(file: string): string | null {
  const stat = lstatSync(file);
  // A fifo or a huge file planted under this name must not hold us up.
  if (!stat.isFile() || stat.size > 65_536) return null;
  const line = readFileSync(file, "utf8").match(/^gitdir: (.*?)\n*$/s)?.[1];
  return line === undefined || line === "" ? null : line;
}

/** The common directory of a git directory: itself, or what its `commondir` file says. */
function commonDirOf(gitDir: string): string {
  try {
    const file = join(gitDir, "commondir");
    if (!lstatSync(file).isFile()) return realpathSync(gitDir);
    const common = readFileSync(file, "utf8").replace(/\n+$/, "");
    return realpathSync(isAbsolute(common) ? common : join(gitDir, common));
  } catch {
    return realpathSync(gitDir);
  }
}

/** As git's own is_git_directory: a HEAD, and refs and objects here or in the common directory. */
function isGitDir(dir: string): boolean {
  try {
    lstatSync(join(dir, "HEAD"));
    const common = commonDirOf(dir);
    return statSync(join(common, "objects")).isDirectory() && statSync(join(common, "refs")).isDirectory();
  } catch {
    return false;
  }
}

function directoryOf(path: string): string | null {
  try {
    const real = realpathSync(path);
    return statSync(real).isDirectory() ? real : null;
  } catch {
    return null;
  }
}
