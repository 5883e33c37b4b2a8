import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { waitsOver } from "../helpers/landing.ts";
import { judge, look } from "./judge.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import { type Gap, type Point, pointsOf, setAmbush } from "./shim.ts";
import { withSlot } from "./sites.ts";
import { kill, type Slot } from "./slot.ts";
import { haveStrace } from "./strace.ts";
import { freezeAt, inParallel, type Known } from "./sweep.ts";

/*
 * A person who goes on working in the main directory while a landing is in hand. The run is frozen before and after every git process
 * that it starts, and between its two transactions; the person does something; the run goes on, and so do later ones, until all is
 * over. Nothing of the person's may be lost, and the work lands exactly once.
 */

const traceable = haveStrace();
const whole = process.env["ORCHESTRATOR_MERGE_CRASH"] === "whole";
const limit = { timeout: 300_000 };
const [checkedOut, elsewhere] = scenarios;

/**
 * What lies between steps of ours with no git process beginning or ending there: git's last calls of the first transaction and of the
 * second. (The last but one of the former: what is frozen later has told us already, and we go on.)
 */
const inSession: readonly RegExp[] = [/^unlink.*developer\.lock/, /^rmdir.*orchestrator\/pending/];

type Deed = {
  readonly name: string;
  do(slot: Slot): void;
  /** What is wrong right after the run, and at the end of all. */
  wrong(slot: Slot): string[];
  /** What ends a state in which nothing may land, before the last run. */
  end?(slot: Slot): void;
  /** Findings of judge() that come of the deed itself. */
  readonly accepted?: RegExp;
  /** The files of the checkout end as the landing without any deed leaves them. */
  readonly sameFiles: boolean;
};

const pat = ["-c", "user.name=Pat", "-c", "user.email=pat@example.com"];
const unless = (good: boolean, what: string): string[] => (good ? [] : [what]);

const deeds: readonly Deed[] = [
  {
    name: "edits a file that the landing changes",
    do: ({ world }) => world.main.write({ "text.txt": "mine now\n" }),
    wrong: ({ world }) => unless(world.main.read("text.txt") === "mine now\n", "the edit is gone"),
    end: ({ world }) => void world.main.git("checkout", "-q", "--", "text.txt"),
    sameFiles: true,
  },
  {
    name: "makes a file where the landing brings one",
    do: ({ world }) => world.main.write({ "empty.txt": "mine\n" }),
    wrong: ({ world }) => unless(world.main.read("empty.txt") === "mine\n", "the file is gone"),
    end({ world: { main } }) {
      if (main.git("ls-files", "empty.txt") === "") unlinkSync(join(main.path, "empty.txt"));
      else main.git("checkout", "-q", "--", "empty.txt");
    },
    sameFiles: true,
  },
  {
    name: "commits everything",
    do: ({ world }) => void world.main.git(...pat, "commit", "-q", "-a", "-m", "mine"),
    wrong({ world: { main } }) {
      const landed = main.git("log", "--format=%s", "main").includes("Merge integration");
      return [
        ...unless(main.git("log", "--format=%s", "main").includes("mine"), "the commit is not on its branch"),
        ...unless(main.show("edited.txt", "main") === "edited, not staged", "the commit lacks the edit"),
        ...unless(
          !landed || main.show("text.txt", "main")?.startsWith("first\n") === true,
          "the commit undid the work",
        ),
      ];
    },
    accepted: /^(status was|2 commits on the target)/,
    sameFiles: true,
  },
  {
    name: "switches to another branch",
    do: ({ world }) => void world.main.git("checkout", "-q", "-b", "mine"),
    wrong({ world: { main, base } }) {
      const at = main.git("rev-parse", "mine");
      return [
        ...unless(main.git("symbolic-ref", "HEAD") === "refs/heads/mine", "another branch is checked out"),
        ...unless(at === base || at === main.git("rev-parse", "main"), "the other branch was moved"),
      ];
    },
    accepted: /^settings differs in 1: HEAD /,
    sameFiles: false,
  },
  {
    name: "starts a rebase",
    do({ world: { main } }) {
      main.git(...pat, "-c", "sequence.editor=echo break >", "rebase", "-q", "-i", "--autostash", "HEAD");
      if (!existsSync(join(main.path, ".git/rebase-merge"))) throw new Error("the rebase is over already");
    },
    wrong: () => [],
    end: ({ world }) => void world.main.git(...pat, "-c", "core.editor=true", "rebase", "--continue"),
    accepted: /^status was/, // what was staged comes back unstaged from git's own autostash
    sameFiles: true,
  },
  {
    name: "throws away what nothing points at",
    do: ({ world }) => void world.main.git("gc", "--quiet", "--prune=now"),
    wrong: () => [],
    accepted: /^settings differs in 1: info\/refs /, // a list of refs for servers without git
    sameFiles: true,
  },
];

const counts: string[] = [];
afterAll(() => console.log(`a person meanwhile: ${counts.join("; ")}`));

test.runIf(traceable).each(deeds)(
  "between any two steps a person $name: nothing of theirs is lost",
  limit,
  async (deed) => {
    await everywhere(checkedOut, deed);
  },
);

test.runIf(traceable)("a target that is checked out meanwhile is not moved under that checkout", limit, async () => {
  const checkout = (slot: Slot) => join(slot.path, "checkout");
  const wrong = (slot: Slot) => {
    const status = slot.world.main.git("-C", checkout(slot), "status", "--porcelain");
    return unless(status === "", `its files are not its branch's: ${status}`);
  };
  await everywhere(elsewhere, {
    name: "checks the target out",
    do: (slot) => void slot.world.main.git("worktree", "add", "-q", checkout(slot), "main"),
    wrong,
    sameFiles: true,
  });
});

test.runIf(traceable)(
  "an edit while git itself writes the files is git's to lose: it does so by hand too",
  limit,
  async () => {
    if (checkedOut === undefined) throw new Error("no such scenario");
    await withSlot(checkedOut, async (slot) => {
      const { main, lands } = slot.world;
      const log = join(slot.path, "trace");
      const strace = (...rest: string[]) => ["-y", "-o", log, "-e", "trace=write", ...rest];
      const merge = (): string[] => {
        const [head = ""] = lands.get(1) ?? [];
        const tree = main.git("merge-tree", "--write-tree", "main", head);
        const tip = main.git(...pat, "commit-tree", "-p", "main", "-p", head, "-m", "merge", tree);
        return ["git", "-C", main.path, "merge", "-q", "--ff-only", "--no-overwrite-ignore", tip];
      };
      await slot.reset();
      expect(spawnSync("strace", [...strace(), ...merge()]).status).toBe(0);
      const writes = pointsOf("merge", readFileSync(log, "latin1"));
      const nth = writes.find(({ text }) => text.includes("large.bin"))?.nth;
      await slot.reset();
      const child = spawn("strace", [...strace("-e", `inject=write:signal=STOP:when=${nth}`), ...merge()]);
      const over = once(child, "exit");
      while (!existsSync(log) || !readFileSync(log, "latin1").includes("stopped by SIGSTOP")) await sleep(2);
      main.write({ "text.txt": "mine now\n" });
      const [git = ""] = spawnSync("pgrep", ["-P", String(child.pid)], { encoding: "utf8" }).stdout.split("\n");
      kill(Number(git), "SIGCONT");
      expect(await over).toEqual([0, null]);
      expect(main.read("text.txt")).not.toBe("mine now\n");
    });
  },
);

/** Does it at every moment of a scenario. */
async function everywhere(scenario: Scenario | undefined, deed: Deed): Promise<void> {
  if (scenario === undefined) throw new Error("no such scenario");
  let moments: readonly (Gap | Point)[] = [];
  const next = [...Array(2).keys()];
  const outcomes = await inParallel(scenario, next.length, next, async (slot, known, nth) => {
    moments = momentsOf(known);
    const mine = moments.filter((_, index) => index % next.length === nth);
    const bad: string[] = [];
    for (const moment of mine) {
      const wrong = await meanwhile(slot, known, moment, deed);
      if (wrong.length > 0) bad.push(`${JSON.stringify(moment)}\n    ${wrong.join("\n    ")}`);
    }
    return bad;
  });
  const bad = outcomes.flat();
  counts.push(`${deed.name}: ${moments.length} moments, ${bad.length} bad`);
  expect(moments.length).toBeGreaterThan(10);
  expect(bad.join("\n")).toBe("");
}

/** In `npm test`: before each process, and after those that move something. */
function momentsOf({ gaps: all, points }: Known): readonly (Gap | Point)[] {
  const gaps = all.filter(({ when, process }) => whole || when === "before" || /^(merge|update-ref)\./.test(process));
  const found = inSession.map((mark) => points.find((one) => one.process === "update-ref.1" && mark.test(one.text)));
  return [...gaps, ...found.flatMap((point) => point ?? [])];
}

/** What is wrong after one deed at one moment, right away and when all is over. */
async function meanwhile(slot: Slot, known: Known, moment: Gap | Point, deed: Deed): Promise<string[]> {
  await slot.reset();
  const { over } = await freezeAt(slot, moment);
  deed.do(slot);
  await slot.goOn();
  const first = await over;
  const wrong = deed.wrong(slot);
  const runs = [first];
  setAmbush(slot.path, { kind: "none" });
  for (const end of [deed.end, undefined]) {
    await waitsOver(slot.world.db);
    runs.push(await slot.run());
    wrong.push(...(end === undefined ? [] : deed.wrong(slot)));
    end?.(slot);
  }
  if (deed.end === undefined) wrong.push(...deed.wrong(slot));
  const judged = await judge(slot, known.before, await look(slot.world), deed.sameFiles ? known.golden : null);
  wrong.push(...judged.filter((one) => deed.accepted?.test(one) !== true));
  for (const { code, stderr } of runs) if (code !== 0) wrong.push(`a run ended with ${code}: ${stderr}`);
  return wrong.length === 0 ? [] : [...wrong, ...runs.map(({ stdout }) => brief(stdout))];
}

function brief(stdout: string): string {
  const { recovered, results } = JSON.parse(stdout || "{}");
  return JSON.stringify([recovered, results?.map((one: Record<string, unknown>) => [one["outcome"], one["detail"]])]);
}
