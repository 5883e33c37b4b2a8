import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { engineOn, targetBranch } from "./engine.ts";
import { gitIn, makeHome, mustGit, repositoryOn } from "./git.ts";
import type { Merges, Outcome } from "./oracle.ts";
import { type Material, makeMaterial } from "./suite.ts";

/*
 * What squash and rebase make of a head is what `git merge --squash` and `git rebase` make of it: the same trees, commit by commit, by the
 * same authors at the same times; and where git stops at a conflict, nothing lands.
 */

const wanted = 16;
let material: Material;
let home: string;
let merges: Merges[];

beforeAll(async () => {
  material = await makeMaterial(20_260_504, 70);
  home = makeHome(material.dir);
  merges = [];
  for (const { target, heads } of material.merges) {
    const [head = ""] = heads;
    const range = ["rev-list", "--count", head, `^${target}`];
    const count = Number(await mustGit(home, material.history, range));
    if (count > 0 && count <= 12 && merges.length < wanted) merges.push({ target, heads: [head] });
  }
}, 60_000);
afterAll(() => material.remove());

const lines = (text: string) => text.split("\n").filter((line) => line !== "");
const authors = "--format=%T %an <%ae> %ad";

/** What a branch has more than the target it was: tree, author and date of each commit, oldest first. */
const landed = async (repository: string, index: number) =>
  lines(
    await mustGit(home, repository, ["log", "--reverse", authors, `${merges[index]?.target}..${targetBranch(index)}`]),
  );

async function land(name: string): Promise<{ repository: string; outcomes: Map<number, Outcome[]> }> {
  const repository = await repositoryOn(home, join(material.dir, name), material.history);
  const settings = `[merge]\nstrategy = "${name}"\n`;
  const engine = await engineOn(home, join(material.dir, `${name}-queue`), repository, merges, settings);
  return { repository, outcomes: await engine.land(merges.map((_, index) => index)) };
}

test("a squash is what git merge --squash stages", { timeout: 60_000 }, async () => {
  const { repository, outcomes } = await land("squash");
  const checkout = await repositoryOn(home, join(material.dir, "by-squash"), material.history);
  let clean = 0;
  for (const [index, { target, heads }] of merges.entries()) {
    await mustGit(home, checkout, ["checkout", "-q", "--force", "--detach", target]);
    const done = await gitIn(home, checkout, ["merge", "--squash", "-q", ...heads]);
    const [ours] = outcomes.get(index) ?? [];
    if (done.code !== 0) expect(ours?.kind).toMatch(/conflict|refused/);
    else {
      clean++;
      const tree = await mustGit(home, checkout, ["write-tree"]);
      expect((await landed(repository, index)).map((line) => line.slice(0, 40))).toEqual([tree]);
    }
    await mustGit(home, checkout, ["reset", "-q", "--hard"]);
  }
  expect(clean).toBeGreaterThan(4);
});

test("a rebase is what git rebase makes", { timeout: 60_000 }, async () => {
  const { repository, outcomes } = await land("rebase");
  const checkout = await repositoryOn(home, join(material.dir, "by-rebase"), material.history);
  const args = ["rebase", "-q", "--reapply-cherry-picks", "--empty=drop", "--no-keep-empty"];
  let commits = 0;
  for (const [index, { target, heads }] of merges.entries()) {
    const [head = ""] = heads;
    await mustGit(home, checkout, ["checkout", "-q", "--force", "--detach", head]);
    const done = await gitIn(home, checkout, [...args, target]);
    const [ours] = outcomes.get(index) ?? [];
    const flattened = (await mustGit(home, checkout, ["rev-list", "--merges", head, `^${target}`])) !== "";
    if (done.code !== 0) {
      expect(ours?.kind).toMatch(/conflict|refused/);
      await mustGit(home, checkout, ["rebase", "--abort"]);
    } else if (!flattened || ours?.kind === "merged") {
      const theirs = lines(await mustGit(home, checkout, ["log", "--reverse", authors, `${target}..HEAD`]));
      commits += theirs.length;
      const mine = await landed(repository, index);
      if (theirs.length > 0) expect(mine).toEqual(theirs);
      else expect(mine).toHaveLength(1); // the empty commit that says so
    }
  }
  expect(commits).toBeGreaterThan(8);
});
