// Not node:fs/promises: it loads half of Node's library and starts a thread, 6 ms of every command for two calls.
import { accessSync, constants, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { visible } from "../core/describe.ts";
import { dbFlag, type Location, shellWord } from "./location.ts";
import { readOnly, trouble } from "./trouble.ts";

type File = Extract<Location, { kind: "file" }>;

export type Found = {
  /** the file is there; an empty one counts */
  readonly exists: boolean;
  readonly bytes: number;
  /** the file (or, if it is missing, its directory) and its directory can be written by this user */
  readonly writable: boolean;
};

/**
 * What is at the path, without opening it: closing a second descriptor of a database drops the locks that this very
 * process holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2). Throws UserError(3) when a queue cannot be there; that
 * its directory is missing is an error too unless `withDirectory` says that it will be made.
 */
export function lookAt(place: File, withDirectory = false): Found {
  const { path, shown } = place;
  const directory = dirname(path);
  const found = statUnlessMissing(path, place);
  if (found === null) {
    const parent = statUnlessMissing(directory, place);
    if (parent === null && withDirectory) return { exists: false, bytes: 0, writable: true };
    if (parent === null) {
      const make = `mkdir -p ${shellWord(directory)} && orchestrator-merge migrate ${dbFlag(path)}`;
      throw trouble(
        `the directory ${visible(directory)} of the queue database is not there.`,
        `Correct --db, or make both: ${make}`,
      );
    }
    return { exists: false, bytes: 0, writable: may(directory) };
  }
  if (found.isDirectory()) {
    throw trouble(
      `${shown} is a directory, not a queue database.`,
      "Name the file in it: --db <directory>/task_queue.db",
    );
  }
  // Opening a pipe would wait for ever.
  if (!found.isFile())
    throw trouble(`${shown} is not a regular file.`, "Point --db at the orchestrator's task_queue.db.");
  const readable = may(path, constants.R_OK);
  if (!readable)
    throw trouble(`${shown} cannot be read by this user.`, "Run as the user who owns it, or allow reading.");
  return { exists: true, bytes: found.size, writable: may(path) && may(directory) };
}

/** As lookAt, for a queue that must be there. */
export function mustExist(place: File, mode: "read" | "write"): Found {
  const found = lookAt(place);
  const make = `Make one with: orchestrator-merge migrate ${dbFlag(place.path)}`;
  if (!found.exists) throw trouble(`there is no queue database at ${place.shown}.`, make);
  if (found.bytes === 0) throw trouble(`the queue database ${place.shown} is an empty file.`, make);
  if (mode === "write" && !found.writable) throw trouble(...readOnly(place.shown));
  return found;
}

/** Whether a WAL beside the database holds anything: if so, the file alone is not the whole truth. */
export function hasWal(place: File): boolean {
  try {
    return statSync(`${place.path}-wal`).size > 0;
  } catch {
    return false;
  }
}

function may(path: string, what = constants.W_OK): boolean {
  try {
    accessSync(path, what);
    return true;
  } catch {
    return false;
  }
}

function statUnlessMissing(path: string, place: File): Stats | null {
  try {
    return statSync(path);
  } catch (error) {
    return unlessMissing(error, place);
  }
}

function unlessMissing(error: unknown, place: File): null {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "ENOENT") return null;
  if (code === "ENOTDIR") {
    throw trouble(`a part of the path ${place.shown} is a file, not a directory.`, "Correct --db.", error);
  }
  throw trouble(`${place.shown} cannot be looked at (${code ?? error}).`, "Check the path and its permissions.", error);
}
