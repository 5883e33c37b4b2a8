import { resolve } from "node:path";
import { visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";

/** Where a queue is. `shown` is fit for a message: no secret, no control character. */
export type Location =
  | { readonly kind: "file"; readonly path: string; readonly shown: string }
  | { readonly kind: "server"; readonly url: string; readonly shown: string };

/** libSQL's WebSocket servers answer the same protocol over HTTP on the same port, and that needs no second client. */
const schemes: Readonly<Record<string, string>> = {
  "libsql:": "libsql:",
  "https:": "https:",
  "http:": "http:",
  "wss:": "https:",
  "ws:": "http:",
};

/**
 * Reads what a person gave after --db: a path, or the URL of a libSQL server.
 * Throws UserError(2) for a URL of another kind, and for one that carries a secret: argv and units are readable by others.
 */
export function parseLocation(location: string): Location {
  const scheme = /^([a-z][a-z0-9+.-]*:)\/\//i.exec(location)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    const path = resolve(location);
    return { kind: "file", path, shown: visible(path) };
  }
  const served = schemes[scheme];
  if (served === undefined || !URL.canParse(location)) {
    throw new UserError(
      exitCode.usage,
      `the database URL begins with ${scheme}// and is not that of a libSQL server.`,
      "Give a path, or a URL such as libsql://host.",
    );
  }
  const url = new URL(location);
  if (url.username !== "" || url.password !== "" || url.searchParams.has("authToken")) {
    throw new UserError(
      exitCode.usage,
      "the database URL carries a secret, which other users could see.",
      "Take it out of the URL, and put it in ORCHESTRATOR_MERGE_AUTH_TOKEN or in the file that [queue] auth_token_file names.",
    );
  }
  return { kind: "server", url: served + location.slice(scheme.length), shown: visible(location) };
}

/** The URL with which libsql opens a file. */
export function fileUrl(path: string, parameter: "mode=rw" | "mode=rwc" | "immutable=1"): string {
  // The client decodes this once and hands the rest to SQLite, which reads a file: URI of its own. The client itself
  // refuses ?mode=, and without mode=rw SQLite creates whatever is not there.
  const uri = `file:${path.split("/").map(encodeURIComponent).join("/")}?${parameter}`;
  return `file:${encodeURIComponent(uri)}`;
}

/** `--db <location>` as it can be pasted into a shell. */
export const dbFlag = (location: string): string => `--db ${shellWord(location)}`;

/** One word for a POSIX shell; with control characters in it, for bash and zsh. */
export function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (visible(word) === word) return `'${word.replaceAll("'", "'\\''")}'`;
  const escaped = word
    .replace(/[\\']/g, "\\$&")
    .replace(/[^ -~]/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join(""),
    );
  return `$'${escaped}'`;
}
