import { exitCode, UserError } from "../core/errors.ts";
import type { Location } from "./location.ts";

/** Whether waiting may help: another connection holds a lock that SQLite would not wait for, or not long enough. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error);
  // SQLITE_PROTOCOL is a lost race for the locks of the WAL index, SQLITE_LOCKED a shared cache.
  return code !== null && /^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(code);
}

/**
 * Turns what the database client threw into UserError(3) when it tells of the file, the disk, the server or the token; gives
 * anything else (wrong SQL, a broken constraint) back as it is, for that is a bug of ours. No message holds a secret.
 */
export function explain(error: unknown, place: Location): unknown {
  if (error instanceof UserError) return error;
  const known = place.kind === "file" ? fileTrouble(error, place.shown) : serverTrouble(error, place.shown);
  return known === null ? error : trouble(...known, error);
}

type Words = readonly [sentence: string, wayOut: string];

/** A failure of the queue database. */
export function trouble(sentence: string, wayOut: string, cause?: unknown): UserError {
  return new UserError(exitCode.database, sentence, wayOut, cause === undefined ? undefined : { cause });
}

const damaged = (shown: string, detail: string): Words => [
  `the queue database ${shown} is damaged: ${detail}.`,
  `Put a copy of it back, or save what can be read: sqlite3 ${shown} .recover`,
];

const notSqlite = (shown: string): Words => [
  `${shown} is not a SQLite database.`,
  "Point --db at the orchestrator's task_queue.db.",
];

export const readOnly = (shown: string): Words => [
  `the queue database ${shown} cannot be written: it, its directory or its file system is read-only for this user.`,
  "Run as the user who owns it, or give write permission to the file and to its directory.",
];

function fileTrouble(error: unknown, shown: string): Words | null {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  // libsql gives no code at all when the file cannot be opened.
  if (/^ConnectionFailed\(/.test(message)) return cannotOpen(shown);
  if (code === null) return null;
  if (isBusy(error)) {
    return [
      `the queue database ${shown} stayed locked by another program.`,
      `Try again; if it stays so, "fuser -v ${shown}" shows who holds it.`,
    ];
  }
  switch (/^SQLITE_[A-Z]+/.exec(code)?.[0]) {
    case "SQLITE_NOTADB":
      return notSqlite(shown);
    case "SQLITE_CORRUPT":
      return damaged(shown, message.replace(/^SQLITE_\w+: /, ""));
    case "SQLITE_READONLY":
    case "SQLITE_PERM":
      return readOnly(shown);
    case "SQLITE_CANTOPEN":
      return cannotOpen(shown);
    case "SQLITE_FULL":
      return [`there is no room left on the disk for the queue database ${shown}.`, "Make room, then run this again."];
    case "SQLITE_IOERR":
      return [`reading or writing the queue database ${shown} failed (${message}).`, "Look at the disk: dmesg, df."];
    default:
      return null;
  }
}

const cannotOpen = (shown: string): Words => [
  `the queue database ${shown} cannot be opened.`,
  "Look at the permissions of the file and of its directory.",
];

function serverTrouble(error: unknown, shown: string): Words | null {
  if (isBusy(error)) return [`the queue on ${shown} stayed locked by another client.`, "Try again in a moment."];
  const status = statusOf(error);
  if (status === 401 || status === 403) {
    return [
      `the server ${shown} refuses the token (HTTP ${status}).`,
      "Put a valid one in ORCHESTRATOR_MERGE_AUTH_TOKEN or in the file that [queue] auth_token_file names.",
    ];
  }
  if (status !== null) {
    return [`the server ${shown} answers HTTP ${status}.`, "Check the URL, and that a libSQL server runs there."];
  }
  const code = codeOf(error);
  if (code === "HRANA_PROTO_ERROR" || code === "PROTOCOL_VERSION_ERROR" || error instanceof SyntaxError) {
    return [`what answers at ${shown} is no libSQL server.`, "Check the URL."];
  }
  // fetch throws a bare TypeError for everything between us and the server, the reason is in its cause.
  const unreachable = error instanceof TypeError && error.message === "fetch failed";
  const tooSlow = error instanceof DOMException && error.name === "TimeoutError";
  if (unreachable || tooSlow || code === "HRANA_CLOSED_ERROR") {
    const why = tooSlow
      ? "no answer in time"
      : (codeOf(causeOf(error)) ?? messageOf(causeOf(error)) ?? "no connection");
    return [`the server ${shown} cannot be reached (${why}).`, "Check the URL, the network, and that the server runs."];
  }
  return null;
}

const causeOf = (error: unknown): unknown => (error instanceof Error ? error.cause : undefined);
const messageOf = (error: unknown): string | null => (error instanceof Error ? error.message : null);

/** Errors of the native addon are not instances of a class that can be imported without loading the addon. */
function codeOf(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("code" in error)) return null;
  return typeof error.code === "string" && error.code !== "" ? error.code : null;
}

function statusOf(error: unknown): number | null {
  const cause = causeOf(error);
  if (typeof cause !== "object" || cause === null || !("status" in cause)) return null;
  return typeof cause.status === "number" ? cause.status : null;
}
