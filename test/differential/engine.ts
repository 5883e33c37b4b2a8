import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import * as z from "zod/mini";
import { showPath } from "../../src/git/paths.ts";
import { cli } from "../helpers/cli.ts";
import { insert } from "../helpers/memory.ts";
import { queueDb } from "../helpers/queueDb.ts";
import { mustGit } from "./git.ts";
import { bySide, type Merges, type Outcome } from "./oracle.ts";

/** Targets are named as agents' branches are, or each would be somebody else's branch to the others (`ambiguous_target`). */
export const targetBranch = (index: number) => `integration-${index}`;
const headBranch = (index: number, nth: number) => `head-${index}-${nth}`;

const reportSchema = z.object({
  results: z.array(
    z.object({
      id: z.number(),
      outcome: z.string(),
      reason: z.nullable(z.string()),
      detail: z.nullable(z.string()),
      mergeCommit: z.nullable(z.string()),
      conflicts: z.array(z.string()),
    }),
  ),
});

/** A queue whose rows say: land these heads on these targets, in a repository that has a branch for each of them. */
export type Engine = {
  /** Lands some of the merges, all when none are named, with one run of the built program. By index of `merges`. */
  land(indexes: readonly number[]): Promise<Map<number, Outcome[]>>;
};

/**
 * Makes the branches of `merges` in `repository`, a queue with a row for every head, and rules that send each to its target. What the
 * program says of a path is its UTF-8 reading, so outcomes are given that way. `settings` is TOML for the head of the configuration.
 */
export async function engineOn(
  home: string,
  dir: string,
  repository: string,
  merges: readonly Merges[],
  settings = "",
): Promise<Engine> {
  mkdirSync(dir, { recursive: true });
  const heads = merges.flatMap((one, index) => one.heads.map((head, nth) => ({ index, nth, head })));
  const refs = [
    ...merges.map((one, index) => `create refs/heads/${targetBranch(index)} ${one.target}\n`),
    ...heads.map(({ index, nth, head }) => `create refs/heads/${headBranch(index, nth)} ${head}\n`),
  ];
  await mustGit(home, repository, ["update-ref", "--stdin"], refs.join(""));
  const rows = heads.map(({ index, nth }) => ({
    spec_path: `/specs/merge-${index}-${nth}.md`,
    project_path: repository,
  }));
  const database = await queueDb(dir, { rows });
  for (const [row, { index, nth }] of heads.entries()) {
    await insert(database, "merge_source", { project_id: row + 1, branch: headBranch(index, nth) });
  }
  const config = join(dir, "config.toml");
  const rules = merges.map(
    (_, index) => `[[rule]]\nmatch = { name = "merge-${index}-*" }\ntarget = "${targetBranch(index)}"\n`,
  );
  writeFileSync(config, settings + rules.join(""));
  return {
    async land(indexes) {
      const ids = heads.flatMap(({ index }, row) => (indexes.includes(index) ? [row + 1] : []));
      const args = ["run", "--json", "--limit", "all", "--db", database, "--config", config, "--only", ids.join(",")];
      const done = await cli(args, { env: { HOME: home } });
      if (done.code !== 0 && done.code !== 4) throw new Error(`run: exit ${done.code}\n${done.stderr.slice(0, 5000)}`);
      const { results } = reportSchema.parse(JSON.parse(done.stdout));
      const commits = results.flatMap(({ mergeCommit }) => (mergeCommit === null ? [] : [mergeCommit]));
      const trees = await mustGit(
        home,
        repository,
        ["cat-file", "--batch-check"],
        commits.map((oid) => `${oid}^{tree}\n`).join(""),
      );
      const treeOf = new Map(trees.split("\n").map((line, nth) => [commits[nth] ?? "", line.split(" ")[0] ?? ""]));
      const outcomes = new Map<number, Outcome[]>(indexes.map((index) => [index, []]));
      for (const result of results.sort((a, b) => a.id - b.id)) {
        const row = heads[result.id - 1];
        if (row === undefined) throw new Error(`no merge of number ${result.id}`);
        outcomes.get(row.index)?.push(outcomeOf(result, row.head, treeOf));
      }
      return outcomes;
    },
  };
}

function outcomeOf(
  result: z.infer<typeof reportSchema>["results"][number],
  head: string,
  treeOf: ReadonlyMap<string, string>,
): Outcome {
  if (result.outcome === "merged") return { kind: "merged", tree: treeOf.get(result.mergeCommit ?? "") ?? "" };
  if (result.outcome === "already_merged") return { kind: "up to date" };
  if (result.reason === "conflict") return { kind: "conflict", paths: bySide(result.conflicts, head) };
  return { kind: "refused", why: `${result.reason}: ${result.detail}` };
}

/**
 * Where the program disagrees with git, in words; none is what is wanted. The same tree, or both conflict in the same paths (as the
 * program shows them: in their UTF-8 reading); where git itself refuses or dies, nothing may have been merged.
 */
export function differences(
  merges: readonly Merges[],
  git: ReadonlyMap<number, readonly Outcome[]>,
  ours: ReadonlyMap<number, readonly Outcome[]>,
): string[] {
  return merges.flatMap(({ target, heads }, index) =>
    heads.flatMap((head, nth) => {
      const [theirs, mine] = [git.get(index)?.[nth], ours.get(index)?.[nth]];
      const agree =
        theirs?.kind === "refused"
          ? mine?.kind === "refused" || mine?.kind === "conflict"
          : theirs !== undefined && isDeepStrictEqual(shown(theirs), mine);
      return agree
        ? []
        : [`${head} into ${target}, number ${nth}: git ${JSON.stringify(theirs)}, ours ${JSON.stringify(mine)}`];
    }),
  );
}

function shown(outcome: Outcome): Outcome {
  return outcome.kind === "conflict"
    ? { kind: "conflict", paths: [...new Set(outcome.paths.map(showPath))].sort() }
    : outcome;
}
