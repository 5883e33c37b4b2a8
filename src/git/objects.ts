import { createHash } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { deflateSync } from "node:zlib";

/** Who made a commit or a tag, and when (unix seconds, UTC). */
export type Stamp = { readonly name: string; readonly email: string; readonly seconds: number };

/**
 * Writes a commit as a loose object into `objects` and gives its id. Here and not by `git commit-tree`: two processes a project
 * less, and no hook, template or signing program is near. Format: gitformat-loose / "git cat-file commit".
 */
export function writeCommit(
  objects: string,
  sha256: boolean,
  commit: { tree: string; parents: readonly string[]; stamp: Stamp; message: string },
): string {
  const who = stampLine(commit.stamp);
  const lines = [
    `tree ${commit.tree}`,
    ...commit.parents.map((parent) => `parent ${parent}`),
    `author ${who}`,
    `committer ${who}`,
    "",
    commit.message,
  ];
  return writeObject(objects, sha256, "commit", lines.join("\n"));
}

/** The content of an annotated tag on a commit. Format as `git mktag` demands it. */
export function tagBody(tag: { name: string; commit: string; stamp: Stamp; message: string }): string {
  const lines = [
    `object ${tag.commit}`,
    "type commit",
    `tag ${tag.name}`,
    `tagger ${stampLine(tag.stamp)}`,
    "",
    tag.message,
  ];
  return lines.join("\n");
}

/** Writes such a content as a tag object and gives its id. */
export function writeTag(objects: string, sha256: boolean, body: string): string {
  return writeObject(objects, sha256, "tag", body);
}

/**
 * Writes a commit that says what another one said: author line, encoding and message are byte strings (latin1), taken as they are.
 * We are its committer.
 */
export function writeRetold(
  objects: string,
  sha256: boolean,
  commit: {
    tree: string;
    parent: string;
    author: string;
    encoding: string | null;
    committer: Stamp;
    message: string;
  },
): string {
  const committer = Buffer.from(stampLine(commit.committer)).toString("latin1");
  const lines = [
    `tree ${commit.tree}`,
    `parent ${commit.parent}`,
    `author ${commit.author}`,
    `committer ${committer}`,
    ...(commit.encoding === null ? [] : [`encoding ${commit.encoding}`]),
    "",
    commit.message,
  ];
  return writeObject(objects, sha256, "commit", Buffer.from(lines.join("\n"), "latin1"));
}

function writeObject(objects: string, sha256: boolean, type: "commit" | "tag", body: string | Buffer): string {
  const content = Buffer.from(body);
  const object = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content]);
  const oid = createHash(sha256 ? "sha256" : "sha1")
    .update(object)
    .digest("hex");
  const file = join(objects, oid.slice(0, 2), oid.slice(2));
  mkdirSync(dirname(file), { recursive: true });
  if (!existsSync(file)) writeFileSync(file, deflateSync(object), { mode: 0o444 });
  return oid;
}

// Names may not hold angle brackets, newlines or NUL (git strips them too: ident.c, strbuf_addstr_without_crud).
function stampLine({ name, email, seconds }: Stamp): string {
  const clean = (text: string) =>
    [...text]
      .filter((c) => c > "\u001f" && c !== "<" && c !== ">")
      .join("")
      .trim();
  return `${clean(name)} <${clean(email)}> ${seconds} +0000`;
}
