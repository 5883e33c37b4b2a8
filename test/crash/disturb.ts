import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Gap, setAmbush } from "./shim.ts";
import type { Run, Slot } from "./slot.ts";
import { freezeAt } from "./sweep.ts";

/** A run of the program on a host that refuses it something, and what puts the host right again. */
export type Disturbance = (slot: Slot) => Promise<Run>;

const namespace = ["unshare", process.getuid?.() === 0 ? "-m" : "-rm", "sh", "-c"];

/**
 * Runs the program with a small file system of its own at a place. When it has ended there is room again, and what the place holds goes
 * where everybody sees it.
 */
const smallDisk = `set -e
place=$1 free=$2 real=$3
shift 3
mkdir -p "$real"
mount --bind "$place" "$real"
mount -t tmpfs -o size=64m tmpfs "$place"
cp -a "$real/." "$place/"
used=$(($(stat -f -c '(%b - %f) * %S / 1024' "$place")))
mount -o remount,size=$((used + free))k "$place"
code=0
"$@" || code=$?
mount -o remount,size=64m "$place"
find "$real" -mindepth 1 -delete
cp -a "$place/." "$real/"
exit $code
`;

/** A disk at `place` (in the world) with so much room left. Kilobytes. */
export const fullDisk =
  (place: string, free: number): Disturbance =>
  async (slot) =>
    await slot.start(undefined, [
      ...namespace,
      smallDisk,
      "sh",
      join(slot.path, place),
      String(free),
      `${slot.dir}/real`,
    ]).over;

/** Places in the world, files or directories, that nobody may write to, root included. */
export const readOnly =
  (...places: string[]): Disturbance =>
  async (slot) => {
    const mounts = places.map((place) => {
      const path = join(slot.path, place);
      return `mount --bind '${path}' '${path}' && mount -o remount,bind,ro '${path}'`;
    });
    return await slot.start(undefined, [...namespace, `${mounts.join(" && ")} && exec "$@"`, "sh"]).over;
  };

/** No more than so many open files from the start. */
export const fewFiles =
  (limit: number): Disturbance =>
  async (slot) =>
    await slot.start(undefined, ["prlimit", `--nofile=${limit}:${limit}`]).over;

/** No more open files than there are, from a moment on. */
export const noMoreFiles =
  (gap: Gap): Disturbance =>
  async (slot) => {
    const { child, over } = await freezeAt(slot, gap);
    const open = readdirSync(`/proc/${child.pid}/fd`).map(Number);
    spawnSync("prlimit", ["--pid", String(child.pid), `--nofile=${Math.max(...open) + 1}:`]);
    await slot.goOn();
    return await over;
  };

/** Which calls fail, with what error, on which files of the database: "" is itself, "-wal" what is not in it yet. */
export type Failure = { readonly calls: string; readonly error: string; readonly files?: readonly string[] };

/** The database's own calls fail from the n-th on, as on a disk or a network that has gone away. */
export const failingDatabase =
  ({ calls, error, files }: Failure, from: number): Disturbance =>
  async (slot) => {
    const paths = databaseFiles(slot, files).flatMap((path) => ["-P", path]);
    const inject = `inject=${calls}:error=${error}:when=${from}+`;
    const log = join(slot.path, "shim", "hit");
    return await slot.start(undefined, [
      "strace",
      "-f",
      "-b",
      "execve",
      "-o",
      log,
      ...paths,
      "-e",
      `trace=${calls}`,
      "-e",
      inject,
    ]).over;
  };

/** How often an undisturbed run makes the most frequent of such calls on the database. */
export async function databaseCalls(slot: Slot, { calls, files }: Failure): Promise<number> {
  await slot.reset();
  setAmbush(slot.path, { kind: "none" });
  const log = join(slot.path, "shim", "calls");
  const paths = databaseFiles(slot, files).flatMap((path) => ["-P", path]);
  await slot.start(undefined, [
    "strace",
    "-f",
    "-c",
    "-U",
    "calls",
    "-b",
    "execve",
    "-o",
    log,
    ...paths,
    "-e",
    `trace=${calls}`,
  ]).over;
  // Lines of "calls name"; strace counts `when` one by one for each name.
  const counts = [...readFileSync(log, "latin1").matchAll(/^ *(\d+) (?!total)\w+$/gm)].map(([, count]) =>
    Number(count),
  );
  return Math.max(0, ...counts);
}

const databaseFiles = ({ world }: Slot, files: readonly string[] = ["", "-wal", "-shm"]): string[] =>
  files.map((suffix) => world.db + suffix);

/** Somebody holds the database from a moment on, until the run has ended. */
export const lockedDatabase =
  (gap: Gap): Disturbance =>
  async (slot) => {
    const { over } = await freezeAt(slot, gap);
    const holder = fileURLToPath(new URL("../queue/programs/holder.ts", import.meta.url));
    const child = spawn(process.execPath, [holder, slot.world.db], { stdio: ["pipe", "pipe", "inherit"] });
    const closed = once(child, "close");
    await Promise.race([once(child.stdout, "data"), closed]);
    await slot.goOn();
    const run = await over;
    child.stdin.end();
    await closed;
    return run;
  };

/**
 * The database is overwritten at a moment; afterwards a person puts a copy back: of that moment, or of before the run, when nothing of it
 * was known.
 */
export const corruptDatabase =
  (gap: Gap, copyOf: "then" | "before"): Disturbance =>
  async (slot) => {
    const files = databaseFiles(slot);
    const keep = () => {
      for (const path of files) if (existsSync(path)) copyFileSync(path, `${path}.copy`);
    };
    if (copyOf === "before") keep();
    const { over } = await freezeAt(slot, gap);
    if (copyOf === "then") keep();
    for (const path of files) {
      if (existsSync(path) && !path.endsWith("-shm"))
        writeFileSync(path, Buffer.alloc(statSync(path).size, "x"), { flag: "r+" });
    }
    await slot.goOn();
    const run = await over;
    for (const path of files) {
      rmSync(path, { force: true });
      if (existsSync(`${path}.copy`) && !path.endsWith("-shm")) renameSync(`${path}.copy`, path);
    }
    return run;
  };

/** The directory entry of the database goes away at a moment, and comes back after the run. */
export const goneDatabase =
  (gap: Gap): Disturbance =>
  async (slot) => {
    const { over } = await freezeAt(slot, gap);
    const files = databaseFiles(slot).filter((path) => existsSync(path));
    for (const path of files) renameSync(path, `${path}.gone`);
    await slot.goOn();
    const run = await over;
    for (const path of files) if (existsSync(`${path}.gone`)) renameSync(`${path}.gone`, path);
    return run;
  };
