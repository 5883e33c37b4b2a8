import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MergeResult, openMerger } from "../../src/git/merge.ts";
import type { GitContext } from "../../src/git/process.ts";
import { makeScratch, removeScratch } from "../../src/git/scratch.ts";
import { readSnapshot } from "../../src/git/snapshot.ts";
import { copyAttributes } from "../../src/git/trees.ts";
import { differences } from "./engine.ts";
import { makeHome, mustGit } from "./git.ts";
import { bySide, type Outcome } from "./oracle.ts";
import { at, checkedOut, checkedOutNowhere, type Material, makeMaterial, oracle, type Settings } from "./suite.ts";

/*
 * Merges taken from a generated history (renames, directory renames, modes, binaries, criss-cross, line endings, merge attributes that
 * change on the way, submodules, links, awkward names, files that become directories), done by `git merge --no-ff` in a checkout and by
 * the built program. Not one may differ. ORCHESTRATOR_MERGE_DIFFERENTIAL sets how many, ORCHESTRATOR_MERGE_SEED another history.
 */
const count = Number(process.env["ORCHESTRATOR_MERGE_DIFFERENTIAL"] ?? 210);
const seed = Number(process.env["ORCHESTRATOR_MERGE_SEED"] ?? 3);
const minutes = (n: number) => n * 60_000 * Math.max(1, count / 210);

let material: Material;
let git: Map<number, Outcome[]>;
let all: number[];
const tally: string[] = [];

beforeAll(async () => {
  material = await makeMaterial(seed, count);
  all = material.merges.map((_, index) => index);
  git = await oracle(material, all);
}, minutes(5));

afterAll(async () => {
  console.log(`differential, seed ${seed}: ${tally.join("; ")}`);
  await material.remove();
}, minutes(3));

/** Says in one line what was compared, and gives what differed. */
function compare(
  what: string,
  theirs: ReadonlyMap<number, readonly Outcome[]>,
  ours: ReadonlyMap<number, readonly Outcome[]>,
) {
  const outcomes = [...theirs.values()].flat();
  const clean = outcomes.filter(({ kind }) => kind === "merged").length;
  const found = differences(
    material.merges.filter((_, index) => theirs.has(index)),
    inOrder(theirs),
    inOrder(ours),
  );
  tally.push(`${what}: ${outcomes.length} merges (${clean} clean), ${found.length} differ`);
  return found;
}

const inOrder = <T>(some: ReadonlyMap<number, T>) =>
  new Map([...some].sort(([a], [b]) => a - b).map(([, value], nth) => [nth, value]));

describe("as git merge does it", () => {
  test("the history is worth it: both clean merges and conflicts, and git could say in nearly all", () => {
    const kinds = [...git.values()].flat().map(({ kind }) => kind);
    const number = (kind: string) => kinds.filter((one) => one === kind).length;
    expect(kinds.length).toBe(count + 1);
    expect(number("merged")).toBeGreaterThan(count * 0.3);
    expect(number("conflict")).toBeGreaterThan(count * 0.3);
    // One is the head without a common history; git itself dies of some double renames.
    expect(number("refused")).toBeLessThanOrEqual(1 + Math.ceil(count / 50));
  });

  test("targets checked out nowhere", { timeout: minutes(3) }, async () => {
    expect(compare("checked out nowhere", git, await checkedOutNowhere(material, all))).toEqual([]);
  });

  test("targets checked out, which then hold what was merged", { timeout: minutes(4) }, async () => {
    const { outcomes, wrong } = await checkedOut(material, all);
    expect(compare("checked out", git, outcomes)).toEqual([]);
    expect(wrong).toEqual([]);
  });

  const ways: { name: string; settings: Settings; out?: boolean }[] = [
    { name: "merge.renames=false for the user", settings: { global: [["merge.renames", "false"]] } },
    { name: "merge.conflictStyle=diff3 for the user", settings: { global: [["merge.conflictStyle", "diff3"]] } },
    { name: "merge.directoryRenames=true here", settings: { local: [["merge.directoryRenames", "true"]] } },
    { name: "merge.renormalize=true here", settings: { local: [["merge.renormalize", "true"]] } },
    { name: "merge.default=union here", settings: { local: [["merge.default", "union"]] } },
    { name: "core.attributesFile here", settings: { local: [["core.attributesFile", "~/attributes"]] } },
    { name: "core.autocrlf=true here", settings: { local: [["core.autocrlf", "true"]] }, out: true },
  ];
  test.each(ways)("with $name", { timeout: minutes(2) }, async ({ name, settings, out }) => {
    // Every sixth, so that each way sees the whole length of the history.
    const some = all.filter((index) => index % 6 === 1).slice(0, 16);
    const theirs = await oracle(material, some, settings);
    const ours =
      out === true
        ? (await checkedOut(material, some, settings)).outcomes
        : await checkedOutNowhere(material, some, settings);
    expect(compare(name, theirs, ours)).toEqual([]);
  });
});

describe("the comparison can fail", () => {
  test("canary: attributes from anywhere but the target make other trees", { timeout: minutes(2) }, async () => {
    const right = await inMemory("target");
    const wrong = await inMemory("nowhere");
    const first = new Map([...git].map(([index, outcomes]) => [index, outcomes.slice(0, 1)]));
    const firsts = material.merges.map(({ target, heads }) => ({ target, heads: heads.slice(0, 1) }));
    expect(differences(firsts, first, right)).toEqual([]);
    expect(differences(firsts, first, wrong).length).toBeGreaterThan(count / 50);
  });

  test("canary: one tree, or one path, that is not git's is told", () => {
    const merges = [{ target: "t", heads: ["a", "b"] }];
    const theirs = new Map<number, Outcome[]>([
      [
        0,
        [
          { kind: "merged", tree: "1" },
          { kind: "conflict", paths: ["p", "q"] },
        ],
      ],
    ]);
    const ours = (...outcomes: Outcome[]) => differences(merges, theirs, new Map([[0, outcomes]])).length;
    expect(ours({ kind: "merged", tree: "1" }, { kind: "conflict", paths: ["p", "q"] })).toBe(0);
    expect(ours({ kind: "merged", tree: "2" }, { kind: "conflict", paths: ["p"] })).toBe(2);
    expect(ours({ kind: "up to date" }, { kind: "merged", tree: "1" })).toBe(2);
    expect(ours()).toBe(2);
  });
});

/** The first head of every target merged by the engine's own merger, with the target's attributes or with none. */
async function inMemory(attributes: "target" | "nowhere"): Promise<Map<number, Outcome[]>> {
  const home = makeHome(mkdtempSync(join(material.dir, "memory-")));
  const context: GitContext = {
    env: { PATH: process.env["PATH"], HOME: home },
    runId: "differential",
    timeoutMs: 60_000,
    signal: new AbortController().signal,
    cwd: home,
    count: { processes: 0 },
  };
  const snapshot = await readSnapshot(context, { commonDir: material.history, topLevel: null });
  if ("transcript" in snapshot) throw new Error(snapshot.transcript);
  const scratch = makeScratch(snapshot, false);
  const outcomes = new Map<number, Outcome[]>();
  try {
    for (const index of all) {
      const {
        target,
        heads: [head = ""],
      } = at(material, index);
      const dir = mkdtempSync(join(scratch.cwd, "attributes-"));
      const tree = await mustGit(home, material.history, ["rev-parse", `${target}^{tree}`]);
      if (attributes === "target") expect(await copyAttributes(context, scratch, tree, dir)).toBeNull();
      const merger = openMerger(context, scratch, dir, 1);
      outcomes.set(index, [outcomeOf(await merger.merge(target, head), head)]);
      await merger.close();
    }
  } finally {
    removeScratch(scratch);
  }
  return outcomes;
}

function outcomeOf(result: MergeResult, head: string): Outcome {
  switch (result.kind) {
    case "clean":
      return { kind: "merged", tree: result.tree };
    case "conflict":
      return {
        kind: "conflict",
        paths: bySide(
          result.paths.map((path) => Buffer.from(path, "latin1").toString()),
          head,
        ),
      };
    case "unrelated":
      return { kind: "refused", why: "unrelated" };
    case "failed":
      return { kind: "refused", why: result.result.stderr };
  }
}
