import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { temporaryDirectory } from "./directory.ts";

/*
 * Real repositories as the orchestrator leaves them: a project, its agents' worktrees or clones beside it, its specs, its remote.
 * git runs in a cleared environment with one date, so that neither this machine's user nor its clock shows in any object id.
 */

/** Path -> content, or a link to `to`, or an executable file. */
export type Files = Readonly<Record<string, string | Buffer | { readonly to: string } | { readonly program: string }>>;

/** A working tree, or a bare repository, to run git in. */
export type Tree = {
  readonly path: string;
  /** Runs git there and gives its stdout without the last line end; throws what git said when it fails. */
  git(...args: string[]): string;
  write(files: Files): void;
  /** Writes `files`, adds exactly them, commits, and gives the commit's id. Hours shift the date of both author and committer. */
  commit(files: Files, message?: string, hours?: number): string;
  head(): string;
  /** The content of a committed file; null when it is not there. */
  show(path: string, rev?: string): string | null;
  /** A file on disk; null when it is not there. */
  read(path: string): string | null;
};

/** A project's main repository; worktrees, clones, specs and remotes go into `dir`, beside it. */
export type Repo = Tree & { readonly dir: string };

export type Agent = Tree & { readonly role: string; readonly directory: string };

/** 2026-05-04T08:00:00Z: before every completion that queueDb makes up. */
const date = Date.UTC(2026, 4, 4, 8) / 1000;

const environment = (hours: number): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  HOME: "/nonexistent",
  LC_ALL: "C",
  TZ: "UTC",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "An Agent",
  GIT_AUTHOR_EMAIL: "agent@example.com",
  GIT_AUTHOR_DATE: `${date + hours * 3600} +0000`,
  GIT_COMMITTER_NAME: "An Agent",
  GIT_COMMITTER_EMAIL: "agent@example.com",
  GIT_COMMITTER_DATE: `${date + hours * 3600} +0000`,
});

function runGit(cwd: string, args: readonly string[], hours = 0): string {
  const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
  return execFileSync("git", args, { cwd, env: environment(hours), stdio, encoding: "utf8" }).replace(/\n$/, "");
}

function tree(path: string): Tree {
  const git = (...args: string[]) => runGit(path, args);
  const orNull = <T>(value: () => T): T | null => {
    try {
      return value();
    } catch {
      return null;
    }
  };
  return {
    path,
    git,
    write: (files) => writeFiles(path, files),
    commit(files, message = "work", hours = 0) {
      writeFiles(path, files);
      if (Object.keys(files).length > 0) git("add", "-f", "--", ...Object.keys(files));
      runGit(path, ["commit", "-q", "--allow-empty", "-m", message], hours);
      return git("rev-parse", "HEAD");
    },
    head: () => git("rev-parse", "HEAD"),
    show: (file, rev = "HEAD") => orNull(() => git("cat-file", "blob", `${rev}:${file}`)),
    read: (file) => orNull(() => readFileSync(join(path, file), "utf8")),
  };
}

/**
 * A project `<dir>/<name>` on `branch` with one commit. `bare` makes it without a working tree (the first commit comes from a
 * clone that is thrown away), `unborn` without a commit. The user of its local configuration is Pat User.
 */
export function makeRepo(
  options: {
    dir?: string;
    name?: string;
    branch?: string;
    files?: Files;
    bare?: boolean;
    unborn?: boolean;
    format?: "sha256";
  } = {},
): Repo {
  const dir = options.dir ?? temporaryDirectory();
  const path = join(dir, options.name ?? "shop");
  const branch = options.branch ?? "main";
  mkdirSync(path, { recursive: true });
  const repo = { ...tree(path), dir };
  repo.git(
    "init",
    "-q",
    "-b",
    branch,
    ...(options.bare ? ["--bare"] : []),
    `--object-format=${options.format ?? "sha1"}`,
  );
  repo.git("config", "user.name", "Pat User");
  repo.git("config", "user.email", "pat@example.com");
  if (options.unborn) return repo;
  const files = options.files ?? { "README.md": "# Shop\n", "cart.txt": "one\ntwo\nthree\nfour\nfive\n" };
  if (options.bare) {
    const other = tree(join(temporaryDirectory(), "first"));
    runGit(dirname(other.path), ["clone", "-q", path, other.path]);
    other.commit(files, "Start");
    other.git("push", "-q", "origin", `HEAD:refs/heads/${branch}`);
  } else repo.commit(files, "Start");
  return repo;
}

/** Writes `<dir>/specs/<name>` and gives its path. */
export function writeSpec(repo: Repo, name: string, content = `# ${name}\n`): string {
  writeFiles(join(repo.dir, "specs"), { [name]: content });
  return join(repo.dir, "specs", name);
}

/**
 * The directory that the orchestrator makes for a spec, beside the project: its worktree manager's recipe, written down again here
 * so that the program's own cannot be wrong unnoticed. Python reads text, so CR LF is LF before it hashes.
 */
export function specDirectory(anchor: string, specPath: string): string {
  const name = stem(specPath).toLowerCase().replaceAll("_", "-");
  const content = readFileSync(specPath, "utf8").replaceAll("\r\n", "\n");
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
  return join(dirname(anchor), `${basename(anchor)}-${name}-${hash}-tmux-worktrees`);
}

const stem = (specPath: string): string => basename(specPath).replace(/\.[^.]*$/, "");

/** The directory that an older orchestrator made, one a project. */
export function plainDirectory(anchor: string): string {
  return join(dirname(anchor), `${basename(anchor)}-tmux-worktrees`);
}

type AgentOptions = {
  /** the directory of worktrees; the spec's own when it is left out */
  directory?: string;
  role?: string;
  /** what the agent commits: `<stem>-<role>.txt` when it is left out, nothing when null */
  files?: Files | null;
  message?: string;
  hours?: number;
};

/**
 * An agent's linked worktree for a spec, `<directory>/<role>`, on a branch of its own from `from`, with one commit of `files`.
 * `detach` leaves HEAD detached there; `same` checks out the branch that the main directory has, as `--force` allows.
 */
export function withWorktree(
  repo: Repo,
  specPath: string,
  options: AgentOptions & { branch?: string; from?: string; detach?: boolean; same?: boolean } = {},
): Agent {
  const { role, directory, path } = placeOf(repo, specPath, options);
  const from = options.from ?? (options.same ? repo.git("symbolic-ref", "--short", "HEAD") : "HEAD");
  const branch = options.branch ?? `${stem(specPath)}/${role}`;
  const how = options.detach ? ["--detach"] : options.same ? ["--force"] : ["-b", branch];
  repo.git("worktree", "add", "-q", ...how, path, from);
  return withWork({ ...tree(path), role, directory }, specPath, options);
}

/** A spec `<name>.md` and one developer's worktree for it: the usual finished project. */
export function withProject(
  repo: Repo,
  name: string,
  options: Parameters<typeof withWorktree>[2] = {},
): { spec: string; agent: Agent } {
  const spec = writeSpec(repo, `${name}.md`);
  return { spec, agent: withWorktree(repo, spec, options) };
}

/** The same as withWorktree as a separate clone, which is what the orchestrator falls back to. */
export function withClone(repo: Repo, specPath: string, options: AgentOptions & { branch?: string } = {}): Agent {
  const { role, directory, path } = placeOf(repo, specPath, options);
  mkdirSync(directory, { recursive: true });
  runGit(directory, ["clone", "-q", "--no-hardlinks", repo.path, path]);
  const agent = tree(path);
  agent.git("checkout", "-q", "-b", options.branch ?? `${role}-branch`);
  return withWork({ ...agent, role, directory }, specPath, options);
}

function placeOf(repo: Repo, specPath: string, { role = "developer", directory }: AgentOptions) {
  const where = directory ?? specDirectory(repo.path, specPath);
  return { role, directory: where, path: join(where, role) };
}

function withWork(agent: Agent, specPath: string, { files, message, hours }: AgentOptions): Agent {
  const about = `${stem(specPath)}-${agent.role}`;
  if (files !== null) agent.commit(files ?? { [`${about}.txt`]: "done\n" }, message ?? about, hours);
  return agent;
}

/** A bare remote `<dir>/<name>.git` that has the project's branch, which tracks it. `empty` leaves it without any ref. */
export function withRemote(repo: Repo, options: { name?: string; empty?: boolean } = {}): Tree {
  const name = options.name ?? "origin";
  const remote = tree(join(repo.dir, `${name}.git`));
  runGit(repo.dir, ["init", "-q", "--bare", "-b", "main", remote.path]);
  repo.git("remote", "add", name, remote.path);
  if (!options.empty) repo.git("push", "-q", "-u", name, "HEAD");
  return remote;
}

/** Somebody else's clone of a remote, to push from. */
export function colleague(remote: Tree): Tree {
  const path = join(temporaryDirectory(), "colleague");
  runGit(dirname(path), ["clone", "-q", remote.path, path]);
  return tree(path);
}

/** Ref name -> object id of all refs whose names begin with one of `prefixes`; of all refs without any. */
export function refsOf(repo: Tree, ...prefixes: string[]): Record<string, string> {
  const lines = repo.git("for-each-ref", "--format=%(refname) %(objectname)", ...prefixes).split("\n");
  return Object.fromEntries(lines.filter((line) => line !== "").map((line) => line.split(" ")));
}

/** Every file, directory and link under `path`, with kind, mode and content: equal values are equal trees. */
export function fingerprint(path: string, skip: (relative: string) => boolean = () => false): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (relative: string): void => {
    for (const name of readdirSync(join(path, relative)).sort()) {
      const at = join(relative, name);
      if (skip(at)) continue;
      const stat = lstatSync(join(path, at));
      const mode = stat.mode.toString(8);
      if (stat.isDirectory()) {
        found[at] = mode;
        walk(at);
      } else if (stat.isSymbolicLink()) found[at] = `${mode} -> ${readlinkSync(join(path, at))}`;
      else {
        const hash = createHash("sha256")
          .update(readFileSync(join(path, at)))
          .digest("hex");
        found[at] = `${mode} ${stat.size} ${hash.slice(0, 16)}`;
      }
    }
  };
  walk("");
  return found;
}

/** Writes files into `dir`, making directories as needed. */
export function writeFiles(dir: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === "string" || Buffer.isBuffer(content)) writeFileSync(path, content);
    else if ("to" in content) symlinkSync(content.to, path);
    else {
      writeFileSync(path, content.program);
      chmodSync(path, 0o755);
    }
  }
}

/** Whether anything is at `path`. */
export const isThere = (path: string): boolean => existsSync(path);

/**
 * An environment in which `git` is a script that runs `script` (with git's arguments in "$@") and then the real git. For doing something
 * at an exact moment, and for counting.
 */
export function gitWrapper(dir: string, script: string): { readonly PATH: string } {
  const path = process.env["PATH"] ?? "";
  const real = path
    .split(":")
    .map((part) => join(part, "git"))
    .find((file) => existsSync(file));
  writeFiles(join(dir, "wrapped"), { git: { program: `#!/bin/sh\n${script}\nexec ${real} "$@"\n` } });
  return { PATH: `${join(dir, "wrapped")}:${path}` };
}

/** An environment whose git stops before the first command of that name: `reached` waits for it, `go` lets it pass. */
export function stopAt(repo: Repo, command: string) {
  const [here, there] = [join(repo.dir, "reached"), join(repo.dir, "go")];
  execFileSync("mkfifo", [here, there]);
  const stop = `if [ "$1" = ${command} ] && mkdir '${repo.dir}/once' 2>/dev/null; then echo > '${here}'; read go < '${there}'; fi`;
  // Opening a pipe waits for the other side; who closes it before the other has written kills it with SIGPIPE.
  const reached = async () => void (await readFile(here));
  return { env: gitWrapper(repo.dir, stop), reached, go: () => writeFile(there, "\n") };
}
