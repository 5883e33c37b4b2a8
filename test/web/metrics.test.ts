import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { failures, holds } from "../../src/core/reasons.ts";
import { cli } from "../helpers/cli.ts";
import { haveDebianPackage } from "../helpers/debian.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { attempt, insert, remember } from "../helpers/memory.ts";
import { now, queueDb, sql } from "../helpers/queueDb.ts";

const docs = join(import.meta.dirname, "..", "..", "docs");
const promtool = haveDebianPackage("prometheus", ["promtool", "--version"]);

async function prometheus(path: string): Promise<string> {
  const result = await cli(["stats", "--format", "prometheus", "--db", path]);
  expect(result).toMatchObject({ code: 0, stderr: "" });
  return result.stdout;
}

/** The samples of a page, by name and labels. */
const samples = (page: string): Map<string, number> =>
  new Map(
    page
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );

/** Of everything that a page can tell, something. */
async function busyQueue(): Promise<string> {
  const path = await queueDb(temporaryDirectory(), {
    rows: [1, 2, 3, 4, 5, 6].map((id) => ({ id, status: id === 6 ? "queued" : "completed" })),
  });
  const landed: [string, number, number][] = [
    ["L1", 20_000, 400],
    ["L2", 60_000, 900],
    ["L3", 60_001, 1100],
    ["L4", 700_000_000, 700_000],
  ];
  for (const [attempt_id, waited, took] of landed) {
    await attempt(path, 1, "merged", {
      attempt_id,
      completed_at: now - waited,
      started_at: now - took,
      push: "pushed",
    });
  }
  await attempt(path, 1, "already_merged", { attempt_id: "B1" });
  await attempt(path, 2, "merge_failed", { attempt_id: "F1", reason: "conflict", started_at: now - 50 });
  await attempt(path, 2, "merge_failed", { attempt_id: "F2", reason: "conflict", started_at: now - 50 });
  await attempt(path, 2, "merge_failed", { attempt_id: "F3", reason: 'odd "one"\\\n', started_at: now - 50 });
  await attempt(path, 3, "held", { attempt_id: "H1", reason: "dirty_source" });
  await attempt(path, 3, "abandoned", { attempt_id: "X1" });
  await sql(path, "UPDATE project_queue SET merged_status = 'merged', merged_at = 1 WHERE id = 1");
  await remember(path, 1, "merged", { recorded_status: "merged", attempt_id: "L4" });
  await sql(path, "UPDATE project_queue SET merged_status = 'merge_failed' WHERE id = 2");
  await remember(path, 2, "failed", { recorded_status: "merge_failed", reason: "conflict" });
  await remember(path, 3, "held", { reason: "dirty_source" });
  // Completed again since it was held: waits like a new one.
  await remember(path, 4, "held", { reason: "dirty_target", generation: "another" });
  await insert(path, "merge_lease", { repository: "/a/.git", fence: 3, run_id: "R" });
  await insert(path, "merge_lease", { repository: "/b/.git", fence: 1 });
  await insert(path, "merge_meta", { key: "last_tick", value: String(now) });
  return path;
}

describe("stats --format prometheus", () => {
  test("tells the queue by state, landings, failures by reason, leases and the last tick", async () => {
    const read = samples(await prometheus(await busyQueue()));
    const of = (name: string) => read.get(`orchestrator_merge_${name}`);
    const states = { pending: 2, held: 1, failed: 1, merged: 1, rolled_back: 0, skipped: 0, not_completed: 1 };
    for (const [state, n] of Object.entries(states))
      expect([state, of(`projects{state="${state}"}`)]).toEqual([state, n]);
    for (const reason of holds) {
      expect([reason, of(`projects_held{reason="${reason}"}`)]).toEqual([reason, reason === "dirty_source" ? 1 : 0]);
    }
    expect(of('landings_total{outcome="merged"}')).toBe(4);
    expect(of('landings_total{outcome="already_merged"}')).toBe(1);
    for (const reason of failures) {
      expect([reason, of(`failures_total{reason="${reason}"}`)]).toEqual([reason, reason === "conflict" ? 2 : 0]);
    }
    expect(of('failures_total{reason="odd \\"one\\"\\\\\\n"}')).toBe(1);
    expect(of('leases{state="held"}')).toBe(1);
    expect(of('leases{state="free"}')).toBe(1);
    expect(of("last_successful_tick_timestamp_seconds")).toBe(now / 1000);
    const { version } = z
      .object({ version: z.string() })
      .parse(JSON.parse(readFileSync(join(docs, "../package.json"), "utf8")));
    expect(of(`build_info{version="${version}"}`)).toBe(1);
  });

  test("counts durations into buckets that hold everything up to their bound", async () => {
    const read = samples(await prometheus(await busyQueue()));
    const of = (name: string) => read.get(`orchestrator_merge_${name}`);
    const land = (le: string) => of(`time_to_land_seconds_bucket{le="${le}"}`);
    expect([land("60"), land("300"), land("604800"), land("+Inf")]).toEqual([2, 3, 3, 4]);
    expect(of("time_to_land_seconds_count")).toBe(4);
    expect(of("time_to_land_seconds_sum")).toBeCloseTo(700_140.001);
    const took = (outcome: string, le: string) =>
      of(`attempt_duration_seconds_bucket{outcome="${outcome}",le="${le}"}`);
    expect([took("merged", "0.25"), took("merged", "0.5"), took("merged", "1"), took("merged", "2.5")]).toEqual([
      0, 1, 2, 3,
    ]);
    expect([took("merged", "600"), took("merged", "+Inf")]).toEqual([3, 4]);
    expect([took("merge_failed", "0.1"), of('attempt_duration_seconds_count{outcome="merge_failed"}')]).toEqual([3, 3]);
  });

  test("tells how old the oldest landing is that a remote lacks, however often its push was tried since", async () => {
    const path = await busyQueue();
    const owed = async (name: string) => samples(await prometheus(path)).get(`orchestrator_merge_push_owed_${name}`);
    expect(await owed("oldest_age_seconds")).toBe(0);
    const at = Date.now() - 3_600_000;
    const target = { repository: "/a/.git", target: "refs/heads/main" };
    await attempt(path, 5, "merged", { attempt_id: "O1", ...target, push: "refused", finished_at: at, started_at: at });
    await insert(path, "merge_push", { ...target, state: "refused", changed_at: Date.now() });
    expect(await owed('targets{state="refused"}')).toBe(1);
    expect(await owed('targets{state="pending"}')).toBe(0);
    expect(await owed("oldest_age_seconds")).toBeGreaterThanOrEqual(3600);
    expect(await owed("oldest_age_seconds")).toBeLessThan(3700);
  });

  test.runIf(promtool)("promtool check metrics accepts it without a word, of an empty queue too", async () => {
    for (const path of [await busyQueue(), await queueDb(temporaryDirectory())]) {
      const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
        input: await prometheus(path),
        encoding: "utf8",
      });
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
    }
  });
});

test("docs/monitoring.md names every metric, and none that is not there", async () => {
  const text = readFileSync(join(docs, "monitoring.md"), "utf8");
  const written = [...text.matchAll(/^\| `(orchestrator_merge_\w+)` \|/gm)].map(([, name]) => name);
  const page = await prometheus(await queueDb(temporaryDirectory()));
  const served = [...page.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);
  expect(written.sort()).toEqual(served.sort());
});

const grafana = z.object({ panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })) })) });

describe.runIf(promtool)("what docs/ gives to a monitor", () => {
  const rules = readFileSync(join(docs, "prometheus-rules.yml"), "utf8");
  const panels = grafana.parse(JSON.parse(readFileSync(join(docs, "grafana-dashboard.json"), "utf8"))).panels;
  const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

  test("every rule and every panel asks in PromQL, and for metrics that are there", async () => {
    const panelRules = expressions.map((expr, i) => ({
      record: `panel:${i}`,
      expr: expr.replaceAll(/\$__(range|rate_interval)/g, "1h"),
    }));
    const directory = temporaryDirectory({
      "rules.yml": rules,
      "panels.yml": JSON.stringify({ groups: [{ name: "panels", rules: panelRules }] }),
    });
    for (const file of ["rules.yml", "panels.yml"]) {
      const checked = spawnSync("promtool", ["check", "rules", join(directory, file)], { encoding: "utf8" });
      expect(checked).toMatchObject({ status: 0, stderr: "" });
    }
    const served = new Set([...samples(await prometheus(await busyQueue())).keys()].map((key) => key.split("{")[0]));
    const asked = [rules, ...expressions].flatMap((text) => text.match(/orchestrator_merge_\w+/g) ?? []);
    expect(asked.length).toBeGreaterThan(15);
    expect(asked.filter((name) => !served.has(name))).toEqual([]);
  });

  test("the alerts fire when they should, and not before", () => {
    const tests = [
      {
        interval: "1m",
        input_series: [
          { series: 'orchestrator_merge_last_successful_tick_timestamp_seconds{instance="a"}', values: "0x60" },
          { series: 'orchestrator_merge_failures_total{instance="a",reason="conflict"}', values: "0x30 1x60" },
          { series: 'orchestrator_merge_build_info{instance="a"}', values: "1x60" },
        ],
        alert_rule_test: [
          { eval_time: "14m", alertname: "OrchestratorMergeNoTick", exp_alerts: [] },
          {
            eval_time: "20m",
            alertname: "OrchestratorMergeNoTick",
            exp_alerts: [
              {
                exp_labels: { severity: "critical", instance: "a" },
                exp_annotations: {
                  summary: "No run has ended well for 20m 0s.",
                  description: "Nothing lands meanwhile. On the host: orchestrator-merge doctor",
                },
              },
            ],
          },
          { eval_time: "30m", alertname: "OrchestratorMergeProjectFailed", exp_alerts: [] },
          {
            eval_time: "32m",
            alertname: "OrchestratorMergeProjectFailed",
            exp_alerts: [
              {
                exp_labels: { severity: "warning", instance: "a", reason: "conflict" },
                exp_annotations: {
                  summary: "A project failed to merge: conflict.",
                  description: "Which one and what to do: orchestrator-merge status --merge-failed",
                },
              },
            ],
          },
        ],
      },
    ];
    const directory = temporaryDirectory({
      "rules.yml": rules,
      "test.yml": JSON.stringify({ rule_files: ["rules.yml"], tests }),
    });
    const { status, stdout, stderr } = spawnSync("promtool", ["test", "rules", join(directory, "test.yml")], {
      encoding: "utf8",
    });
    expect({ status, said: status === 0 ? "" : stdout + stderr }).toEqual({ status: 0, said: "" });
  });
});
