import { type GitContext, type GitResult, git } from "./process.ts";

/** A commit whose message says that it is a landing of ours, or that it reverts something. */
export type Marked = {
  readonly oid: string;
  readonly tree: string;
  readonly parents: readonly string[];
  /** The attempt that its trailer names; null when it bears none. */
  readonly attempt: string | null;
  /** The number of the project that its trailer names; null when it bears none. */
  readonly project: number | null;
  /** The head that it says it brings in other clothes (squashed, rebased); null when it names none. */
  readonly head: string | null;
  /** The commits that it says it reverts, as it names them: whole ids, or the beginnings of them. */
  readonly reverts: readonly string[];
};

/**
 * The landings and reverts in the history of `tip`, none before its descendants. One process. The words are those of our own
 * trailer, and of git-revert(1): "This reverts commit <id>", with `revert.reference` an abbreviated one.
 */
export async function readMarked(context: GitContext, gitDir: string, tip: string): Promise<Marked[] | GitResult> {
  const result = await git(context, {
    gitDir,
    args: [
      "rev-list",
      "--topo-order",
      "--no-commit-header",
      "--fixed-strings",
      "--grep=Orchestrator-Attempt: ",
      "--grep=This reverts commit ",
      "--format=%H%n%T%n%P%n%B%x00",
      tip,
    ],
  });
  if (result.code !== 0) return result;
  // A message holds no NUL: git ends it there.
  return result.stdout
    .toString()
    .split("\0")
    .map((record) => record.replace(/^\n/, "").split("\n"))
    .flatMap(([oid, tree, parents, ...message]): Marked[] => {
      if (!oid || !tree || parents === undefined) return [];
      const body = message.join("\n");
      return [
        {
          oid,
          tree,
          parents: parents.split(" ").filter((parent) => parent !== ""),
          attempt: lastLine(message, /^Orchestrator-Attempt: ([0-9A-Z]{26})$/),
          project: Number(lastLine(message, /^Orchestrator-Project: (\d{1,15})$/) ?? Number.NaN) || null,
          head: lastLine(message, /^Orchestrator-Head: ([0-9a-f]{40,64})$/),
          reverts: [...body.matchAll(/This reverts commit ([0-9a-f]{7,64})\b/g)].map(([, id = ""]) => id),
        },
      ];
    });
}

/**
 * What the last of the lines that fit has in brackets: ours stand below what an agent wrote. Line by line, for the `m` of an expression
 * takes a carriage return and U+2028 for line ends too, and an agent could hide a trailer behind one.
 */
function lastLine(lines: readonly string[], pattern: RegExp): string | null {
  return lines.map((line) => line.match(pattern)?.[1]).findLast((found) => found !== undefined) ?? null;
}

/** What objects these names stand for, in their order (`<id>`, `<id>^{tree}`): id and type, null for what is not there. One process. */
export async function lookUp(
  context: GitContext,
  gitDir: string,
  names: readonly string[],
): Promise<({ oid: string; type: string } | null)[] | GitResult> {
  if (names.length === 0) return [];
  const result = await git(context, {
    gitDir,
    args: ["cat-file", "--batch-check=%(objectname) %(objecttype)"],
    input: names.map((name) => `${name}\n`).join(""),
  });
  if (result.code !== 0) return result;
  const lines = result.stdout.toString().split("\n");
  return names.map((_, index) => {
    const [, oid, type] = lines[index]?.match(/^([0-9a-f]{40,64}) (commit|tree|blob|tag)$/) ?? [];
    return oid === undefined || type === undefined ? null : { oid, type };
  });
}

/** The paths of `tree` among `wanted` (byte strings), each with its mode and id: `100644 <id>`. What is absent there has no entry. */
export async function entriesOf(
  context: GitContext,
  gitDir: string,
  tree: string,
  wanted: ReadonlySet<string>,
): Promise<Map<string, string> | GitResult> {
  const result = await git(context, { gitDir, args: ["ls-tree", "-r", "-z", "--full-tree", tree] });
  if (result.code !== 0) return result;
  const found = new Map<string, string>();
  for (const line of result.stdout.toString("latin1").split("\0")) {
    const cut = line.indexOf("\t");
    const path = line.slice(cut + 1);
    const [mode, , oid] = line.slice(0, cut).split(" ");
    if (cut > 0 && wanted.has(path)) found.set(path, `${mode} ${oid}`);
  }
  return found;
}

/** A tag as it stands: what it is, and what it leads to. */
export type Tag = { readonly oid: string; readonly annotated: boolean; readonly commit: string };

/** Our own tags (`integration-*`), by full name. One process, in the repository itself. */
export async function readTags(context: GitContext, gitDir: string): Promise<Map<string, Tag> | GitResult> {
  const result = await git(context, {
    gitDir,
    args: ["for-each-ref", "--format=%(refname) %(objectname) %(objecttype) %(*objectname)", "refs/tags/integration-*"],
  });
  if (result.code !== 0) return result;
  const tags = new Map<string, Tag>();
  for (const line of result.stdout.toString().split("\n")) {
    const [name, oid, type, commit] = line.split(" ");
    if (name && oid) tags.set(name, { oid, annotated: type === "tag", commit: commit || oid });
  }
  return tags;
}
