import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../helpers/directory.ts";
import { differences, engineOn, targetBranch } from "./engine.ts";
import { makeHome, mustGit } from "./git.ts";
import { byGit, type Merges, type Outcome } from "./oracle.ts";

/*
 * Of two commits of a submodule git takes the one that contains the other, which it can tell only where it finds the submodule's history.
 * What it makes of it in the main directory is what the program must make of it, wherever the target is checked out. (In a linked worktree
 * without the submodule git itself gives up, though the history is there.)
 */

/** A project with a checked-out submodule at its third commit, and branches that move it: forward, further, sideways, back. */
async function project() {
  const dir = temporaryDirectory();
  const home = makeHome(dir);
  const [library, main] = [join(dir, "library"), join(dir, "main")];
  const inLibrary = (...args: string[]) => mustGit(home, library, args);
  const inMain = (...args: string[]) => mustGit(home, main, args);
  for (const each of [library, main]) {
    mkdirSync(each);
    await mustGit(home, each, ["init", "-q", "-b", "main"]);
  }
  for (const name of ["one", "two", "three", "four", "five"]) {
    await inLibrary("commit", "-q", "--allow-empty", "-m", name);
    await inLibrary("branch", name);
  }
  await inLibrary("checkout", "-q", "-b", "sideways", "three");
  await inLibrary("commit", "-q", "--allow-empty", "-m", "sideways");
  await inMain("submodule", "--quiet", "add", library, "vendor/library");
  await inMain("commit", "-q", "-m", "a submodule");
  const at = async (branch: string, from: string, version: string, also = branch) => {
    await inMain("checkout", "-q", "-B", branch, from);
    await mustGit(home, join(main, "vendor/library"), ["checkout", "-q", `origin/${version}`]);
    await inMain("commit", "-q", "--allow-empty", "-a", "-m", also);
  };
  await at("main", "main", "three");
  for (const version of ["four", "five", "sideways", "two"]) await at(version, "main", version);
  // A target whose attributes an earlier head of the chain changes, so that they are read from its tree from then on.
  await inMain("checkout", "-q", "-b", "attributes", "main");
  await mustGit(home, main, [
    "update-index",
    "--add",
    "--cacheinfo",
    `100644,${await blob(home, main)},.gitattributes`,
  ]);
  await inMain("commit", "-q", "-m", "attributes");
  await inMain("reset", "-q", "--hard");
  const id = (branch: string) => inMain("rev-parse", branch);
  const pairs: [target: string, ...heads: string[]][] = [
    ["four", "five"],
    ["five", "four"],
    ["four", "sideways"],
    ["two", "five"],
    ["four", "attributes", "five", "sideways"],
  ];
  const merges: Merges[] = [];
  for (const [target, ...heads] of pairs) {
    merges.push({ target: await id(target), heads: await Promise.all(heads.map(id)) });
  }
  // Other people's branches would hold the heads that bring their commits along.
  await inMain("checkout", "-q", "--detach", "main");
  await inMain("branch", "-q", "-D", "four", "five", "sideways", "two", "attributes");
  return { dir, home, main, merges, all: merges.map((_, index) => index) };
}

const blob = (home: string, main: string) =>
  mustGit(home, main, ["hash-object", "-w", "--stdin"], "*.txt merge=union\n");

test.each([
  { where: "main", clean: 4 },
  { where: "worktrees", clean: 4 },
  { where: "nowhere", clean: 4 },
  { where: "main, the submodule gone", clean: 1 },
])("targets checked out: $where", async ({ where, clean }) => {
  const { dir, home, main, merges, all } = await project();
  if (where.endsWith("gone")) {
    for (const path of [".git/modules", "vendor/library"]) rmSync(join(main, path), { recursive: true });
    mkdirSync(join(main, "vendor/library"));
  }
  const checkout = join(dir, "by-git");
  cpSync(main, checkout, { recursive: true });
  const git = new Map<number, Outcome[]>();
  for (const [index, merge] of merges.entries()) git.set(index, await byGit(home, checkout, merge));
  // What is expected of git itself, or agreeing with it would say little.
  expect([...git.values()].flat().filter(({ kind }) => kind === "merged")).toHaveLength(clean);

  const engine = await engineOn(home, join(dir, "queue"), main, merges);
  const ours = new Map<number, Outcome[]>();
  for (const index of all) {
    const branch = targetBranch(index);
    if (where.startsWith("main")) await mustGit(home, main, ["checkout", "-q", branch]);
    if (where === "worktrees") await mustGit(home, main, ["worktree", "add", "-q", join(dir, branch), branch]);
    for (const [each, outcomes] of await engine.land([index])) ours.set(each, outcomes);
  }
  expect(differences(merges, git, ours)).toEqual([]);
});
