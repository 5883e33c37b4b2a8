import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";
import { visible } from "../core/describe.ts";
import { failed, type Trouble } from "../core/reasons.ts";
import { sharedDirectory, specDirectories, worktreesSuffix } from "../core/worktreeNames.ts";
import { locateRepository, type Repository } from "../git/repository.ts";

/** What the queue row says about where a project is. */
export type Whereabouts = {
  readonly specPath: string;
  readonly projectPath: string | null;
  /** what `add` recorded */
  readonly source: { readonly worktree: string | null; readonly branch: string | null } | null;
};

/** Where a project's work is, found by exact rule. */
export type Found = {
  readonly repository: Repository;
  readonly sources:
    | { readonly kind: "branch"; readonly branch: string }
    | { readonly kind: "worktree"; readonly path: string }
    /** a directory of agents' worktrees, one subdirectory a role */
    | { readonly kind: "agents"; readonly directory: string };
};

/** A spec file larger than this is not read: it is no spec. Bytes. */
const specLimit = 16 * 1024 * 1024;

/**
 * Finds a project's repository and the place of its agents' work by reading directories; runs nothing, changes nothing.
 * Directories are matched by exact name, never by substring: `api` must not find `api-gateway`'s work.
 */
export function discover(where: Whereabouts): Found | Trouble {
  const project = where.projectPath ?? dirname(where.specPath);
  const repository = findRepository(project);
  if ("outcome" in repository) return repository;
  if (where.source?.branch != null) return { repository, sources: { kind: "branch", branch: where.source.branch } };
  if (where.source?.worktree != null) return { repository, sources: { kind: "worktree", path: where.source.worktree } };
  const anchors = [...new Set([project, repository.topLevel ?? project])].map((path) => path.replace(/(.)\/+$/, "$1"));
  const looks: ((anchor: string) => string[])[] = [
    (anchor) => ownDirectories(anchor, where.specPath),
    (anchor) => recordedDirectories(anchor, where.specPath),
    (anchor) => [join(dirname(anchor), sharedDirectory(basename(anchor)))],
  ];
  for (const look of looks) {
    for (const anchor of anchors) {
      const there = look(anchor).filter(isRealDirectory);
      const [directory] = there;
      if (there.length > 1) {
        return failed(
          "ambiguous_worktree",
          `more than one directory holds this project's worktrees: ${there.map(visible).join(", ")}.`,
        );
      }
      if (directory !== undefined)
        return { repository, sources: { kind: "agents", directory: realpathSync(directory) } };
    }
  }
  const anchor = anchors[0] ?? project;
  const names = [
    ...ownDirectories(anchor, where.specPath).slice(0, 1),
    join(dirname(anchor), sharedDirectory(basename(anchor))),
  ];
  return failed("no_worktree", `no directory of agents' worktrees: looked for ${names.map(visible).join(" and ")}.`);
}

function findRepository(project: string): Repository | Trouble {
  if (!isAbsolute(project))
    return failed("not_a_repository", `the project path ${visible(project) || "(empty)"} is not absolute.`);
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(project);
  } catch {
    return failed("not_a_repository", `${visible(project)} does not exist.`);
  }
  if (!stat.isDirectory()) return failed("not_a_repository", `${visible(project)} is a file, not a directory.`);
  return locateRepository(project) ?? failed("not_a_repository", `${visible(project)} is not in a git repository.`);
}

/** The directories named after this very spec. None when the spec cannot be read. */
function ownDirectories(anchor: string, specPath: string): string[] {
  try {
    const stat = statSync(specPath);
    if (!stat.isFile() || stat.size > specLimit) return [];
    return specDirectories(basename(anchor), specPath, readFileSync(specPath)).map((name) =>
      join(dirname(anchor), name),
    );
  } catch {
    return [];
  }
}

/** The directories that the orchestrator wrote down for this spec: the keys of `.worktree_metadata.json` whose spec_path is it. */
function recordedDirectories(anchor: string, specPath: string): string[] {
  try {
    const file = join(anchor, ".worktree_metadata.json");
    if (!lstatSync(file).isFile()) return [];
    const recorded: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof recorded !== "object" || recorded === null) return [];
    return (
      Object.entries(recorded)
        .filter(([, entry]) => typeof entry === "object" && entry !== null && entry.spec_path === specPath)
        .map(([directory]) => directory)
        // An agent can write this file: it may name a sibling made for agents, nothing else.
        .filter((directory) => dirname(directory) === dirname(anchor) && directory.endsWith(worktreesSuffix))
    );
  } catch {
    return [];
  }
}

/** The roles in a directory of agents' worktrees: real subdirectories but `shared`, which holds links to the others. */
export function rolesIn(directory: string): { role: string; path: string; hasGit: boolean }[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== "shared" && !entry.name.startsWith("."))
    .map(({ name }) => ({ role: name, path: join(directory, name), hasGit: existsSync(join(directory, name, ".git")) }))
    .sort((a, b) => (a.role < b.role ? -1 : 1));
}

function isRealDirectory(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}
