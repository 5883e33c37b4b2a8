import { lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { onQueue, queueOf, tick } from "../helpers/landing.ts";
import {
  colleague,
  fingerprint,
  makeRepo,
  type Repo,
  withClone,
  withProject,
  withRemote,
  withWorktree,
  writeSpec,
} from "../helpers/repo.ts";

/** A queue with everything in it: clean, conflicting, dirty, three agents, a clone, nothing there; a remote that is ahead. */
async function sandbox(): Promise<{ repo: Repo; db: string }> {
  const repo = makeRepo();
  const remote = withRemote(repo);
  const three = withProject(repo, "three");
  for (const role of ["tester", "pm"])
    withWorktree(repo, three.spec, { role, files: { [`${role}.txt`]: "x\n", "CLAUDE.md": "x\n" } });
  const dirty = withProject(repo, "dirty");
  dirty.agent.write({ "half.txt": "x\n" });
  const clone = writeSpec(repo, "clone.md");
  withClone(repo, clone);
  const specs = [
    withProject(repo, "clean").spec,
    withProject(repo, "conflicting", { files: { "cart.txt": "agent\n" } }).spec,
    dirty.spec,
    three.spec,
    clone,
    writeSpec(repo, "nothing.md"),
    withProject(repo, "done", { files: null }).spec,
  ];
  repo.commit({ "cart.txt": "mine\n" });
  repo.git("push", "-q", "origin", "main");
  const other = colleague(remote);
  other.commit({ "theirs.txt": "x\n" });
  other.git("push", "-q", "origin", "main");
  repo.write({ "README.md": "edited\n", "notes.txt": "mine\n" });
  return { repo, db: await queueOf(repo, ...specs) };
}

/**
 * Names, kinds, modes and contents of everything under a directory, and the times of files. git sets the time of an object that it
 * would have written and finds there, so those of objects are left out.
 */
function whole(dir: string): unknown {
  const content = fingerprint(dir);
  const files = Object.keys(content).filter((path) => !path.includes("/objects/"));
  const times = files.map((path) => [path, lstatSync(join(dir, path))] as const);
  return { content, times: times.flatMap(([path, stat]) => (stat.isFile() ? [[path, stat.mtimeMs]] : [])) };
}

describe("run --dry-run", () => {
  test("writes nothing: no row, ref, object, file, log line, nor a time of one", async () => {
    const { repo, db } = await sandbox();
    const temporary = join(repo.dir, "tmp");
    mkdirSync(temporary);
    await onQueue(db, ["status"]); // what the making of the queue left open is closed
    const before = whole(repo.dir);
    await tick(db, ["--dry-run"], { env: { TMPDIR: temporary } });
    expect(whole(repo.dir)).toEqual(before);
    expect(readdirSync(repo.dir)).not.toContain("logs");
  });

  test("foresees exactly what run then does", async () => {
    const { repo, db } = await sandbox();
    const dry = (await tick(db, ["--dry-run", "--limit", "all"])).report;
    const real = (await tick(db, ["--limit", "all"])).report;
    expect(dry.dryRun).toBe(true);
    expect(dry.summary).toEqual({ merged: 3, alreadyMerged: 1, failed: 2, held: 1 });
    expect(dry.summary).toEqual(real.summary);
    const facts = (report: typeof dry) =>
      report.results.map(({ id, outcome, reason, detail, target, heads, conflicts, warnings }) => {
        return { id, outcome, reason, detail, target, heads, conflicts, warnings };
      });
    expect(facts(dry)).toEqual(facts(real));
    expect(dry.results.filter(({ outcome }) => outcome === "merged").map(({ mergeCommit }) => mergeCommit)).toEqual([
      null,
      null,
      null,
    ]);
    expect(repo.git("rev-list", "--count", "--first-parent", "main")).not.toBe("2");
  });

  test("says what would land, and the same again afterwards", async () => {
    const { db } = await sandbox();
    const first = await onQueue(db, ["run", "--dry-run"]);
    const second = await onQueue(db, ["run", "--dry-run"]);
    expect(first.stdout).toContain("would merge");
    const timeless = (text: string) => text.replace(/\(.* git processes\)/, "");
    expect(timeless(second.stdout)).toBe(timeless(first.stdout));
    expect(first.stderr).toBe("");
  });

  test("of an empty queue", async () => {
    const repo = makeRepo();
    const db = await queueOf(repo);
    const said = await onQueue(db, ["run", "--dry-run"]);
    expect(said).toMatchObject({ code: 0, stdout: "Nothing would land.\n", stderr: "" });
  });

  test("where a checkout is in the way foresees the hold", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "README.md": "# Agent\n" } });
    repo.write({ "README.md": "# Mine\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db, ["--dry-run"])).of(1)).toMatchObject({ outcome: "held", reason: "dirty_target" });
  });
});
