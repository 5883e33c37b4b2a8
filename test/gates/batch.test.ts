import { expect, test } from "vitest";
import { makeRepo } from "../helpers/repo.ts";
import { gate, world } from "./world.ts";

/* Gates that several projects share, asked about all of them at once. */

const batch = 'mode = "batch"\n[run]\nbatch_size = 20';
const names = (n: number) => [..."abcdefgh"].slice(0, n);

test("eight that pass: one run for all of them", async () => {
  const repo = makeRepo({ files: { "start.md": "x\n" } });
  const w = await world(repo, names(8));
  const done = await w.run([], gate(repo, "exit 0", batch));
  expect(done.report.summary).toMatchObject({ merged: 8 });
  expect(w.runs()).toEqual(["1,2,3,4,5,6,7,8 a.txt b.txt c.txt d.txt e.txt f.txt g.txt h.txt"]);
  expect(await w.gatesOf(3)).toMatchObject([{ verdict: "pass", remembered: false }]);
});

test("one of eight is at fault: found by three more runs, the target unmoved till then; the rest lands in the same run", async () => {
  const repo = makeRepo({ files: { "start.md": "x\n" } });
  const w = await world(repo, names(8));
  const start = repo.head();
  const script = `git -C ${repo.path} rev-parse main >> ${repo.dir}/targets; test ! -f e.txt || { echo no e please; exit 1; }`;
  const done = await w.run([], gate(repo, script, batch));
  expect(done.report.summary).toMatchObject({ merged: 7, failed: 1 });
  expect(done.of(5)).toMatchObject({ outcome: "merge_failed", reason: "gate_failed" });
  expect(done.of(5).detail).toMatch(/fails \(exit 1\): no e please$/);
  const prefix = (n: number) =>
    `${names(n).map((_, i) => i + 1)} ${names(n)
      .map((name) => `${name}.txt`)
      .join(" ")}`;
  expect(w.runs()).toEqual([
    prefix(8),
    ...[prefix(4), prefix(6), prefix(5)],
    "5 e.txt", // alone: whether it is at fault by itself
    "1,2,3,4,6,7,8 a.txt b.txt c.txt d.txt f.txt g.txt h.txt",
  ]);
  expect(new Set((repo.read("../targets") ?? "").trim().split("\n"))).toEqual(new Set([start]));
  expect(repo.show("e.txt")).toBeNull();
  expect(repo.git("status", "--porcelain")).toBe("");
  // Its conviction knows all that spoke against it, so that a retry asks again.
  expect((await w.gatesOf(5)).filter(({ verdict }) => verdict === "fail")).toHaveLength(4);
  await w.command("retry", "5");
  const before = w.runs().length;
  expect((await w.run()).of(5).reason).toBe("gate_failed");
  expect(w.runs().length - before).toBe(1); // the target without it is known to pass
});

test("a and c pass, a and c together fail: named as that, and only the later one is out", async () => {
  const repo = makeRepo({ files: { "start.md": "x\n" } });
  const w = await world(repo, names(4));
  const done = await w.run([], gate(repo, "test -f a.txt && test -f c.txt && exit 1; exit 0", batch));
  expect([1, 2, 3, 4].map((id) => done.of(id).outcome)).toEqual(["merged", "merged", "merge_failed", "merged"]);
  expect(done.of(3).detail).toContain("it passes alone, and fails together with 1 a, 2 b");
});

test("two are at fault, and one has a gate of its own", async () => {
  const repo = makeRepo({ files: { "start.md": "x\n" } });
  const w = await world(repo, names(5));
  const own = `[[rule]]\nmatch = { name = "d" }\ngate = { command = ["sh", "-c", "echo own $ORCHESTRATOR_MERGE_PROJECT >> ${repo.dir}/runs"] }`;
  const done = await w.run([], gate(repo, "test ! -f b.txt && test ! -f e.txt", `${batch}\n${own}`));
  expect([1, 2, 3, 4, 5].map((id) => done.of(id).outcome)).toEqual([
    ...["merged", "merge_failed", "merged", "merged", "merge_failed"],
  ]);
  // Asked by itself, and again when b is out and its tree another.
  expect(w.runs().filter((line) => line.startsWith("own"))).toEqual(["own 4", "own 4"]);
});

test("the target itself fails: it is tried once, after the first, and nobody is blamed", async () => {
  const repo = makeRepo({ files: { "broken.md": "x\n" } });
  const w = await world(repo, names(3));
  const config = gate(repo, "test ! -f broken.md", batch);
  const done = await w.run([], config);
  expect([1, 2, 3].map((id) => done.of(id).reason)).toEqual(Array(3).fill("blocked_by_dependency"));
  expect(w.runs().filter((line) => !line.includes("txt"))).toHaveLength(1);
  const { length } = w.runs();
  await w.run();
  expect(w.runs()).toHaveLength(length);
});

test("a limit that fits a run only once: each run asks once, all come to an end, and what passes lands at once", async () => {
  const repo = makeRepo({ files: { "start.md": "x\n" } });
  const w = await world(repo, names(4));
  const time = `timeout = "59999ms"\nmode = "batch"\n[run]\nmax_runtime = "60s"`;
  const config = gate(repo, "test ! -f c.txt", time);
  const outcomes: string[] = [];
  for (let run = 1; run <= 4; run++) {
    const { results } = (await w.run([], config)).report;
    outcomes.push(results.map(({ id, outcome }) => `${id} ${outcome}`).join(", "));
    expect(w.runs()).toHaveLength(run);
  }
  expect(outcomes).toEqual([
    "1 held, 2 held, 3 held, 4 held",
    "1 merged, 2 merged, 3 held, 4 held",
    "3 merge_failed, 4 held",
    "4 merged",
  ]);
});
