import { expect, test } from "vitest";
import { onQueue, queueOf, tick } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import {
  fingerprint,
  makeRepo,
  type Repo,
  refsOf,
  withProject,
  withRemote,
  writeFiles,
  writeSpec,
} from "../helpers/repo.ts";

/* How the system that this one replaces damaged somebody's data. One test a fault, by its number. */

test("fault 13: work on the target's own branch counts as landed; a stale checkout comes forward only when nobody edited it", async () => {
  const [stale, edited] = [makeRepo(), makeRepo()];
  const db = await queueOf(stale, withProject(stale, "cart", { same: true }).spec);
  expect((await tick(db)).of(1).outcome).toBe("already_merged");
  expect(stale.git("status", "--porcelain")).toBe("");

  const { spec } = withProject(edited, "cart", { same: true });
  edited.write({ "README.md": "mine\n" });
  const before = fingerprint(edited.path);
  expect((await tick(await queueOf(edited, spec))).of(1)).toMatchObject({ outcome: "held", reason: "dirty_target" });
  expect(fingerprint(edited.path)).toEqual(before);
});

test("fault 14: a conflict leaves no merge under way and no marker, in no commit that follows", async () => {
  const repo = makeRepo();
  const remote = withRemote(repo);
  const specs = [
    withProject(repo, "first", { files: { "cart.txt": "agent\n" } }).spec,
    withProject(repo, "second", { files: { "other.txt": "x\n" } }).spec,
  ];
  repo.commit({ "cart.txt": "mine\n" });
  repo.git("push", "-q");
  const done = await tick(await queueOf(repo, ...specs));
  expect([done.of(1).reason, done.of(2).push]).toEqual(["conflict", "pushed"]);
  expect(repo.read("cart.txt")).toBe("mine\n");
  expect(remote.git("log", "-p", "main")).not.toMatch(/<<<<<<<|>>>>>>>/);
  expect(Object.keys(fingerprint(`${repo.path}/.git`))).not.toContain("MERGE_HEAD");
});

/** The agent's work changes `cart.txt` and adds `new.txt`; the user has done `something` in the main directory. */
async function withUser(something: (repo: Repo) => void) {
  const repo = makeRepo();
  repo.commit({ "cart.txt": "old\n", "lines.txt": "1\n2\n3\n" });
  const { spec } = withProject(repo, "cart", { files: { "cart.txt": "agent\n", "new.txt": "agent\n" } });
  something(repo);
  const before = fingerprint(repo.path, (path) => path === ".git/logs");
  const db = await queueOf(repo, spec);
  return { repo, before, result: (await tick(db)).of(1) };
}

test("fault 15: edits in the way hold the project, and are neither stashed nor committed", async () => {
  const { repo, before, result } = await withUser((repo) => repo.write({ "cart.txt": "mine\n" }));
  expect(result).toMatchObject({ outcome: "held", reason: "dirty_target" });
  expect(fingerprint(repo.path, (path) => path === ".git/logs")).toEqual(before);
});

test("fault 16: an untracked file in the way holds the project, and no stash is touched", async () => {
  const { repo, before, result } = await withUser((repo) => {
    repo.write({ "lines.txt": "stashed\n" });
    repo.git("stash", "-q");
    repo.write({ "new.txt": "mine\n" });
  });
  expect(result).toMatchObject({ outcome: "held", reason: "dirty_target" });
  expect(fingerprint(repo.path, (path) => path === ".git/logs")).toEqual(before);
  expect(repo.git("stash", "list")).not.toBe("");
});

test("fault 17: what the user has staged stays staged, and is in no commit", async () => {
  const { repo, result } = await withUser((repo) => {
    repo.write({ "lines.txt": "mine\n", "staged.txt": "mine\n" });
    repo.git("add", "lines.txt", "staged.txt");
  });
  expect(result.outcome).toBe("merged");
  expect(repo.git("diff", "--cached", "--name-status")).toBe("M\tlines.txt\nA\tstaged.txt");
  expect(repo.show("staged.txt", "main")).toBeNull();
});

test("fault 18: tracked files that look like secrets or logs stay tracked", async () => {
  const repo = makeRepo();
  repo.commit({ ".env.example": "KEY=\n", "build.log": "x\n" });
  const { spec } = withProject(repo, "cart");
  expect((await tick(await queueOf(repo, spec))).of(1).outcome).toBe("merged");
  expect(repo.git("ls-tree", "--name-only", "main").split("\n")).toEqual(
    expect.arrayContaining([".env.example", "build.log"]),
  );
});

test("fault 19: .gitignore is the agent's to change, and nobody else's", async () => {
  const repo = makeRepo();
  repo.commit({ ".gitignore": "*.tmp\n" });
  const { spec } = withProject(repo, "cart", { files: { ".gitignore": "*.tmp\n*.bak\n" } });
  expect((await tick(await queueOf(repo, spec))).of(1).outcome).toBe("merged");
  expect(repo.read(".gitignore")).toBe("*.tmp\n*.bak\n");
});

test("fault 20: a project_path inside a repository is its top level, a directory in none is refused, and none is made", async () => {
  const repo = makeRepo();
  repo.commit({ "deep/x.txt": "x\n" });
  writeFiles(repo.dir, { "plain/x.txt": "x\n" });
  const db = await queueOf(
    repo,
    { spec_path: withProject(repo, "cart").spec, project_path: `${repo.path}/deep` },
    { spec_path: writeSpec(repo, "other.md"), project_path: `${repo.dir}/plain` },
  );
  const done = await tick(db);
  expect(done.of(1).outcome).toBe("merged");
  expect(done.of(2)).toMatchObject({ outcome: "merge_failed", reason: "not_a_repository" });
  expect(Object.keys(fingerprint(repo.dir)).filter((path) => /(deep|plain)\/\.git/.test(path))).toEqual([]);
});

test("fault 21: the user's tags and branches are not published", async () => {
  const repo = makeRepo();
  const remote = withRemote(repo);
  repo.git("tag", "private");
  repo.git("branch", "secret");
  const landed = (await tick(await queueOf(repo, withProject(repo, "cart").spec))).of(1);
  expect(Object.keys(refsOf(remote))).toEqual(["refs/heads/main", `refs/tags/${landed.tag}`]);
});

test("fault 22: another run adds nothing; old backups and proofs go, nothing else does", async () => {
  const repo = makeRepo();
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  await tick(db);
  const refs = refsOf(repo);
  await tick(db);
  expect(refsOf(repo)).toEqual(refs);
  for (const [table, column] of [
    ["merge_landing", "closed_at"],
    ["merge_attempt", "finished_at"],
  ])
    await sql(db, `UPDATE ${table} SET ${column} = ${column} - 15 * 86400000`);
  const { spec } = withProject(repo, "next");
  await sql(db, "INSERT INTO project_queue (spec_path, project_path, status) VALUES (?, ?, 'completed')", [
    spec,
    repo.path,
  ]);
  await tick(db);
  const [before, after] = [Object.keys(refs), new Set(Object.keys(refsOf(repo)))];
  const gone = before.filter((ref) => !after.has(ref));
  expect(gone).toHaveLength(2);
  expect(gone.every((ref) => /^refs\/(heads\/backup-before-merge-|orchestrator\/landed\/)/.test(ref))).toBe(true);
});

test("fault 23: two landings in one second have names of their own", async () => {
  const repo = makeRepo();
  const specs = ["a", "b", "c"].map((name) => withProject(repo, name).spec);
  const done = await tick(await queueOf(repo, ...specs));
  const names = [1, 2, 3].flatMap((id) => [done.of(id).tag, done.of(id).backupRef]);
  expect(new Set(names).size).toBe(6);
  expect(Object.keys(refsOf(repo, "refs/tags", "refs/heads/backup*"))).toHaveLength(6);
});

test("fault 24: there is no resolver yet, and a configuration that names one is refused rather than ignored", async () => {
  const repo = makeRepo();
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  const said = await onQueue(db, ["run"], { config: `[resolver]\ncommands = [["true"]]\n` });
  expect(said.code).toBe(2);
  expect(said.stderr).toContain("resolver");
  expect(repo.git("rev-list", "--count", "main")).toBe("1");
});
