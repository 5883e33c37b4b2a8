import { join } from "node:path";
import { expect, test } from "vitest";
import { onQueue, outcomeOf, queueOf, tick } from "../helpers/landing.ts";
import { gitWrapper, makeRepo, refsOf, withProject, withRemote } from "../helpers/repo.ts";

/** A repository in which a run was killed between its two transactions, and a queue that knows nothing of it. */
async function stranded(mark: string) {
  const repo = makeRepo();
  const remote = withRemote(repo);
  const first = withProject(repo, "first");
  const lost = await queueOf(repo, first.spec);
  await tick(lost, [], { config: '[push]\nmode = "off"\n' });
  const landed = refsOf(repo, "refs/orchestrator/landed");
  for (const ref of Object.keys(landed)) repo.git("update-ref", "-d", ref);
  repo.git("update-ref", `refs/orchestrator/pending/${mark}`, "main");
  return { repo, remote, landed, second: withProject(repo, "second") };
}

test("what a killed run has landed is ours though the queue was put back: it is pushed with what lands next, and gets its proofs", async () => {
  // Long ago by its name: no run is at work on it any more.
  const { repo, remote, landed, second } = await stranded("01ARYZ6S410000000000000000");
  const db = await queueOf({ ...repo, dir: join(repo.dir, "specs") }, second.spec);
  expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
  expect(remote.git("rev-parse", "main")).toBe(repo.git("rev-parse", "main"));
  expect(refsOf(repo, "refs/orchestrator/pending")).toEqual({});
  expect(refsOf(repo, "refs/orchestrator/landed")).toMatchObject(landed);
});

test("a mark of a moment ago may be another queue's landing: it stays, and holds up no push", async () => {
  const mark = "7ZZZZZZZZZ0000000000000000";
  const { repo, second } = await stranded(mark);
  const db = await queueOf({ ...repo, dir: join(repo.dir, "specs") }, second.spec);
  expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
  expect(Object.keys(refsOf(repo, "refs/orchestrator/pending"))).toEqual([`refs/orchestrator/pending/${mark}`]);
});

test("a project that somebody rejects after a kill, before the target has moved, does not land", async () => {
  const repo = makeRepo();
  const db = await queueOf(repo, withProject(repo, "first").spec);
  const wrapper = gitWrapper(repo.dir, 'case "$*" in *merge*--ff-only*) kill -9 $PPID; exit 1;; esac');
  expect((await onQueue(db, ["run"], { env: wrapper })).code).toBe(null);
  expect(Object.keys(refsOf(repo, "refs/orchestrator/pending"))).toHaveLength(1);
  expect((await onQueue(db, ["reject", "1", "--reason", "no"])).code).toBe(0);
  expect((await tick(db)).report.results).toEqual([]);
  expect(await outcomeOf(db, 1)).toMatchObject({ status: "merge_failed" });
  expect(repo.git("rev-list", "--count", "main")).toBe("1");
  expect(refsOf(repo, "refs/orchestrator", "refs/heads/backup-before-merge-*")).toEqual({});
  expect(repo.git("status", "--porcelain")).toBe("");
});
