import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { outcomeOf, pushOf, queueOf, rowOf, startTick, tick, waitsOver } from "../helpers/landing.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import {
  fingerprint,
  gitWrapper,
  makeRepo,
  type Repo,
  refsOf,
  stopAt,
  withProject,
  withRemote,
} from "../helpers/repo.ts";

/** An environment whose git kills the program that starts it, and itself, at the first command of that name. */
const killAt = (repo: Repo, command: string) =>
  gitWrapper(repo.dir, `if [ "$1" = ${command} ] && mkdir '${repo.dir}/once' 2>/dev/null; then kill -9 $PPID $$; fi`);

async function project() {
  const repo = makeRepo();
  const remote = withRemote(repo);
  const { spec } = withProject(repo, "cart");
  return { repo, remote, db: await queueOf(repo, spec) };
}

/** Landed exactly once, pushed, and nothing of the landing is open anywhere. */
async function isWhole(db: string, repo: Repo, remote: { git(...args: string[]): string }): Promise<void> {
  expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("2");
  expect(repo.git("status", "--porcelain")).toBe("");
  expect(repo.read("cart-developer.txt")).toBe("done\n");
  expect(refsOf(repo, "refs/orchestrator/pending")).toEqual({});
  expect(Object.keys(refsOf(repo, "refs/tags"))).toHaveLength(1);
  expect(Object.keys(refsOf(repo, "refs/heads/backup*"))).toHaveLength(1);
  expect(Object.keys(fingerprint(repo.path)).filter((path) => path.endsWith(".lock"))).toEqual([]);
  expect(remote.git("rev-parse", "main")).toBe(repo.head());
  expect((await outcomeOf(db, 1)).status).toBe("merged");
  expect(await pushOf(db, 1)).toBe("pushed");
  const rows =
    "SELECT (SELECT count(*) FROM merge_landing WHERE state = 'intended') AS open, (SELECT count(*) FROM merge_lease WHERE run_id IS NOT NULL) AS held";
  expect(await sql(db, rows)).toMatchObject([{ open: 0, held: 0 }]);
}

describe("while a run is at work", () => {
  test.each(["merge-tree", "merge", "push"])("anybody may write to the queue, at once (%s)", async (command) => {
    const { repo, remote, db } = await project();
    const { env, reached, go } = stopAt(repo, command);
    const run = startTick(db, env);
    await reached();
    await insertRows(db, [{ spec_path: "/specs/new.md", status: "queued" }]);
    await sql(db, "UPDATE project_queue SET priority = 3 WHERE id = 1");
    await go();
    expect((await run.ended).code).toBe(0);
    await isWhole(db, repo, remote);
  });

  test("another one holds back from that repository, says so with 75, and robs nobody", async () => {
    const { repo, remote, db } = await project();
    const { env, reached, go } = stopAt(repo, "merge");
    const run = startTick(db, env);
    await reached();
    const second = await tick(db);
    expect(second.code).toBe(75);
    expect(second.of(1)).toMatchObject({ outcome: "held", reason: "repository_leased" });
    await go();
    expect((await run.ended).code).toBe(0);
    await isWhole(db, repo, remote);
  });

  test("another one lands what is in other repositories", async () => {
    const { repo, remote, db } = await project();
    const other = makeRepo({ dir: repo.dir, name: "other" });
    const { spec } = withProject(other, "elsewhere");
    const { env, reached, go } = stopAt(repo, "merge");
    const run = startTick(db, env);
    await reached();
    await insertRows(db, [rowOf(other, spec)]);
    const second = await tick(db);
    expect(second.code).toBe(0);
    expect([second.of(1).reason, second.of(2).outcome]).toEqual(["repository_leased", "merged"]);
    await go();
    await run.ended;
    await isWhole(db, repo, remote);
  });

  test("the target moves: the landing is held or planned anew, and never loses the user's commit", async () => {
    const { repo, remote, db } = await project();
    const { env, reached, go } = stopAt(repo, "update-ref");
    const run = startTick(db, env);
    await reached();
    const mine = repo.commit({ "mine.txt": "mine\n" });
    await go();
    expect((await run.ended).code).toBe(0);
    expect(repo.git("merge-base", "--is-ancestor", mine, "main")).toBe("");
    expect(repo.git("status", "--porcelain")).toBe("");
    await waitsOver(db);
    await tick(db);
    expect((await outcomeOf(db, 1)).status).toBe("merged");
    expect(repo.git("log", "--first-parent", "--format=%s", "main").split("\n")).toHaveLength(3);
    expect(remote.git("rev-list", "--count", "main")).toBe("1"); // the user's own is not published for them
  });

  test("the agent commits: what was looked at does not land alone, the next tick lands it all", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const { env, reached, go } = stopAt(repo, "update-ref");
    const run = startTick(db, env);
    await reached();
    const oid = agent.commit({ "more.txt": "more\n" });
    await go();
    expect((await run.ended).code).toBe(0);
    await waitsOver(db);
    await tick(db);
    expect((await outcomeOf(db, 1)).status).toBe("merged");
    expect(repo.git("merge-base", "--is-ancestor", oid, "main")).toBe("");
    expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("2");
  });

  test("the user edits what is about to change, at the last moment: held, and the edit is kept", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "cart.txt": "agent\n" } });
    const db = await queueOf(repo, spec);
    const { env, reached, go } = stopAt(repo, "merge");
    const run = startTick(db, env);
    await reached();
    repo.write({ "cart.txt": "mine\n" });
    await go();
    await run.ended;
    expect(repo.read("cart.txt")).toBe("mine\n");
    expect((await outcomeOf(db, 1)).status).toBe("pending_merge");
    expect(refsOf(repo, "refs/tags", "refs/orchestrator", "refs/heads/backup*")).toEqual({});
  });
});

describe("somebody else changes a row while another repository is pushed", () => {
  /** Two repositories; the run stands in the first one's push, and goes on to the second when `go` is called. */
  async function second(change: (db: string, last: Repo) => unknown) {
    const { repo, db } = await project();
    const [next, last] = [makeRepo({ dir: repo.dir, name: "next" }), makeRepo({ dir: repo.dir, name: "last" })];
    await insertRows(db, [rowOf(next, withProject(next, "next").spec), rowOf(last, withProject(last, "last").spec)]);
    const { env, reached, go } = stopAt(repo, "push");
    const run = startTick(db, env);
    await reached();
    await change(db, last);
    await go();
    expect((await run.ended).code).toBe(0);
    return { next, last, db };
  }

  const wishes: [string, string, string | undefined][] = [
    ["skipped", "UPDATE project_queue SET merged_status = 'skipped' WHERE id = 3", "skipped"],
    [
      "failed",
      "UPDATE project_queue SET merged_status = 'merge_failed', error_message = 'theirs' WHERE id = 3",
      "merge_failed",
    ],
    ["worked on again", "UPDATE project_queue SET status = 'processing' WHERE id = 3", undefined],
    ["completed again", "UPDATE project_queue SET started_at = started_at + 5000 WHERE id = 3", undefined],
    ["deleted", "DELETE FROM project_queue WHERE id = 3", undefined],
  ];
  test.each(wishes)("%s: what they wrote wins, and it does not land", async (_what, statement, status) => {
    const { last, db } = await second((queue) => sql(queue, statement));
    expect(last.git("rev-list", "--count", "main")).toBe("1");
    expect(refsOf(last, "refs/tags", "refs/orchestrator", "refs/heads/backup*")).toEqual({});
    const [row] = await sql(db, "SELECT merged_status, error_message FROM project_queue WHERE id = 3");
    if (status !== undefined) expect(row?.["merged_status"]).toBe(status);
    expect((await outcomeOf(db, 2)).status).toBe("merged");
  });

  test("its repository is gone: that is its own trouble, and the others land", async () => {
    const { next, db } = await second((_queue, last) => renameSync(last.path, `${last.path}.gone`));
    expect(next.git("rev-list", "--count", "--first-parent", "main")).toBe("2");
    expect((await outcomeOf(db, 3)).status).not.toBe("merged");
    const [row] = await sql(db, "SELECT detail FROM merge_project WHERE project_id = 3");
    expect(String(row?.["detail"])).not.toContain("not on PATH");
  });
});

test("a recovery that cannot be written down ends, with its git, and is done by the next run", async () => {
  const { repo, remote, db } = await project();
  const first = startTick(db, killAt(repo, "merge"));
  await first.ended;
  await sql(db, "CREATE TRIGGER no_room BEFORE UPDATE ON merge_landing BEGIN SELECT RAISE(ABORT, 'no room'); END");
  const temporary = join(repo.dir, "tmp");
  mkdirSync(temporary);
  const second = startTick(db, { TMPDIR: temporary });
  expect((await second.ended).code).not.toBe(0);
  expect(readdirSync(temporary)).toEqual([]);
  await sql(db, "DROP TRIGGER no_room");
  await waitsOver(db);
  expect((await tick(db)).code).toBe(0);
  await waitsOver(db);
  await tick(db);
  await isWhole(db, repo, remote);
});

describe("a run that is told to end", () => {
  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)(
    "by %s during the push ends with %i, and the next one completes it and repeats nothing",
    async (signal, code) => {
      const { repo, remote, db } = await project();
      const { env, reached, go } = stopAt(repo, "push");
      const run = startTick(db, env);
      await reached();
      run.child.kill(signal);
      const ended = run.ended;
      void go().catch(() => {}); // its git may be gone already
      expect((await ended).code).toBe(code);
      expect((await outcomeOf(db, 1)).status).toBe("merged");
      await waitsOver(db);
      expect((await tick(db)).report.results).toEqual([]);
      await isWhole(db, repo, remote);
    },
  );

  test.each(["status", "merge-tree", "update-ref", "merge", "push"])(
    "by SIGKILL at git %s is made whole by the next one",
    async (command) => {
      const { repo, remote, db } = await project();
      const run = startTick(db, killAt(repo, command));
      expect((await run.ended).code).toBe(null);
      await waitsOver(db);
      const next = await tick(db);
      expect(next.code).toBe(0);
      await waitsOver(db);
      await tick(db);
      await isWhole(db, repo, remote);
    },
  );
});
