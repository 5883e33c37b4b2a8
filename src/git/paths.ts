/**
 * Paths inside a repository are bytes, not text. We carry them as latin1 strings, one character a byte, so that equal strings are
 * equal paths; these two turn them into something to show, and into something to open.
 */

/** A path for people: its UTF-8 reading. */
export function showPath(path: string): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

/** The bytes of `path` under `dir`, for the file system. */
export function pathIn(dir: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(path, "latin1")]);
}
