import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { onQueue, queueOf, tick } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import {
  colleague,
  gitWrapper,
  makeRepo,
  type Repo,
  withClone,
  withProject,
  withRemote,
  withWorktree,
  writeSpec,
} from "../helpers/repo.ts";

/** An environment whose git writes down its first argument, one line a start, and what was started so far. */
function counting(repo: Repo) {
  const file = join(repo.dir, "starts");
  const starts = () => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []);
  return { env: gitWrapper(repo.dir, `echo "$1" >> '${file}'`), starts };
}

describe("git processes", () => {
  test("one project with one worktree and a bare remote takes at most eight, and the push", async () => {
    const repo = makeRepo();
    withRemote(repo);
    const { spec } = withProject(repo, "cart");
    const { env, starts } = counting(repo);
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], { env })).of(1).push).toBe("pushed");
    expect(starts().filter((name) => name === "push")).toHaveLength(1);
    expect(starts().filter((name) => name !== "push").length).toBeLessThanOrEqual(8);
  });

  test("are all counted in what run says of itself", async () => {
    const repo = makeRepo();
    withRemote(repo);
    const { spec } = withProject(repo, "cart", { files: { "a.txt": "x\n", "CLAUDE.md": "x\n" } });
    withWorktree(repo, spec, { role: "tester" });
    const { env, starts } = counting(repo);
    const db = await queueOf(repo, spec);
    const said = await onQueue(db, ["run"], { env });
    expect(said.stdout).toContain(`${starts().length} git processes`);
  });

  test("ten projects of one repository take one more each", async () => {
    const cost = async (count: number) => {
      const repo = makeRepo();
      withRemote(repo);
      const specs = Array.from({ length: count }, (_, index) => withProject(repo, `p${index}`).spec);
      const { env, starts } = counting(repo);
      const db = await queueOf(repo, ...specs);
      expect((await tick(db, ["--limit", "all"], { env })).report.summary.merged).toBe(count);
      return starts().length;
    };
    expect((await cost(12)) - (await cost(2))).toBeLessThanOrEqual(10);
  });

  test("a tick with nothing to do starts none", async () => {
    const repo = makeRepo();
    withRemote(repo);
    const db = await queueOf(repo, withProject(repo, "cart").spec, { spec_path: "/specs/x.md", status: "processing" });
    await tick(db);
    const { env, starts } = counting(repo);
    for (const args of [[], ["--dry-run"]]) expect((await tick(db, args, { env })).report.results).toEqual([]);
    expect((await onQueue(db, ["run", "--only", "1"], { env })).code).toBe(5);
    expect(starts()).toEqual([]);
  });

  test("at one moment are few, however many repositories there are", async () => {
    const repos = Array.from({ length: 6 }, () => makeRepo());
    const [first] = repos as [Repo];
    const rows = repos.map((repo) => {
      withRemote(repo);
      return { spec_path: withProject(repo, "cart").spec, project_path: repo.path };
    });
    // Each push counts its brothers: itself, the refs of its repository, and what the next repository needs.
    const counts = join(first.dir, "counts");
    const env = gitWrapper(first.dir, `[ "$1" = push ] && cat /proc/$PPID/task/*/children | wc -w >> '${counts}'`);
    const db = await queueOf(first, ...rows);
    await tick(db, ["--limit", "all"], { env });
    const most = readFileSync(counts, "utf8").trim().split("\n").map(Number);
    expect(most).toHaveLength(repos.length);
    expect(Math.max(...most)).toBeLessThanOrEqual(4);
  });

  test("of the next repository do not wait for a push that takes its time", async () => {
    const [slow, next] = [makeRepo(), makeRepo()];
    const rows = [slow, next].map((repo) => {
      withRemote(repo);
      return { spec_path: withProject(repo, "cart").spec, project_path: repo.path };
    });
    const landed = join(next.path, ".git", "refs", "tags");
    const wait = `i=0; until ls '${landed}' | grep -q integration-; do i=$((i+1)); [ $i -gt 3000 ] && exit 1; sleep 0.01; done`;
    const env = gitWrapper(slow.dir, `[ "$1" = push ] && case "$*" in *"${slow.dir}"*) ${wait};; esac`);
    const db = await queueOf(slow, ...rows);
    const done = await tick(db, [], { env });
    expect([done.of(1).push, done.of(2).push]).toEqual(["pushed", "pushed"]);
  });

  test("failed and rolled back work that only waits for a person starts none", async () => {
    const repo = makeRepo();
    const db = await queueOf(repo, writeSpec(repo, "gone.md"), withProject(repo, "b").spec);
    await sql(db, "UPDATE project_queue SET merged_status = 'rolled_back' WHERE id = 2");
    await tick(db);
    const { env, starts } = counting(repo);
    await tick(db, [], { env });
    expect(starts()).toEqual([]);
  });

  test("on a host without stdbuf the same lands", async () => {
    const repo = makeRepo();
    const specs = ["a", "b", "c"].map((name) => withProject(repo, name).spec);
    const db = await queueOf(repo, ...specs, withProject(repo, "d", { files: { "cart.txt": "x\n" } }).spec);
    repo.commit({ "cart.txt": "mine\n" });
    const bare = gitWrapper(repo.dir, ":").PATH.split(":")[0] ?? "";
    const done = await tick(db, [], { env: { PATH: bare } });
    expect(done.report.summary).toEqual({ merged: 3, alreadyMerged: 0, failed: 1, held: 0 });
  });

  test("without git there is one sentence, and nothing is called merged", async () => {
    const repo = makeRepo();
    const db = await queueOf(repo, withProject(repo, "cart").spec);
    const said = await onQueue(db, ["run"], { env: { PATH: join(repo.dir, "empty") } });
    expect(said.code).toBe(2);
    expect(said.stderr).toMatch(/^error: git is not on PATH[^\n]*\n +Install git 2\.38 or newer/);
    const [row] = await sql(db, "SELECT merged_status FROM project_queue");
    expect(row?.["merged_status"]).toBe("pending_merge");
  });
});

describe("nothing temporary is left behind", () => {
  const outcomes: [string, (repo: Repo) => void, string][] = [
    ["landing", () => {}, "merged"],
    ["a conflict", (repo) => repo.commit({ "a.txt": "mine\n" }), "merge_failed"],
    ["a hold", (repo) => repo.write({ "a.txt": "mine\n" }), "held"],
  ];
  test.each(outcomes)("by %s", async (_what, prepare, outcome) => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart", { files: { "a.txt": "a\n", "CLAUDE.md": "x\n" } });
    const clone = writeSpec(repo, "clone.md");
    withClone(repo, clone);
    const other = colleague(remote);
    other.commit({ "theirs.txt": "x\n" });
    other.git("push", "-q");
    prepare(repo);
    const temporary = join(repo.dir, "tmp");
    mkdirSync(temporary);
    const db = await queueOf(repo, spec, clone);
    expect((await tick(db, [], { env: { TMPDIR: temporary } })).of(1).outcome).toBe(outcome);
    expect(readdirSync(temporary)).toEqual([]);
    const left = repo.git("for-each-ref", "--format=%(refname)", "refs/orchestrator", "refs/remotes").split("\n");
    expect(
      left.filter((ref) => !/^refs\/(orchestrator\/landed\/|remotes\/origin\/main$)/.test(ref) && ref !== ""),
    ).toEqual([]);
    expect(readdirSync(join(repo.path, ".git")).filter((name) => /lock|tmp|FETCH_HEAD/.test(name))).toEqual([]);
  });
});
