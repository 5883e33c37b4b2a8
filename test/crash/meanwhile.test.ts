import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { waitsOver } from "../helpers/landing.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import { setAmbush } from "./shim.ts";
import { makeSlot, type Slot } from "./slot.ts";
import { haveStrace } from "./strace.ts";
import { freezeAt, type Known, undisturbed } from "./sweep.ts";

/*
 * A person who goes on working in the main directory while a landing is in hand: the run is frozen between two of its steps, the person
 * does something, the run goes on. Nothing of theirs may be lost, whatever becomes of the landing.
 */

const [checkedOut, elsewhere] = scenarios;
const traceable = haveStrace();
const limit = { timeout: 120_000 };

type Moment = { readonly name: string; readonly process: string; readonly mark: RegExp };

/** git's last call but the one that tells us: what is frozen later tells us first, and we go on. */
const afterT1: Moment = { name: "the first transaction", process: "update-ref.1", mark: /^unlink.*developer\.lock/ };

/** Between two steps, and within the one that takes longest, git's own fast-forward. */
const moments: readonly Moment[] = [
  { name: "the merge in memory", process: "merge-tree.1", mark: /^(link|rename|write)\(/ },
  afterT1,
  { name: "half of the files", process: "merge.1", mark: /^write.*large\.bin/ },
  { name: "the index", process: "merge.1", mark: /^rename.*index\.lock/ },
  { name: "the branch", process: "merge.1", mark: /^unlink.*\/HEAD\.lock/ },
];

type Deed = {
  readonly name: string;
  /** What the person does; throws where their git refuses, because ours holds a lock. */
  do(slot: Slot): void;
  /** What must be true of it afterwards. */
  kept(slot: Slot): void;
  /** Not in the middle of git's own fast-forward: there a `git merge` by hand is no better. */
  readonly notWithin?: readonly string[];
};

const pat = ["-c", "user.name=Pat", "-c", "user.email=pat@example.com"];

const deeds: readonly Deed[] = [
  {
    name: "edits a file that the landing changes",
    do: ({ world }) => world.main.write({ "text.txt": "mine now\n" }),
    kept: ({ world }) => expect(world.main.read("text.txt")).toBe("mine now\n"),
    notWithin: ["half of the files"],
  },
  {
    name: "makes a file where the landing brings one",
    do: ({ world }) => world.main.write({ "nämë with space.txt": "mine\n" }),
    kept: ({ world }) => expect(world.main.read("nämë with space.txt")).toBe("mine\n"),
    notWithin: ["half of the files"],
  },
  {
    name: "commits",
    do({ world: { main } }) {
      main.git(...pat, "commit", "-q", "-m", "mine", "--only", "edited.txt");
    },
    kept({ world: { main } }) {
      expect(main.git("log", "--all", "--format=%s")).toContain("mine");
      expect(main.show("edited.txt", "main")).toBe("edited, not staged");
    },
  },
  {
    name: "switches to another branch",
    do: ({ world }) => void world.main.git("checkout", "-q", "-b", "mine"),
    kept({ world: { main, base } }) {
      expect(main.git("symbolic-ref", "HEAD")).toBe("refs/heads/mine");
      const landed = main.git("log", "--format=%s", "-1", "mine").startsWith("Merge integration");
      expect(main.git("rev-parse", "mine")).toBe(landed ? main.git("rev-parse", "main") : base);
    },
    notWithin: ["the index"],
  },
  {
    name: "throws away what nothing points at",
    do: ({ world }) => void world.main.git("gc", "--quiet", "--prune=now"),
    kept: () => {},
  },
];

const slots = new Map<Scenario, { slot: Slot; known: Known }>();
afterAll(() => {
  for (const { slot } of slots.values()) slot.remove();
});

async function slotOf(scenario: Scenario | undefined): Promise<{ slot: Slot; known: Known }> {
  if (scenario === undefined) throw new Error("no such scenario");
  const made = slots.get(scenario);
  if (made !== undefined) return made;
  const slot = await makeSlot(scenario);
  const both = { slot, known: await undisturbed(slot) };
  slots.set(scenario, both);
  return both;
}

describe.runIf(traceable).each(moments)("after $name, a person", (moment) => {
  const possible = deeds.filter(({ notWithin }) => notWithin?.includes(moment.name) !== true);
  test.each(possible)("$name", limit, async (deed) => {
    const { slot, known } = await slotOf(checkedOut);
    await frozen(slot, known, moment, deed);
    await laterAllIsWell(slot);
  });
});

test.runIf(traceable)(
  "a target that is checked out at the last moment is not moved under that checkout",
  limit,
  async () => {
    const { slot, known } = await slotOf(elsewhere);
    const { main } = slot.world;
    const checkout = join(slot.path, "checkout");
    const deed: Deed = {
      name: "checks the target out",
      do: () => void main.git("worktree", "add", "-q", checkout, "main"),
      kept: () => expect(main.git("-C", checkout, "status", "--porcelain")).toBe(""),
    };
    await frozen(slot, known, afterT1, deed);
    await laterAllIsWell(slot);
    deed.kept(slot);
  },
);

/** Freezes a run at a moment, lets the person act, and the run go on to its end; what the person did must be there. */
async function frozen(slot: Slot, known: Known, moment: Moment, deed: Deed): Promise<void> {
  const point = known.points.find((one) => one.process === moment.process && moment.mark.test(one.text));
  if (point === undefined) throw new Error(`${moment.process} makes no call like ${moment.mark}`);
  await slot.reset();
  const running = await freezeAt(slot, point);
  let done = true;
  try {
    deed.do(slot);
  } catch {
    done = false; // their git met a lock of ours and refused: nothing happened
  }
  await slot.goOn();
  await running.over;
  if (done) deed.kept(slot);
  expect(slot.world.main.git("fsck", "--no-dangling", "--no-progress")).toBe("");
}

/** Time passes, runs come: nothing of the landing is half done, and the user's other files are as they were. */
async function laterAllIsWell(slot: Slot): Promise<void> {
  const { main, db } = slot.world;
  setAmbush(slot.path, { kind: "none" });
  for (let run = 0; run < 2; run++) {
    await waitsOver(db);
    const { code, stderr } = await slot.run();
    expect([code, stderr]).toEqual([0, stderr]);
  }
  const refs = main.git("for-each-ref", "--format=%(refname)", "refs/orchestrator/pending");
  expect(refs).toBe("");
  const landed = main.git("log", "--first-parent", "--format=%s", "main").includes("Merge integration");
  const backups = main.git("for-each-ref", "--format=%(refname)", "refs/heads/backup-before-merge-*").split("\n");
  expect(backups.filter((name) => name !== "").length).toBe(landed ? 1 : 0);
  expect(main.read(".env")).toBe("SECRET=1\n");
  expect(main.read("untracked.txt")).toBe("untracked\n");
  expect(main.read("half.txt")).toBe("the other half\n");
  expect(main.git("diff", "--cached", "--name-only", "--", "staged.txt", "staged-new.txt")).not.toBe("");
  expect(readFileSync(join(main.path, "large.bin")).length).toBe(Number(main.git("cat-file", "-s", "HEAD:large.bin")));
}
