import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
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
export async function lookAt(place: File, withDirectory = false): Promise<Found> {
  const { path, shown } = place;
  const directory = dirname(path);
  const found = await stat(path).catch((error: unknown) => unlessMissing(error, place));
  if (found === null) {
    const parent = await stat(directory).catch((error: unknown) => unlessMissing(error, place));
    if (parent === null && withDirectory) return { exists: false, bytes: 0, writable: true };
    if (parent === null) {
      const make = `mkdir -p ${shellWord(directory)} && orchestrator-merge migrate ${dbFlag(path)}`;
      throw trouble(
        `the directory ${visible(directory)} of the queue database is not there.`,
        `Correct --db, or make both: ${make}`,
      );
    }
    return { exists: false, bytes: 0, writable: await may(directory) };
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
  const readable = await may(path, constants.R_OK);
  if (!readable)
    throw trouble(`${shown} cannot be read by this user.`, "Run as the user who owns it, or allow reading.");
  return { exists: true, bytes: found.size, writable: (await may(path)) && (await may(directory)) };
}

/** As lookAt, for a queue that must be there. */
export async function mustExist(place: File, mode: "read" | "write"): Promise<Found> {
  const found = await lookAt(place);
  const make = `Make one with: orchestrator-merge migrate ${dbFlag(place.path)}`;
  if (!found.exists) throw trouble(`there is no queue database at ${place.shown}.`, make);
  if (found.bytes === 0) throw trouble(`the queue database ${place.shown} is an empty file.`, make);
  if (mode === "write" && !found.writable) throw trouble(...readOnly(place.shown));
  return found;
}

/** Whether a WAL beside the database holds anything: if so, the file alone is not the whole truth. */
export async function hasWal(place: File): Promise<boolean> {
  const wal = await stat(`${place.path}-wal`).catch(() => null);
  return wal !== null && wal.size > 0;
}

async function may(path: string, what = constants.W_OK): Promise<boolean> {
  return access(path, what).then(
    () => true,
    () => false,
  );
}

function unlessMissing(error: unknown, place: File): null {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "ENOENT") return null;
  if (code === "ENOTDIR") {
    throw trouble(`a part of the path ${place.shown} is a file, not a directory.`, "Correct --db.", error);
  }
  throw trouble(`${place.shown} cannot be looked at (${code ?? error}).`, "Check the path and its permissions.", error);
}
