import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { startTick } from "../../src/app/start.ts";
import { defaults } from "../../src/host/config.ts";
import { openQueue } from "../../src/queue/database.ts";
import { onQueue, queueOf, rowOf, tick } from "../helpers/landing.ts";
import { insert } from "../helpers/memory.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import { gitWrapper, isThere, makeRepo, type Repo, withProject, withWorktree, writeSpec } from "../helpers/repo.ts";

const names = ["a", "b", "c", "d", "e", "f", "g"];

/** A queue of `count` finished projects; those in `dirty` have uncommitted work. */
async function many(count: number, dirty: readonly number[] = []): Promise<{ repo: Repo; db: string }> {
  const repo = makeRepo();
  const specs = names.slice(0, count).map((name, index) => {
    const { spec, agent } = withProject(repo, name);
    if (dirty.includes(index + 1)) agent.write({ "half.txt": "x\n" });
    return spec;
  });
  return { repo, db: await queueOf(repo, ...specs) };
}

const merged = (done: Awaited<ReturnType<typeof tick>>) =>
  done.report.results.filter(({ outcome }) => outcome === "merged").map(({ id }) => id);

describe("run takes", () => {
  test("five projects a tick, in order, and the rest on the next", async () => {
    const { db } = await many(7);
    expect(merged(await tick(db))).toEqual([1, 2, 3, 4, 5]);
    expect(merged(await tick(db))).toEqual([6, 7]);
  });

  test("so many as --limit or batch_size says", async () => {
    const { db } = await many(6);
    expect(merged(await tick(db, ["--limit", "1"]))).toEqual([1]);
    expect(merged(await tick(db, [], { config: "[run]\nbatch_size = 2\n" }))).toEqual([2, 3]);
    expect(merged(await tick(db, ["--limit", "all"]))).toEqual([4, 5, 6]);
  });

  test.each([
    ["--limit", "0"],
    ["--limit", "x"],
    ["--limit", "-1"],
    ["--only", "x"],
    ["--max-runtime", "soon"],
  ])("no %s %s: exit 2, and nothing happens", async (flag, value) => {
    const { repo, db } = await many(1);
    const said = await onQueue(db, ["run", flag, value]);
    expect(said.code).toBe(2);
    expect(said.stderr).toContain(flag);
    expect(repo.git("rev-list", "--count", "main")).toBe("1");
  });

  test("high priority first, then the oldest completion", async () => {
    const repo = makeRepo();
    const specs = names.slice(0, 4).map((name) => withProject(repo, name).spec);
    const rows = [
      { priority: 0, completed_at: 400 },
      { priority: 5, completed_at: 300 },
      { priority: 5, completed_at: 100 },
      { priority: 0, completed_at: 200 },
    ];
    const db = await queueOf(repo, ...specs.map((spec_path, index) => ({ spec_path, ...rows[index] })));
    expect(merged(await tick(db))).toEqual([3, 2, 4, 1]);
  });

  test("held projects do not use up the batch, and are reported", async () => {
    const { db } = await many(6, [1, 2, 3]);
    const done = await tick(db, ["--limit", "2"]);
    expect(merged(done)).toEqual([4, 5]);
    expect(done.report.summary).toEqual({ merged: 2, alreadyMerged: 0, failed: 0, held: 3 });
    expect([1, 2, 3].map((id) => done.of(id).reason)).toEqual(["dirty_source", "dirty_source", "dirty_source"]);
  });

  test("projects that hold back do not use up the batch either", async () => {
    const { db } = await many(3);
    const row = {
      state: "held",
      reason: "repository_busy",
      since: 1,
      failures: 3,
      next_attempt_at: Date.now() + 43_200_000,
    };
    const [queued] = await sql(db, "SELECT spec_path, started_at, completed_at FROM project_queue WHERE id = 1");
    const generation = JSON.stringify([queued?.["spec_path"], queued?.["started_at"], queued?.["completed_at"]]);
    await insert(db, "merge_project", { project_id: 1, generation, recorded_status: "pending_merge", ...row });
    expect(merged(await tick(db, ["--limit", "2"]))).toEqual([2, 3]);
    expect((await tick(db)).report.results).toEqual([]);
    expect(merged(await tick(db, ["--only", "1"]))).toEqual([1]);
  });

  test("--only these, several by commas or by repetition, whatever the rest waits for", async () => {
    const { repo, db } = await many(5);
    expect(merged(await tick(db, ["--only", "4,2"]))).toEqual([2, 4]);
    expect(merged(await tick(db, ["--only", "5", "--only", "1"]))).toEqual([1, 5]);
    expect(repo.show("c-developer.txt", "main")).toBeNull();
  });

  test("--only a failed one at once, though nothing has moved", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "cart.txt": "agent\n" } });
    repo.commit({ "cart.txt": "mine\n" });
    const db = await queueOf(repo, spec);
    await tick(db);
    expect((await tick(db)).report.results).toEqual([]);
    expect((await tick(db, ["--only", "1"])).of(1).reason).toBe("conflict");
  });

  test("second looks at failures within a quota of their own, beside the batch", async () => {
    const repo = makeRepo();
    const specs = names.slice(0, 4).map((name) => withProject(repo, name, { files: { "cart.txt": `${name}\n` } }).spec);
    repo.commit({ "cart.txt": "mine\n" });
    const db = await queueOf(repo, ...specs);
    expect((await tick(db)).report.summary.failed).toBe(4);
    repo.commit({ "other.txt": "moved\n" });
    await insertRows(
      db,
      [withProject(repo, "new"), withProject(repo, "newer")].map(({ spec }) => rowOf(repo, spec)),
    );
    const done = await tick(db, ["--limit", "2"]);
    expect(merged(done)).toEqual([5, 6]);
    expect(done.report.results.filter(({ outcome }) => outcome === "merge_failed").map(({ id }) => id)).toEqual([1, 2]);
  });

  test("nothing new once --max-runtime is over", async () => {
    const { repo, db } = await many(2);
    const done = await tick(db, ["--max-runtime", "1ms"]);
    expect(done.code).toBe(0);
    expect(repo.git("status", "--porcelain")).toBe("");
    expect(merged(await tick(db)).length + merged(done).length).toBe(2);
  });

  test("what it had looked at and did not come to in its time is in the results, and lands at the next run", async () => {
    const [one, two] = [makeRepo(), makeRepo()];
    const db = await queueOf(one, withProject(one, "first").spec, rowOf(two, withProject(two, "second").spec));
    const queue = await openQueue({ location: db, mode: "write" });
    onTestFinished(() => queue.close());
    const quiet = () => {};
    let late = 0;
    const steps: string[] = [];
    const world = {
      ...{ queue, config: defaults, dryRun: false, signal: new AbortController().signal },
      log: { error: quiet, warn: quiet, notice: quiet, info: quiet, debug: quiet },
      env: { HOME: "/nonexistent", PATH: process.env["PATH"] },
      now: () => Date.now() + late,
      progress(step: string) {
        steps.push(step);
        if (step.startsWith("landing ")) late = defaults.run.maxRuntimeMs;
      },
    };
    const { results, cutShort } = await startTick(world, { limit: 5, only: null });
    expect(cutShort).toBe(true);
    expect(results).toMatchObject([
      { id: 1, outcome: "merged" },
      {
        id: 2,
        outcome: "held",
        reason: null,
        detail: expect.stringContaining("time was up"),
        heads: [{ role: "developer" }],
      },
    ]);
    // What a person at a terminal was shown meanwhile: which project, which step, how many of how many.
    expect(steps).toEqual(
      expect.arrayContaining([
        ...["looking at first", "looking at second"],
        ...["merging first · repository 1 of 2", "landing first in main · repository 1 of 2"],
      ]),
    );
    expect(await sql(db, "SELECT * FROM merge_attempt WHERE project_id = 2")).toEqual([]);
    expect(merged(await tick(db))).toEqual([2]);
  });

  test("--only with nothing left to do for a project: exit 5, and why", async () => {
    const repo = makeRepo();
    const db = await queueOf(repo, ...["a", "b", "c"].map((name) => withProject(repo, name).spec), "/nowhere/d.md");
    expect(merged(await tick(db))).toEqual([1, 2, 3]);
    await sql(db, "UPDATE project_queue SET status = 'processing' WHERE id = 2");
    await sql(db, "UPDATE project_queue SET merged_status = 'skipped' WHERE id = 3");
    for (const [id, sentence] of [
      [1, "project 1 is merged: there is nothing left to land."],
      [2, "project 2 is processing, not completed"],
      [3, "project 3 is skipped"],
      [9, "there is no project 9."],
    ] as const) {
      const said = await onQueue(db, ["run", "--only", `${id}`]);
      expect(said).toMatchObject({ code: 5, stdout: "", stderr: expect.stringContaining(sentence) });
    }
    expect((await onQueue(db, ["run", "--only", "4"])).stderr).toContain("waits for: orchestrator-merge retry 4");
    // A push that is owed is something to do.
    await sql(db, "UPDATE merge_attempt SET push = 'pending' WHERE project_id = 1");
    expect((await onQueue(db, ["run", "--only", "1"])).code).toBe(0);
  });

  test("a project that no rule wants to be skipped", async () => {
    const { db } = await many(2);
    const config = `[[rule]]\nmatch = { name = "a" }\naction = "skip"\n`;
    const done = await tick(db, [], { config });
    expect(done.of(1)).toMatchObject({ outcome: "held", reason: "excluded" });
    expect(done.of(2).outcome).toBe("merged");
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });
});

describe("what backs off", () => {
  test("is transient trouble, longer each time; a hold is looked at every tick", async () => {
    const { repo, db } = await many(1);
    const config = repo.read(".git/config") ?? "";
    const waits: number[] = [];
    for (let nth = 1; nth <= 3; nth++) {
      repo.write({ ".git/config": "[core\n" });
      expect((await tick(db)).of(1).reason).toBe("repository_busy");
      expect((await tick(db)).report.results).toEqual([]);
      const [row] = await sql(db, "SELECT failures, next_attempt_at FROM merge_project");
      const [attempt] = await sql(db, "SELECT max(finished_at) AS at FROM merge_attempt");
      expect(row?.["failures"]).toBe(nth);
      waits.push(Number(row?.["next_attempt_at"]) - Number(attempt?.["at"]));
      await sql(db, "UPDATE merge_project SET next_attempt_at = NULL");
    }
    expect(waits[1]).toBeGreaterThan(Number(waits[0]));
    repo.write({ ".git/config": config });
    expect(merged(await tick(db))).toEqual([1]);
  });

  test("starts anew once it has been well in between", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const config = repo.read(".git/config") ?? "";
    repo.write({ ".git/config": "[core\n" });
    await tick(db);
    await sql(db, "UPDATE merge_project SET next_attempt_at = NULL");
    repo.write({ ".git/config": config });
    agent.write({ "half.txt": "x\n" });
    await tick(db);
    const [row] = await sql(db, "SELECT reason, failures, next_attempt_at FROM merge_project");
    expect(row).toMatchObject({ reason: "dirty_source", failures: 0, next_attempt_at: null });
  });

  test("a git that hangs is ended at its limit, with all that it started, and the project is no success", async () => {
    const { repo, db } = await many(1);
    const env = gitWrapper(
      repo.dir,
      `case " $* " in *" merge-tree "*) sleep 300 & echo $! > '${repo.dir}/pid'; wait;; esac`,
    );
    const done = await tick(db, [], { env, config: `[run]\nmerge_timeout = "1s"\n` });
    expect(done.of(1)).toMatchObject({ outcome: "merge_failed", reason: "timeout" });
    expect(isRunning(Number(readFileSync(join(repo.dir, "pid"), "utf8")))).toBe(false);
  });
});

/** A zombie that nobody has waited for yet runs no more. */
function isRunning(pid: number): boolean {
  if (!isThere(`/proc/${pid}/stat`)) return false;
  return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

test("several heads of one project count as one place", async () => {
  const repo = makeRepo();
  const spec = writeSpec(repo, "team.md");
  for (const role of ["developer", "tester", "pm"]) withWorktree(repo, spec, { role });
  const db = await queueOf(repo, spec, withProject(repo, "b").spec, withProject(repo, "c").spec);
  expect(merged(await tick(db, ["--limit", "2"]))).toEqual([1, 2]);
});
