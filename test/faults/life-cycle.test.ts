import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { logOf, onQueue, outcomeOf, pushOf, queueOf, startTick, tick, waitsOver } from "../helpers/landing.ts";
import { insertRows, queueDb, sql } from "../helpers/queueDb.ts";
import {
  gitWrapper,
  isThere,
  makeRepo,
  refsOf,
  stopAt,
  withClone,
  withProject,
  withRemote,
  withWorktree,
  writeSpec,
} from "../helpers/repo.ts";

/* Locks, the database and the life of a run: what the system that this one replaces got wrong. One test a fault, by its number. */

test("fault 25: a living run is not robbed, a dead one is replaced at once", async () => {
  const repo = makeRepo();
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  const { env, reached, go } = stopAt(repo, "merge");
  const run = startTick(db, env);
  await reached();
  const second = await tick(db);
  expect([second.code, second.of(1).reason]).toEqual([75, "repository_leased"]);
  run.child.kill("SIGKILL");
  await run.ended;
  void go().catch(() => {});
  expect((await tick(db)).code).toBe(0);
  expect((await outcomeOf(db, 1)).status).toBe("merged");
  expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("2");
});

test("fault 26: during a push anybody may write to the queue, at once", async () => {
  const repo = makeRepo();
  withRemote(repo);
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  const { env, reached, go } = stopAt(repo, "push");
  const run = startTick(db, env);
  await reached();
  await insertRows(db, [{ spec_path: "/specs/new.md", status: "queued" }]);
  await go();
  expect((await run.ended).code).toBe(0);
  expect(await pushOf(db, 1)).toBe("pushed");
});

test("fault 27: ended during the push, the next run reads git, completes, and repeats nothing", async () => {
  const repo = makeRepo();
  const remote = withRemote(repo);
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  const { env, reached, go } = stopAt(repo, "push");
  const run = startTick(db, env);
  await reached();
  run.child.kill("SIGTERM");
  expect((await run.ended).code).toBe(143);
  void go().catch(() => {});
  expect((await outcomeOf(db, 1)).status).toBe("merged");
  await waitsOver(db);
  await tick(db);
  expect([await pushOf(db, 1), remote.git("rev-parse", "main")]).toEqual(["pushed", repo.head()]);
  expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("2");
  expect(await sql(db, "SELECT 1 FROM merge_lease WHERE run_id IS NOT NULL")).toEqual([]);
});

test("fault 28: at its limit a git is ended with all that it started, before anything is written down", async () => {
  const repo = makeRepo();
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  const pid = join(repo.dir, "pid");
  const env = gitWrapper(repo.dir, `case " $* " in *" merge-tree "*) sleep 300 & echo $! > '${pid}'; wait;; esac`);
  const done = await tick(db, [], { env, config: `[run]\nmerge_timeout = "1s"\n` });
  expect(done.of(1)).toMatchObject({ outcome: "merge_failed", reason: "timeout" });
  const stat = `/proc/${readFileSync(pid, "utf8").trim()}/stat`;
  expect(!isThere(stat) || readFileSync(stat, "utf8").includes(") Z ")).toBe(true);
  expect(repo.git("rev-list", "--count", "main")).toBe("1");
});

test.each(["the agent", "the target"])(
  "fault 29: a conflict lands by itself once %s has moved, and not before",
  async (who) => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "cart.txt": "agent\n" } });
    repo.commit({ "cart.txt": "mine\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).reason).toBe("conflict");
    expect((await tick(db)).report.results).toEqual([]);
    (who === "the agent" ? agent : repo).commit({ "cart.txt": who === "the agent" ? "mine\n" : "agent\n" });
    expect((await tick(db)).of(1).outcome).toBe("merged");
  },
);

test("fault 30: a completion without a time hinders nobody and goes last", async () => {
  const repo = makeRepo();
  const [unknown, known] = [withProject(repo, "unknown").spec, withProject(repo, "known").spec];
  const db = await queueOf(repo, { spec_path: unknown, completed_at: null }, known);
  expect((await tick(db)).report.summary.merged).toBe(2);
  expect(repo.git("log", "--first-parent", "--format=%s", "main").split("\n")[0]).toContain("unknown");
});

test("fault 31: COMPLETED is completed", async () => {
  const repo = makeRepo();
  const db = await queueOf(repo, { spec_path: withProject(repo, "cart").spec, status: "COMPLETED" });
  expect((await tick(db)).of(1).outcome).toBe("merged");
});

test("fault 32: an unmigrated database is exit 3 with the command to run, which helps", async () => {
  const repo = makeRepo();
  const { spec } = withProject(repo, "cart");
  const rows = [{ spec_path: spec, project_path: repo.path }];
  const db = await queueDb(repo.dir, { migrated: false, rows });
  const said = await onQueue(db, ["run"]);
  expect(said.code).toBe(3);
  const [, command = ""] = said.stderr.match(/Run: orchestrator-merge (\w+) --db/) ?? [];
  expect((await onQueue(db, [command])).code).toBe(0);
  expect((await tick(db)).of(1).outcome).toBe("merged");
});

test("fault 33: reason, detail and what git said are kept with the attempt", async () => {
  const repo = makeRepo();
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  const env = gitWrapper(repo.dir, `[ "$1" = merge-tree ] && { echo fatal: the disk is on fire >&2; exit 128; }`);
  const { reason, detail } = (await tick(db, [], { env })).of(1);
  expect(detail).toContain("the disk is on fire");
  const [row] = await sql(db, "SELECT reason, detail, output FROM merge_attempt");
  expect(row).toMatchObject({ reason, detail, output: expect.stringContaining("fatal: the disk is on fire") });
});

test("fault 34: a gate sees the merged tree, so that a project whose main directory is still empty lands", async () => {
  const repo = makeRepo({ files: { "README.md": "# nothing yet\n" } });
  const db = await queueOf(
    repo,
    withProject(repo, "cart", { files: { Makefile: "check:\n\ttest -f Makefile\n" } }).spec,
  );
  const done = await tick(db, [], { config: `[gate]\ncommand = ["make", "check"]\n` });
  expect(done.of(1).outcome).toBe("merged");
});

test("fault 35: what a tick costs depends on what waits, not on what has landed", async () => {
  const cost = async (history: number) => {
    const repo = makeRepo();
    const starts = join(repo.dir, "starts");
    const env = gitWrapper(repo.dir, `echo "$1" >> '${starts}'`);
    const past = Array.from({ length: history }, (_, n) => ({
      spec_path: `/specs/old_${n}.md`,
      merged_status: "merged",
    }));
    const db = await queueOf(repo, withProject(repo, "cart").spec, ...past);
    expect((await tick(db, [], { env })).report.results).toHaveLength(1);
    return readFileSync(starts, "utf8");
  };
  expect(await cost(200)).toBe(await cost(0));
});

test("fault 36: 4 when something failed, 0 when nothing was to do, and the log is kept and rotated", async () => {
  const repo = makeRepo();
  const db = await queueOf(repo, writeSpec(repo, "cart.md"));
  const config = `[log]\nmax_size = "1KB"\n`;
  expect((await tick(db, [], { config })).code).toBe(4);
  expect((await tick(db, [], { config })).code).toBe(0);
  expect(logOf(db)).toContainEqual(expect.stringContaining("Failed to merge project 1: no_worktree"));
  for (let n = 0; n < 30; n++) await tick(db, [], { config });
  const logs = readdirSync(join(repo.dir, "logs"));
  expect(logs.length).toBeGreaterThan(1);
  for (const log of logs) expect(statSync(join(repo.dir, "logs", log)).size).toBeLessThan(2048);
});

test("fault 37: the units name no home, and neither starts nor stops the other", () => {
  for (const kind of ["service", "timer"]) {
    const file = new URL(`../../systemd/tmux-orchestrator-auto-merge.${kind}`, import.meta.url);
    const unit = readFileSync(file, "utf8").replaceAll(/^#.*\n/gm, "");
    expect(unit).not.toMatch(/\/home\/|\/root\/|network|Requires=|BindsTo=|PartOf=/);
  }
});

test("fault 38: with all agents at work the target receives the merges, and the main directory stays where it was", async () => {
  const repo = makeRepo();
  const spec = writeSpec(repo, "cart.md");
  withWorktree(repo, spec, { role: "developer" });
  withClone(repo, spec, { role: "tester" });
  const db = await queueOf(repo, spec);
  expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", target: "main" });
  expect(repo.git("symbolic-ref", "HEAD")).toBe("refs/heads/main");
  const branches = Object.keys(refsOf(repo, "refs/heads")).filter((ref) => !ref.includes("backup"));
  expect(branches).toEqual(["refs/heads/cart/developer", "refs/heads/main"]);
});
