import { expect, test } from "vitest";
import { temporaryDirectory } from "../helpers/directory.ts";
import { onQueue, tick, waitsOver } from "../helpers/landing.ts";
import { findPython, otherWriter, queueDb, sql } from "../helpers/queueDb.ts";
import { makeRepo, refsOf, withProject } from "../helpers/repo.ts";

/*
 * Ten runs at once share a queue beside a writer of the orchestrator's kind. The projects of one repository chain, so that runs meet on
 * the same leases, and there are more repositories than one run takes.
 */
const runs = 10;
const repositories = 10;
const each = 3;

test("ten runs at once on 30 projects beside another writer: each lands once, nobody is locked out", async () => {
  const dir = temporaryDirectory();
  const repos = Array.from({ length: repositories }, (_, index) => makeRepo({ dir, name: `shop-${index}` }));
  const projects = repos.flatMap((repo, index) =>
    Array.from({ length: each }, (_, nth) => ({ repo, ...withProject(repo, `work-${index}-${nth}`) })),
  );
  const db = await queueDb(dir, {
    rows: projects.map(({ repo, spec }) => ({ spec_path: spec, project_path: repo.path })),
  });
  const python = findPython();
  const writer = await otherWriter(db, python);
  const codes: (number | null)[] = [];
  const waves: number[] = [];
  try {
    for (let left = projects.length; left > 0 && waves.length < 10; ) {
      await waitsOver(db);
      const wave = await Promise.all(Array.from({ length: runs }, () => onQueue(db, ["run", "--json"])));
      for (const { code, stderr } of wave) expect([0, 75], stderr).toContain(code);
      codes.push(...wave.map(({ code }) => code));
      const before = left;
      left = Number((await sql(db, pending))[0]?.["count"]);
      waves.push(before - left);
    }
  } finally {
    const written = await writer.stop(); // throws when it was locked out
    console.log(
      `${runs} runs at once, ${projects.length} projects: ${waves.join(" + ")} landed, ${codes.filter((code) => code === 75).length} of ${codes.length} runs found all leased; the ${python ?? "other"} writer wrote ${written} times and was never locked out`,
    );
    expect(written).toBeGreaterThan(10);
  }
  expect(waves[0]).toBeGreaterThan(0);
  expect((await tick(db)).report.results).toEqual([]);
  for (const repo of repos) {
    const merged = repo
      .git("log", "--first-parent", "--format=%P", "main")
      .split("\n")
      .map((line) => line.split(" ")[1]);
    const heads = projects.filter((project) => project.repo === repo).map(({ agent }) => agent.head());
    expect(merged.filter((head) => head !== undefined).sort()).toEqual([...heads].sort());
    expect(Object.keys(refsOf(repo, "refs/tags"))).toHaveLength(each);
    expect(Object.keys(refsOf(repo, "refs/heads/backup*"))).toHaveLength(each);
    expect(refsOf(repo, "refs/orchestrator/pending")).toEqual({});
    expect(repo.git("status", "--porcelain")).toBe("");
  }
  const [row] = await sql(
    db,
    `SELECT (SELECT count(*) FROM project_queue WHERE merged_status = 'merged') AS merged,
       (SELECT count(*) FROM merge_attempt WHERE outcome = 'merged') AS attempts,
       (SELECT count(*) FROM merge_landing WHERE state = 'intended') AS open,
       (SELECT count(*) FROM merge_lease WHERE run_id IS NOT NULL) AS leased`,
  );
  expect({ ...row }).toEqual({ merged: projects.length, attempts: projects.length, open: 0, leased: 0 });
});

const pending =
  "SELECT count(*) AS count FROM project_queue WHERE status = 'completed' AND merged_status = 'pending_merge'";
