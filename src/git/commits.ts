import { type GitContext, type GitResult, git } from "./process.ts";

/** A commit as it stands in the object store. Author line, encoding and message are byte strings (latin1). */
export type Commit = {
  readonly oid: string;
  readonly tree: string;
  readonly parents: readonly string[];
  /** `Name <mail> seconds zone` */
  readonly author: string;
  /** Of the message; null is UTF-8. */
  readonly encoding: string | null;
  readonly message: string;
};

/** Reads commits, in their order. One process. The failing result when one is not there. Format: gitformat-commit, "git cat-file commit". */
export async function readCommits(
  context: GitContext,
  gitDir: string,
  oids: readonly string[],
): Promise<Commit[] | GitResult> {
  if (oids.length === 0) return [];
  const input = oids.map((oid) => `${oid}\n`).join("");
  const result = await git(context, { gitDir, args: ["cat-file", "--batch"], input });
  if (result.code !== 0) return result;
  const commits: Commit[] = [];
  let at = 0;
  for (const oid of oids) {
    // git-cat-file(1), "BATCH OUTPUT": "<oid> commit <size>" LF contents LF.
    const contents = result.stdout.indexOf("\n", at) + 1;
    const size = Number(result.stdout.toString("latin1", at, contents).match(/ commit (\d+)\n$/)?.[1] ?? Number.NaN);
    if (Number.isNaN(size)) return { ...result, code: 1 };
    commits.push(parseCommit(oid, result.stdout.toString("latin1", contents, contents + size)));
    at = contents + size + 1;
  }
  return commits;
}

function parseCommit(oid: string, text: string): Commit {
  const cut = text.indexOf("\n\n");
  const header = cut < 0 ? text : text.slice(0, cut);
  const all = (name: string) => [...header.matchAll(new RegExp(`^${name} (.*)$`, "gm"))].map(([, value = ""]) => value);
  return {
    oid,
    tree: all("tree")[0] ?? "",
    parents: all("parent"),
    author: all("author")[0] ?? "",
    encoding: all("encoding")[0] ?? null,
    message: cut < 0 ? "" : text.slice(cut + 2),
  };
}

/** The first line of a commit's message. What is in another encoding than UTF-8 is shown as that. */
export function subjectOf({ message }: Pick<Commit, "message">): string {
  const [subject = ""] = Buffer.from(message, "latin1").toString().trimStart().split("\n");
  return subject.trim();
}

/** Name and address of an author line, without the time. */
export const authorOf = ({ author }: Pick<Commit, "author">): string => author.replace(/ \d+ [+-]\d+$/, "");
