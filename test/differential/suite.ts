import { mkdirSync, mkdtempSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineOn, targetBranch } from "./engine.ts";
import { makeHome, mustGit, repositoryOn } from "./git.ts";
import { fastImport, makeHistory, pickLandings } from "./history.ts";
import { byGit, type Merges, type Outcome } from "./oracle.ts";

/** A bare repository with the made-up history, and what is to be merged in it. */
export type Material = {
  readonly dir: string;
  readonly history: string;
  readonly merges: readonly Merges[];
  remove(): Promise<void>;
};

/** Settings of a user, in `global` for all repositories, in `local` for this one. */
export type Settings = {
  readonly global?: readonly (readonly [key: string, value: string])[];
  readonly local?: readonly (readonly [key: string, value: string])[];
};

/** Makes the history of `seed` and picks `count` merges from it, and one more of a head that shares no history with its target. */
export async function makeMaterial(seed: number, count: number): Promise<Material> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "differential-")));
  const home = makeHome(dir);
  const history = join(dir, "history.git");
  mkdirSync(history);
  const submodule = Array.from({ length: 5 }, (_, n) => String(n + 1).repeat(40));
  const commits = makeHistory(seed, { commits: 600, files: 600, submodule });
  await mustGit(home, history, ["init", "-q", "--bare"]);
  await mustGit(home, history, ["fast-import", "--quiet"], fastImport(commits));
  const refs = await mustGit(home, history, ["for-each-ref", "--format=%(refname) %(objectname)"]);
  const ids = new Map(refs.split("\n").map((line) => [line.split(" ")[0] ?? "", line.split(" ")[1] ?? ""]));
  const id = (number: number) => ids.get(`refs/history/${number}`) ?? "";
  const landings = pickLandings(seed, commits, count);
  const merges = landings.map(({ target, heads }) => ({ target: id(target), heads: heads.map(id) }));
  merges.push({ target: id(commits.length - 1), heads: [ids.get("refs/elsewhere") ?? ""] });
  return { dir, history, merges, remove: () => rm(dir, { recursive: true, force: true }) };
}

/** What git makes of the merges of these indexes: two checkouts at work beside each other. */
export async function oracle(
  material: Material,
  indexes: readonly number[],
  settings: Settings = {},
): Promise<Map<number, Outcome[]>> {
  const dir = mkdtempSync(join(material.dir, "oracle-"));
  const home = makeHome(dir, settings.global);
  const outcomes = new Map<number, Outcome[]>();
  const half = Math.ceil(indexes.length / 2);
  const share = async (some: readonly number[], name: string) => {
    const checkout = await repositoryOn(home, join(dir, name), material.history, settings.local);
    for (const index of some) outcomes.set(index, await byGit(home, checkout, at(material, index)));
  };
  await Promise.all([share(indexes.slice(0, half), "one"), share(indexes.slice(half), "two")]);
  return outcomes;
}

/**
 * What the built program makes of them in one run, the targets checked out nowhere. What is checked out, detached, is a commit whose
 * attributes would have every file merge otherwise.
 */
export async function checkedOutNowhere(
  material: Material,
  indexes: readonly number[],
  settings: Settings = {},
): Promise<Map<number, Outcome[]>> {
  const dir = mkdtempSync(join(material.dir, "nowhere-"));
  const home = makeHome(dir, settings.global);
  const repository = await repositoryOn(home, join(dir, "main"), material.history, settings.local);
  const elsewhere = await mustGit(home, material.history, ["rev-parse", "refs/elsewhere"]);
  await mustGit(home, repository, ["checkout", "-q", "--detach", elsewhere]);
  const engine = await engineOn(home, join(dir, "queue"), repository, material.merges);
  return await engine.land(indexes);
}

/** How many targets one run finds checked out, each in a worktree of its own. */
const worktrees = 16;

/**
 * The same with every target checked out, so that the program brings those working trees forward too. `wrong` tells where one of them
 * does not hold what its branch then holds.
 */
export async function checkedOut(
  material: Material,
  indexes: readonly number[],
  settings: Settings = {},
): Promise<{ outcomes: Map<number, Outcome[]>; wrong: string[] }> {
  const dir = mkdtempSync(join(material.dir, "out-"));
  const home = makeHome(dir, settings.global);
  const repository = await repositoryOn(home, join(dir, "main"), material.history, settings.local);
  const engine = await engineOn(home, join(dir, "queue"), repository, material.merges);
  const trees = Array.from({ length: worktrees }, (_, n) => join(dir, `tree${n}`));
  const first = at(material, indexes[0] ?? 0).target;
  for (const tree of trees) await mustGit(home, repository, ["worktree", "add", "-q", "--detach", tree, first]);
  const outcomes = new Map<number, Outcome[]>();
  const wrong: string[] = [];
  for (let begin = 0; begin < indexes.length; begin += worktrees) {
    const batch = indexes.slice(begin, begin + worktrees).map((index, n) => ({ index, tree: trees[n] ?? "" }));
    for (const { index, tree } of batch) await mustGit(home, tree, ["checkout", "-q", "--force", targetBranch(index)]);
    for (const [index, outcome] of await engine.land(batch.map(({ index }) => index))) outcomes.set(index, outcome);
    for (const { index, tree } of batch) {
      const found = await unlikeItsBranch(home, tree, targetBranch(index));
      if (found !== "") wrong.push(`${targetBranch(index)}: ${found}`);
    }
  }
  return { outcomes, wrong };
}

/** What git finds changed, staged or untracked; empty when the working tree is the branch. */
async function unlikeItsBranch(home: string, tree: string, branch: string): Promise<string> {
  const status = await mustGit(home, tree, [
    "status",
    "--porcelain=v2",
    "--branch",
    "--untracked-files=all",
    "--no-renames",
  ]);
  const [head = "", ...found] = status.split("\n").filter((line) => !line.startsWith("# branch.oid"));
  const strange = found.filter((line) => !line.startsWith("1 .M "));
  // A merge may leave carriage returns in what an attribute calls text; git shows such a file as modified as soon as it is committed.
  const changed =
    strange.length < found.length ? await mustGit(home, tree, ["diff", "--ignore-cr-at-eol", "--no-ext-diff"]) : "";
  return [head === `# branch.head ${branch}` ? "" : head, ...strange, changed]
    .filter((text) => text !== "")
    .join("\n")
    .slice(0, 2000);
}

export function at(material: Material, index: number): Merges {
  const merges = material.merges[index];
  if (merges === undefined) throw new Error(`no merges at ${index}`);
  return merges;
}
