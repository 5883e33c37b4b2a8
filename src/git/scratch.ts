import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, processStart } from "./orphans.ts";
import type { Snapshot } from "./snapshot.ts";
import { temporaryDirectory } from "./temporary.ts";

/**
 * A bare git directory of our own beside the real ones. It borrows their objects (alternates) and takes new ones itself, so
 * merging in it leaves no trace in the repository; and it has none of their configuration but the harmless keys below, so
 * nothing planted there runs: no list of dangerous keys to keep up with. Measured on 2.39: canaries in every executable key fired
 * under plain git, none here. (gitrepository-layout(5), "objects/info/alternates")
 */
export type Scratch = {
  readonly gitDir: string;
  /** An empty directory, for git processes to run in. */
  readonly cwd: string;
  /** Object directory that new objects are written into. */
  readonly objects: string;
};

/** Keys of a repository's own configuration that shape results and cannot run anything. */
const harmless = [
  /^core\.(filemode|ignorecase|symlinks|precomposeunicode|autocrlf|eol|safecrlf|checkroundtripencoding|quotepath|bigfilethreshold|attributesfile)$/,
  /^merge\.(renames|renamelimit|directoryrenames|renormalize)$/,
  /^diff\.(renames|renamelimit|algorithm)$/,
  /^http\./,
  /^url\..*\.(insteadof|pushinsteadof)$/,
];

/** Merge drivers that are no programs (gitattributes(5), "Built-in merge drivers"). */
const builtInDrivers = new Set(["text", "binary", "union"]);

/** Values that git reads from the repository's own file only. */
const ownScopes = new Set(["local", "worktree"]);

/** Keys that name programs, taken over only when a rule trusts the repository. */
const programs = [
  /^filter\..*\.(clean|smudge|process|required)$/,
  /^merge\..*\.(driver|recursive)$/,
  /^core\.sshcommand$/,
  /^credential\./,
];

/** Makes a scratch beside `snapshot`'s repository; `trusted` lets its own filters and drivers in. End it with removeScratch. */
export function makeScratch(snapshot: Snapshot, trusted: boolean): Scratch {
  const root = temporaryDirectory(`orchestrator-merge-${process.pid}.${processStart(process.pid) ?? 0}-`);
  const gitDir = join(root, "git");
  const objects = join(gitDir, "objects");
  const cwd = join(root, "cwd");
  for (const dir of [join(gitDir, "refs"), join(gitDir, "info"), join(objects, "info"), join(objects, "pack"), cwd]) {
    mkdirSync(dir, { recursive: true });
  }
  writeFileSync(join(gitDir, "HEAD"), "ref: refs/heads/none\n");
  const patterns = trusted ? [...harmless, ...programs] : harmless;
  const kept = snapshot.config.filter(
    ({ scope, key, value }) =>
      ownScopes.has(scope) &&
      (patterns.some((pattern) => pattern.test(key)) || (key === "merge.default" && builtInDrivers.has(value))),
  );
  writeFileSync(
    join(gitDir, "config"),
    [
      `[core]\n\trepositoryformatversion = ${snapshot.sha256 ? 1 : 0}\n\tbare = false\n`,
      snapshot.sha256 ? "[extensions]\n\tobjectformat = sha256\n" : "",
      ...kept.map(({ key, value }) => configLine(key, value)),
    ].join(""),
  );
  for (const file of ["exclude", "attributes"]) {
    const from = join(snapshot.repository.commonDir, "info", file);
    // Opening a fifo that somebody has put there would hold us up for ever, signals and limits and all.
    if (statSync(from, { throwIfNoEntry: false })?.isFile() === true) copyFileSync(from, join(gitDir, "info", file));
  }
  // The submodules that are checked out: of two commits of one, git takes the later, which it can tell by its history only.
  const modules = join(snapshot.repository.commonDir, "modules");
  if (existsSync(modules)) symlinkSync(modules, join(gitDir, "modules"));
  const scratch = { gitDir, objects, cwd };
  borrowObjects(scratch, join(snapshot.repository.commonDir, "objects"));
  return scratch;
}

/** Lets the scratch read the objects of another object directory too. */
export function borrowObjects(scratch: Scratch, objects: string): void {
  const line = /^["#]|[\n\\]/.test(objects) ? JSON.stringify(objects) : objects;
  writeFileSync(join(scratch.objects, "info", "alternates"), `${line}\n`, { flag: "a" });
}

/**
 * A git directory that stands for one working tree: HEAD at `head`, the split index's other half at hand. Used with GIT_INDEX_FILE
 * and GIT_WORK_TREE to look at a working tree without believing anything its own git directory says.
 */
export function standIn(scratch: Scratch, head: string, indexDir: string): string {
  const gitDir = mkdtempSync(join(scratch.gitDir, "stand-in-"));
  mkdirSync(join(gitDir, "refs"), { recursive: true });
  mkdirSync(join(gitDir, "info"), { recursive: true });
  symlinkSync(scratch.objects, join(gitDir, "objects"));
  copyFileSync(join(scratch.gitDir, "config"), join(gitDir, "config"));
  for (const file of ["exclude", "attributes"]) {
    const from = join(scratch.gitDir, "info", file);
    if (existsSync(from)) copyFileSync(from, join(gitDir, "info", file));
  }
  writeFileSync(join(gitDir, "HEAD"), `${head}\n`);
  for (const file of readdirSync(indexDir)) {
    if (file.startsWith("sharedindex.")) symlinkSync(join(indexDir, file), join(gitDir, file));
  }
  return gitDir;
}

export function removeScratch(scratch: Scratch): void {
  const root = join(scratch.gitDir, "..");
  if (existsSync(root)) chmodSync(root, 0o700);
  rmSync(root, { recursive: true, force: true });
}

/** Removes the scratches that killed runs have left: their names tell whose they were, an hour's age that no other host's run is in them. */
export function removeLeftScratches(now: number): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = name.match(/^orchestrator-merge-(\d+)\.(\d+)-/);
    if (owner === null || isAlive(Number(owner[1]), owner[2] ?? "")) continue;
    try {
      const path = join(tmpdir(), name);
      if (now - statSync(path).mtimeMs > 3_600_000) rmSync(path, { recursive: true });
    } catch {
      // another user's
    }
  }
}

// git-config(1), "Syntax": section, optional subsection in quotes, name; a quoted value escapes \ " and newline.
function configLine(key: string, value: string): string {
  const first = key.indexOf(".");
  const last = key.lastIndexOf(".");
  const section = key.slice(0, first);
  const subsection = first === last ? "" : ` ${quote(key.slice(first + 1, last))}`;
  return `[${section}${subsection}]\n\t${key.slice(last + 1)} = ${quote(value).replaceAll("\n", "\\n")}\n`;
}

function quote(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
