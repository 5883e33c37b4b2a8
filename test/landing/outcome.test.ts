import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { logOf, onQueue, outcomeOf, queueOf, tick } from "../helpers/landing.ts";
import { queueDb, sql, type Variant } from "../helpers/queueDb.ts";
import { makeRepo, withProject, writeSpec } from "../helpers/repo.ts";

describe("the orchestrator's row", () => {
  test("of a merged project has merged_at in unix seconds, as an INTEGER", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const { report } = await tick(db);
    const { status, at, kind, error } = await outcomeOf(db, 1);
    expect({ status, kind, error }).toEqual({ status: "merged", kind: "integer", error: null });
    expect(Number(at)).toBeGreaterThanOrEqual(Math.floor(Date.parse(report.startedAt) / 1000));
    expect(Number(at)).toBeLessThanOrEqual(Date.parse(report.finishedAt) / 1000);
  });

  test("is changed in nothing but merged_status, merged_at and error_message", async () => {
    const repo = makeRepo();
    const specs = [
      withProject(repo, "lands").spec,
      withProject(repo, "conflicts", { files: { "cart.txt": "agent\n" } }).spec,
      withProject(repo, "held").spec,
    ];
    withProject(repo, "other").agent.write({});
    repo.commit({ "cart.txt": "mine\n" });
    const db = await queueOf(repo, ...specs, { spec_path: "/specs/x.md", status: "queued" });
    const others = "SELECT * FROM project_queue ORDER BY id";
    const strip = (rows: Record<string, unknown>[]) =>
      rows.map(({ merged_status, merged_at, error_message, ...rest }) => rest);
    const before = strip((await sql(db, others)).map((row) => ({ ...row })));
    await tick(db);
    expect(strip((await sql(db, others)).map((row) => ({ ...row })))).toEqual(before);
  });

  test("keeps an error_message that is somebody else's, and loses ours once it lands", async () => {
    const repo = makeRepo();
    const [mine, theirs] = [writeSpec(repo, "mine.md"), withProject(repo, "theirs").spec];
    const db = await queueOf(repo, mine, { spec_path: theirs, error_message: "agent 3 timed out once" });
    await tick(db);
    expect((await outcomeOf(db, 1)).error).toMatch(/^Merge failed: no_worktree: /);
    expect(await outcomeOf(db, 2)).toMatchObject({ status: "merged", error: "agent 3 timed out once" });
    withProject(repo, "mine");
    await onQueue(db, ["retry", "1"]);
    await tick(db);
    expect(await outcomeOf(db, 1)).toMatchObject({ status: "merged", error: null });
  });

  test("of a held project stays as it is: NULL stays NULL", async () => {
    const repo = makeRepo();
    const specs = ["a", "b"].map((name) => {
      const { spec, agent } = withProject(repo, name);
      agent.write({ "half.txt": "x\n" });
      return spec;
    });
    const db = await queueOf(repo, ...specs);
    await sql(db, "UPDATE project_queue SET merged_status = NULL, error_message = 'theirs' WHERE id = 2");
    await tick(db);
    expect(await outcomeOf(db, 1)).toMatchObject({ status: "pending_merge", at: null });
    expect(await outcomeOf(db, 2)).toMatchObject({ status: null, at: null, error: "theirs" });
  });

  test("that somebody settles while we land keeps what they wrote, for a failure", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "cart.txt": "agent\n" } });
    repo.commit({ "cart.txt": "mine\n" });
    const db = await queueOf(repo, { spec_path: spec, merged_status: "skipped" });
    expect((await tick(db)).report.results).toEqual([]);
    expect((await outcomeOf(db, 1)).status).toBe("skipped");
  });

  test.each<Variant>(["classic", "lean", "extended", "ignore", "originalMigrated", "minimal"])(
    "is written in a database of the %s layout",
    async (variant) => {
      const repo = makeRepo();
      const [lands, fails] = [withProject(repo, "lands").spec, writeSpec(repo, "fails.md")];
      const path = variant === "minimal" ? {} : { project_path: repo.path };
      const rows = [lands, fails].map((spec_path) => ({ spec_path, ...path }));
      const db = await queueDb(repo.dir, { rows, variant });
      const done = await tick(db);
      const expected = variant === "minimal" ? ["merge_failed", "merge_failed"] : ["merged", "merge_failed"];
      expect([1, 2].map((id) => done.of(id).outcome)).toEqual(expected);
      expect([(await outcomeOf(db, 1)).status, (await outcomeOf(db, 2)).status]).toEqual(expected);
    },
  );
});

describe("the log", () => {
  test("has the phrases that people grep for, and a line an event", async () => {
    const repo = makeRepo();
    const specs = [
      withProject(repo, "lands").spec,
      withProject(repo, "conflicts", { files: { "cart.txt": "agent\n" } }).spec,
      withProject(repo, "none", { files: null }).spec,
    ];
    repo.commit({ "cart.txt": "mine\n" });
    const db = await queueOf(repo, ...specs);
    for (let look = 0; look < 3; look++) await tick(db); // the second sees that the target has moved
    const lines = logOf(db);
    expect(lines).toContainEqual("NOTICE Successfully merged project 1: lands");
    const [attempt] = await sql(db, "SELECT attempt_id, run_id FROM merge_attempt WHERE project_id = 1");
    const ids = `project=1 attempt=${attempt?.["attempt_id"]} run=${attempt?.["run_id"]}`;
    expect(readFileSync(join(dirname(db), "logs", "auto_merge.log"), "utf8")).toContain(`project 1: lands ${ids}\n`);
    expect(lines).toContainEqual(
      expect.stringMatching(/^ERROR +Failed to merge project 2: conflict: developer conflicts/),
    );
    expect(lines).toContainEqual(expect.stringMatching(/^INFO +Already merged project 3: none$/));
    expect(lines).toContainEqual(expect.stringMatching(/^INFO +Merge summary: 2 succeeded, 1 failed$/));
    expect(lines.at(-1)).toMatch(/^INFO +No projects pending merge$/);
  });

  test("says no project is pending on an empty queue", async () => {
    const db = await queueDb(makeRepo().dir, {});
    const said = await onQueue(db, ["run"]);
    expect(said.code).toBe(0);
    expect(said.stderr).toContain("No projects pending merge");
  });

  test("goes to stderr as well, and stdout has the result alone", async () => {
    const repo = makeRepo();
    const db = await queueOf(repo, withProject(repo, "cart").spec);
    const said = await onQueue(db, ["run"]);
    expect(said.stderr).toContain("Successfully merged project 1: cart");
    expect(said.stdout).not.toContain("Successfully merged");
    expect(said.stdout).toMatch(/cart → main [0-9a-f]{10} integration-\d{8}-\d{6}-p1, push none/);
  });
});

describe("the exit code", () => {
  test("is 0 when nothing was to do, 4 when something newly failed, 0 when the same fails on", async () => {
    const repo = makeRepo();
    const db = await queueOf(repo, writeSpec(repo, "cart.md"));
    expect((await tick(db)).code).toBe(4);
    expect((await tick(db)).code).toBe(0);
    expect((await tick(db, ["--only", "1"])).code).toBe(0);
  });

  test("is 4 when one of many failed, and 0 when all are held", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "held");
    agent.write({ "half.txt": "x\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).code).toBe(0);
    await sql(db, "UPDATE project_queue SET project_path = '/nowhere'");
    expect((await tick(db)).code).toBe(4);
  });
});
