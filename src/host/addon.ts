import * as fs from "node:fs";
import { homedir, tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { exitCode, UserError } from "../core/errors.ts";

/** The processor the embedded bytes were built for; the build puts it there. Absent when run from the sources. */
declare const __ADDON_ARCH__: string | undefined;

/**
 * `O_TMPFILE` of linux/fcntl.h: a file that never has a name, gone with its last descriptor or mapping. Node has no constant for it.
 * Without `O_EXCL`, which Deno turns into `O_CREAT|O_EXCL`, and the kernel answers EINVAL.
 */
const temporaryFile = 0o20000000 | fs.constants.O_DIRECTORY | fs.constants.O_RDWR;

/** Memory first (4.4 ms for the 9.7 MB addon, against 5.9 ms on disk), then the user's temporary directory. */
const unnamedPlaces = (): string[] => ["/dev/shm", tmpdir()];

/** Asked only when it is needed: `homedir` throws for a user without a name and without HOME. */
function cachePlace(): string {
  const xdg = process.env["XDG_CACHE_HOME"];
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), ".cache"), "orchestrator-merge");
}

/**
 * Loads a native addon from bytes and returns its exports. The linker wants a file: it gets one without a name, which nobody
 * else can open, swap or leave behind. Where that cannot be mapped (noexec, no O_TMPFILE, full), a copy in a private cache
 * directory is used, whose bytes are compared each time. Throws UserError (exit 3) with every reason when nothing works.
 * `unnamed`: directories for the file without a name, best first. `cache`: names the private directory, made with mode 0700.
 */
export function loadAddon(bytes: Uint8Array, unnamed = unnamedPlaces(), cache = cachePlace): unknown {
  if (typeof __ADDON_ARCH__ !== "undefined" && __ADDON_ARCH__ !== process.arch) {
    throw new UserError(
      exitCode.database,
      `this file carries the database engine for ${__ADDON_ARCH__}, and this host is ${process.arch}.`,
      `Build it on ${process.arch}.`,
    );
  }
  demandFiles();
  const reasons: string[] = [];
  for (const directory of unnamed) {
    try {
      return loadUnnamed(bytes, directory);
    } catch (error) {
      reasons.push(reasonOf(directory, error));
    }
  }
  try {
    return loadCached(bytes, cache());
  } catch (error) {
    reasons.push(reasonOf("private cache directory", error));
  }
  const detail = reasons.join("; ");
  if (!hostHasGlibc()) {
    throw new UserError(
      exitCode.database,
      `the database engine in this program needs glibc, and this host runs another C library (${detail}).`,
      "Use a host or container image with glibc (Debian, Ubuntu, Fedora, not Alpine).",
    );
  }
  throw new UserError(
    exitCode.database,
    `the database engine in this program could not be loaded (${detail}).`,
    "Set TMPDIR to a directory on a file system that is not mounted noexec.",
  );
}

/** With 24 allowed, the addon's runtime aborts the process; with 32, git cannot be started; a run was seen to use 36. */
const filesNeeded = 64;

/** Throws UserError (exit 3) where this process may not open enough files: proc(5), /proc/[pid]/limits. */
function demandFiles(): void {
  let limits = "";
  try {
    limits = fs.readFileSync("/proc/self/limits", "latin1");
  } catch {
    return; // no proc, or none left to open: what comes next says so
  }
  const allowed = Number(limits.match(/^Max open files +(\d+)/m)?.[1] ?? filesNeeded);
  if (allowed >= filesNeeded) return;
  throw new UserError(
    exitCode.database,
    `this process may open ${allowed} files at once, and the program needs ${filesNeeded}.`,
    "Raise the limit: ulimit -n 1024, or LimitNOFILE= in the unit.",
  );
}

function loadUnnamed(bytes: Uint8Array, directory: string): unknown {
  const fd = fs.openSync(directory, temporaryFile, 0o600);
  try {
    writeAll(fd, bytes);
    return link(`/proc/self/fd/${fd}`);
  } finally {
    // The mapping keeps the file alive.
    fs.closeSync(fd);
  }
}

function loadCached(bytes: Uint8Array, directory: string): unknown {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const entry = fs.lstatSync(directory);
  // Whoever may write here may run code as us, so the directory must be ours alone before a byte of it is trusted.
  if (!entry.isDirectory() || entry.uid !== process.geteuid?.() || (entry.mode & 0o022) !== 0) {
    throw new Error("not a directory that only this user can write");
  }
  // One name for every version: the bytes decide. (A hash in the name would load node:crypto, 10 ms of every start.)
  const file = join(directory, "libsql.node");
  if (!holds(file, bytes)) {
    const draft = `${file}.${process.pid}`;
    fs.rmSync(draft, { force: true });
    const fd = fs.openSync(draft, fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_WRONLY, 0o600);
    try {
      writeAll(fd, bytes);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(draft, file);
  }
  return link(file);
}

function holds(file: string, bytes: Uint8Array): boolean {
  try {
    if (!fs.lstatSync(file).isFile()) return false;
    return fs.readFileSync(file).equals(bytes);
  } catch {
    return false;
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += fs.writeSync(fd, bytes, done);
}

function link(path: string): unknown {
  const module: { exports: unknown } = { exports: {} };
  process.dlopen(module, path);
  return module.exports;
}

/** Node's own report names the C library it runs on; costs milliseconds, so it is asked only after a failure. */
function hostHasGlibc(): boolean {
  const report: unknown = process.report?.getReport();
  if (typeof report !== "object" || report === null || !("header" in report)) return true;
  const header: unknown = report.header;
  return typeof header === "object" && header !== null && "glibcVersionRuntime" in header;
}

function reasonOf(place: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `${place}: ${message.split("\n")[0]}`;
}
