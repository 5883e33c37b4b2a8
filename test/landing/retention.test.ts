import { describe, expect, test } from "vitest";
import { logOf, onQueue, queueOf, rowOf, type Settings, tick } from "../helpers/landing.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import { makeRepo, type Repo, refsOf, withProject, withRemote, withWorktree, writeSpec } from "../helpers/repo.ts";

const backups = "refs/heads/backup-before-merge-*";
const proofs = "refs/orchestrator/landed";

/** Makes everything that has landed so far older, as the passing of days would. */
async function age(db: string, days: number): Promise<void> {
  await sql(db, "UPDATE merge_landing SET closed_at = closed_at - ?", [days * 86_400_000]);
  await sql(db, "UPDATE merge_attempt SET finished_at = finished_at - ?", [days * 86_400_000]);
}

let more = 0;

/** A tick that has something to do: one more project lands in the repository. Gives the refs of ours that are not its own. */
async function busyTick(repo: Repo, db: string, settings: Settings = {}): Promise<string[]> {
  const { spec } = withProject(repo, `more${more++}`);
  const [id = 0] = await insertRows(db, [rowOf(repo, spec)]);
  const before = Object.keys(refsOf(repo, backups, proofs));
  expect((await tick(db, [], settings)).of(id).outcome).toBe("merged");
  const after = new Set(Object.keys(refsOf(repo, backups, proofs)));
  expect(after.size).toBeGreaterThan(0);
  return before.filter((ref) => after.has(ref));
}

/** A repository in which one project landed. */
async function landed(repo: Repo = makeRepo()): Promise<{ repo: Repo; db: string; backup: string; proof: string }> {
  const { spec } = withProject(repo, "cart");
  const db = await queueOf(repo, spec);
  const backup = (await tick(db)).of(1).backupRef ?? "";
  const proof = Object.keys(refsOf(repo, proofs))[0] ?? "";
  return { repo, db, backup, proof };
}

describe("what a landing left behind, after [backup] keep,", () => {
  test("is removed at the end of a tick that has something to do, and the tag stays", async () => {
    const { repo, db } = await landed();
    const tags = repo.git("tag");
    await age(db, 15);
    expect(await busyTick(repo, db)).toEqual([]);
    expect(repo.git("tag").split("\n")).toContain(tags);
    expect(logOf(db).filter((line) => line.includes("Removed 1 backup branch and 1 proof of landings"))).toHaveLength(
      1,
    );
    expect(repo.git("fsck", "--no-dangling")).toBe("");
  });

  test("is named no more by status", async () => {
    const { repo, db, backup } = await landed();
    const named = async () => JSON.parse((await onQueue(db, ["status", "--id", "1", "--json"])).stdout);
    expect((await named()).projects[0].backupRef).toBe(backup);
    await age(db, 15);
    await busyTick(repo, db);
    expect((await named()).projects[0].backupRef).toBeNull();
  });

  test("stays until then: 14 days, or what is configured", async () => {
    const { repo, db, backup, proof } = await landed();
    await age(db, 13);
    expect(await busyTick(repo, db)).toEqual([backup, proof]);
    const kept = await busyTick(repo, db, { config: '[backup]\nkeep = "12d"\n' });
    expect(kept).not.toContain(backup);
    expect(kept).not.toContain(proof);
    expect(kept).toHaveLength(2);
  });

  test("stays as long as the ticks are idle or dry", async () => {
    const { repo, db, backup, proof } = await landed();
    await age(db, 15);
    expect((await tick(db)).report.results).toEqual([]);
    const { spec } = withProject(repo, "dry");
    await insertRows(db, [rowOf(repo, spec)]);
    await tick(db, ["--dry-run"]);
    expect(Object.keys(refsOf(repo, backups, proofs))).toEqual([backup, proof]);
  });

  test("of a project with several agents goes whole", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "team.md");
    for (const role of ["developer", "tester", "orchestrator"]) withWorktree(repo, spec, { role });
    const db = await queueOf(repo, spec);
    await tick(db);
    expect(Object.keys(refsOf(repo, proofs))).toHaveLength(3);
    await age(db, 15);
    expect(await busyTick(repo, db)).toEqual([]);
  });

  test("is not missed when what landed then is reverted and gone on with", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "team.md");
    const [developer, tester] = ["developer", "tester"].map((role) => withWorktree(repo, spec, { role }));
    const db = await queueOf(repo, spec);
    const { tag } = (await tick(db)).of(1);
    const merge = repo.head();
    await age(db, 15);
    expect(await busyTick(repo, db)).toEqual([]);
    repo.git("tag", "-d", tag ?? ""); // it bears this very second, which the landing to come may fall into
    for (const commit of [merge, `${merge}^1`]) repo.git("revert", "--no-edit", "-m", "1", commit);
    developer?.commit({ "later.txt": "x\n" });
    tester?.commit({ "tests.txt": "x\n" });
    await onQueue(db, ["retry", "1"]);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    const files = ["team-developer.txt", "team-tester.txt", "later.txt", "tests.txt"];
    expect(files.filter((file) => repo.read(file) === null)).toEqual([]);
  });

  test("of several rows that landed together goes when none of them needs it", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const twin = writeSpec(repo, "twin.md");
    repo.git("branch", "twin", agent.head());
    const db = await queueOf(repo, spec, twin);
    await sql(db, "INSERT INTO merge_source (project_id, branch) VALUES (2, 'twin')");
    const done = await tick(db);
    const { backupRef } = done.of(1);
    expect(done.of(2)).toMatchObject({ outcome: "merged", backupRef });
    await age(db, 15);
    await sql(db, "UPDATE project_queue SET merged_status = 'rolled_back' WHERE id = 2");
    expect(await busyTick(repo, db)).toContain(backupRef);
    await sql(db, "UPDATE project_queue SET merged_status = 'merged' WHERE id = 2");
    expect(await busyTick(repo, db)).not.toContain(backupRef);
    expect(await sql(db, "SELECT 1 FROM merge_attempt WHERE backup_ref = ?", [backupRef])).toEqual([]);
  });
});

describe("a ref is left alone", () => {
  test("that is of our shape and not ours", async () => {
    const { repo, db, backup } = await landed();
    const users = ["refs/heads/backup-before-merge-20200101-000000-p1", `${proofs}/01ARZ3NDEKTSV4RRFFQ69G5FAV`];
    for (const ref of [...users, `${backup}-mine`]) repo.git("update-ref", ref, "HEAD~1");
    await age(db, 15);
    expect(await busyTick(repo, db)).toEqual([users[0], `${backup}-mine`, users[1]].sort());
  });

  test("that somebody has moved, and only that one", async () => {
    const { repo, db, backup } = await landed();
    repo.git("update-ref", backup, "HEAD");
    await age(db, 15);
    expect(await busyTick(repo, db)).toEqual([backup]);
    const next = await landed();
    next.repo.git("update-ref", next.proof, "HEAD~1");
    await age(next.db, 15);
    expect(await busyTick(next.repo, next.db)).toEqual([next.proof]);
  });

  test("that a worktree has checked out, or that a person has given settings", async () => {
    const { repo, db, backup } = await landed();
    const short = backup.replace("refs/heads/", "");
    repo.git("worktree", "add", "-q", `${repo.dir}/look`, short);
    await age(db, 15);
    expect(await busyTick(repo, db)).toEqual([backup]);
    repo.git("worktree", "remove", `${repo.dir}/look`);
    repo.git("config", `branch.${short}.description`, "the good old days");
    expect(await busyTick(repo, db)).toContain(backup);
    repo.git("config", "--unset", `branch.${short}.description`);
    expect(await busyTick(repo, db)).not.toContain(backup);
  });

  test("whose commit the target does not contain", async () => {
    const { repo, db, backup, proof } = await landed();
    repo.git("reset", "-q", "--hard", "HEAD~1");
    await age(db, 15);
    const kept = await busyTick(repo, db);
    expect(kept).toContain(proof);
    expect(kept).not.toContain(backup);
    const next = await landed();
    next.repo.git("checkout", "-q", "--orphan", "other");
    next.repo.commit({ "new.txt": "x\n" });
    next.repo.git("checkout", "-q", "-B", "main");
    await age(next.db, 15);
    expect(await busyTick(next.repo, next.db)).toEqual([next.backup, next.proof]);
  });

  test("whose target is gone", async () => {
    const { repo, db, backup, proof } = await landed();
    repo.git("branch", "-m", "main", "trunk");
    await age(db, 15);
    expect(await busyTick(repo, db, { config: `[merge]\ntarget = "trunk"\n` })).toEqual([backup, proof]);
  });

  test("while a push of it is owed", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    repo.git("remote", "set-url", "origin", `${remote.path}-away`);
    const { db, backup, proof } = await landed(repo);
    await age(db, 15);
    expect(await busyTick(repo, db)).toEqual([backup, proof]);
    repo.git("remote", "set-url", "origin", remote.path);
    const kept = await busyTick(repo, db);
    expect(kept).not.toContain(backup);
    expect(kept).not.toContain(proof);
  });

  test("that tells our unpublished commits from other people's", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { db, backup, proof } = await landed(repo);
    // Somebody has put the remote back, and the user has fetched. Then the user's own commit: the push is withheld.
    remote.git("update-ref", "refs/heads/main", repo.git("rev-parse", "main~1"));
    repo.git("fetch", "-q");
    repo.commit({ "own.txt": "own\n" });
    await age(db, 15);
    const kept = await busyTick(repo, db);
    expect(kept).toContain(proof);
    expect(kept).not.toContain(backup);
  });

  test.each([
    ["project_queue", "merged_status"],
    ["merge_project", "state"],
  ])("while its project is rolled back, as %s says", async (table, column) => {
    const { repo, db, backup, proof } = await landed();
    await sql(db, `UPDATE ${table} SET ${column} = 'rolled_back'`);
    await age(db, 15);
    expect(await busyTick(repo, db)).toEqual([backup, proof]);
  });
});

test("while nothing is old it costs no git process", async () => {
  const costOf = async (tidy: boolean) => {
    const { repo, db } = await landed();
    if (tidy) for (const ref of Object.keys(refsOf(repo, backups, proofs))) repo.git("update-ref", "-d", ref);
    const { spec } = withProject(repo, "next");
    await insertRows(db, [rowOf(repo, spec)]);
    return Number((await onQueue(db, ["run"])).stdout.match(/, (\d+) git processes\)/)?.[1]);
  };
  const [kept, none] = [await costOf(false), await costOf(true)];
  expect(none).toBeGreaterThan(0);
  expect(kept).toBe(none);
});

test("one tick removes at most 200 refs, and the next goes on", async () => {
  const { repo, db, backup } = await landed();
  const oid = repo.git("rev-parse", backup);
  const made = Array.from({ length: 250 }, (_, n) => ({
    ref: `refs/heads/backup-before-merge-20200101-${String(n).padStart(6, "0")}-p1`,
    oid,
  }));
  for (const { ref } of made) repo.git("update-ref", ref, oid);
  const [row] = await sql(db, "SELECT plan_json FROM merge_landing");
  const plan = JSON.parse(String(row?.["plan_json"]));
  plan.refs.backups.push(...made);
  await sql(db, "UPDATE merge_landing SET plan_json = ?", [JSON.stringify(plan)]);
  await age(db, 15);
  expect(await busyTick(repo, db)).toHaveLength(252 - 200);
  const kept = await busyTick(repo, db);
  expect(kept).toHaveLength(2); // those of the tick before
});
