import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { type GitContext, type GitResult, git } from "./process.ts";
import type { Scratch } from "./scratch.ts";

/** Up to this many loose objects are moved one by one; beyond it one pack, with one sync, is cheaper (0.2-5 ms a sync). */
const looseLimit = 64;

/**
 * Brings what `tips` need from the scratch (and what it borrows from: separate clones) into the repository's own objects, synced to disk.
 * `have` are commits whose history the repository already holds. Null when done, the failing result when git fails.
 * After this a crash leaves objects that nothing points at: git collects them some day.
 */
export async function publish(
  context: GitContext,
  scratch: Scratch,
  repositoryObjects: string,
  options: { tips: readonly string[]; have: readonly string[]; borrowed: boolean },
): Promise<GitResult | null> {
  const loose = looseObjects(scratch.objects);
  if (!options.borrowed && loose.length <= looseLimit) {
    moveLoose(scratch.objects, repositoryObjects, loose);
    return null;
  }
  const result = await git(context, {
    gitDir: scratch.gitDir,
    // The pack is written beside the repository's own packs, so the repository is the main store and the scratch the borrowed one.
    env: { GIT_OBJECT_DIRECTORY: repositoryObjects, GIT_ALTERNATE_OBJECT_DIRECTORIES: quotePath(scratch.objects) },
    args: ["pack-objects", "--revs", "-q", "--delta-base-offset", join(repositoryObjects, "pack", "pack")],
    input: [...options.tips, ...options.have.map((oid) => `^${oid}`), ""].join("\n"),
  });
  return result.code === 0 ? null : result;
}

function looseObjects(objects: string): string[] {
  return readdirSync(objects)
    .filter((dir) => /^[0-9a-f]{2}$/.test(dir))
    .flatMap((dir) => readdirSync(join(objects, dir)).map((file) => `${dir}/${file}`));
}

// As git itself stores a loose object: whole under a temporary name, synced, then renamed; the directories after it.
function moveLoose(from: string, to: string, names: readonly string[]): void {
  const dirs = new Set<string>();
  for (const name of names) {
    const target = join(to, name);
    if (existsSync(target)) continue;
    const dir = join(to, name.slice(0, 2));
    if (!existsSync(dir)) {
      mkdirSync(dir, { recursive: true });
      dirs.add(to);
    }
    const temporary = join(dir, `tmp_obj_${process.pid}_${name.slice(3, 11)}`);
    const fd = openSync(temporary, "w", 0o444);
    try {
      writeSync(fd, readFileSync(join(from, name)));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, target);
    dirs.add(dir);
  }
  for (const dir of dirs) {
    const fd = openSync(dir, "r");
    fsyncSync(fd);
    closeSync(fd);
  }
}

// git(1), GIT_ALTERNATE_OBJECT_DIRECTORIES: a list with ":" between, C-quoted when it begins with a double quote.
function quotePath(path: string): string {
  return /[:"\n]/.test(path) ? JSON.stringify(path) : path;
}
