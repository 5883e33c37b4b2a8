import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { processStart } from "../../src/git/orphans.ts";
import { outcomeOf, startTick, waitsOver } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import { isThere, makeRepo, type Repo, writeFiles } from "../helpers/repo.ts";
import { gate, world } from "./world.ts";

/* Gates that end in another way than by themselves, and what moves while they run. */

/** A gate that leaves a child in a session of its own, says that it is there, and goes on for ever. */
const endless = (repo: Repo) =>
  [
    `setsid sh -c 'echo $$ > ${repo.dir}/stray.new; mv ${repo.dir}/stray.new ${repo.dir}/stray; exec sleep 600' &`,
    `while ! test -e ${repo.dir}/stray; do :; done`,
    `echo started > ${repo.dir}/started`,
    "exec sleep 600",
  ].join("\n");

const strayOf = (repo: Repo) => Number(readFileSync(join(repo.dir, "stray"), "utf8"));
const lives = (pid: number) =>
  processStart(pid) !== null && !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error("it did not come to that within 30 s");
    await sleep(10);
  }
}

test("over its limit: gate_timeout, with all of its processes ended; retry asks again", async () => {
  const repo = makeRepo();
  const w = await world(repo, ["a"]);
  const done = await w.run([], gate(repo, `echo half; ${endless(repo)}`, 'timeout = "1s"'));
  expect(done.of(1)).toMatchObject({ outcome: "merge_failed", reason: "gate_timeout" });
  expect(done.of(1).detail).toMatch(/is over its limit of 1s: half$/);
  expect(lives(strayOf(repo))).toBe(false);
  expect(w.left()).toEqual([]);
  expect(await sql(w.db, "SELECT verdict FROM merge_gate_verdict")).toMatchObject([{ verdict: "timeout" }]);
  await w.command("retry", "1");
  expect((await w.run([], gate(repo, "exit 0", 'timeout = "1s"'))).of(1).outcome).toBe("merged");
});

describe.each(["SIGTERM", "SIGKILL"] as const)("the run is ended by %s while a gate runs", (signal) => {
  test("the target has not moved, the next run ends what is left of it and lands", async () => {
    const repo = makeRepo();
    const w = await world(repo, ["a"]);
    const start = repo.head();
    writeFiles(repo.dir, { "config.toml": gate(repo, `test -e ${repo.dir}/second && exit 0\n${endless(repo)}`) });
    const env = {
      XDG_CACHE_HOME: join(repo.dir, "cache"),
      HOME: repo.dir,
      ORCHESTRATOR_MERGE_CONFIG: join(repo.dir, "config.toml"),
    };
    const { child, ended } = startTick(w.db, env);
    await until(() => isThere(join(repo.dir, "started")));
    // Nothing of the queue is locked meanwhile.
    await sql(w.db, "UPDATE project_queue SET priority = 1 WHERE id = 1");
    child.kill(signal);
    const { code } = await ended;
    expect(code).toBe(signal === "SIGTERM" ? 143 : null);
    expect(repo.head()).toBe(start);
    expect(lives(strayOf(repo))).toBe(signal === "SIGKILL");
    expect(w.left()).toHaveLength(signal === "SIGKILL" ? 1 : 0);
    expect(await sql(w.db, "SELECT verdict FROM merge_gate_verdict")).toEqual([]);
    writeFiles(repo.dir, { second: "" });
    const next = await w.run([], readFileSync(join(repo.dir, "config.toml"), "utf8"));
    expect(next.of(1).outcome).toBe("merged");
    expect(lives(strayOf(repo))).toBe(false);
    expect(w.left()).toEqual([]);
  });
});

describe("while the gate runs", () => {
  test("somebody commits to the target: nothing is lost, and the next run lands on top", async () => {
    const repo = makeRepo();
    const w = await world(repo, ["a"]);
    const commit = `cd ${repo.path} && test ! -e new.md && echo x > new.md && git add new.md && git commit -q -m mine; exit 0`;
    const done = await w.run([], gate(repo, commit));
    expect(done.of(1)).toMatchObject({ outcome: "held", reason: "repository_busy" });
    expect(repo.git("log", "-1", "--format=%s")).toBe("mine");
    expect(repo.git("branch", "--list", "backup*")).toBe("");
    await waitsOver(w.db);
    expect((await w.run()).of(1).outcome).toBe("merged");
    expect(repo.read("new.md")).toBe("x\n");
    expect(repo.git("status", "--porcelain")).toBe("");
    expect(w.runs()).toHaveLength(2);
  });

  test("somebody writes a file that is in the way: held, and the file is theirs", async () => {
    const repo = makeRepo();
    const w = await world(repo, ["a"]);
    const done = await w.run([], gate(repo, `echo mine > ${repo.path}/a.txt`));
    expect(done.of(1)).toMatchObject({ outcome: "held", reason: "dirty_target" });
    expect(repo.read("a.txt")).toBe("mine\n");
    expect(repo.git("branch", "--list", "backup*")).toBe("");
  });

  test("the orchestrator queues the project again: it does not land, the other one does", async () => {
    const repo = makeRepo();
    const w = await world(repo, ["a", "b"]);
    writeFiles(repo.dir, { "requeue.mjs": requeue });
    const client = new URL("../../node_modules/@libsql/client/lib-esm/sqlite3.js", import.meta.url).pathname;
    const done = await w.run([], gate(repo, `${process.execPath} ${repo.dir}/requeue.mjs ${client} ${w.db}`));
    expect(done.report.results.map(({ id, outcome }) => `${id} ${outcome}`)).toEqual(["2 merged"]);
    expect((await outcomeOf(w.db, 1)).status).toBe("pending_merge");
    expect(repo.show("a.txt")).toBeNull();
  });
});

const requeue = `
const { createClient } = await import(process.argv[2]);
const client = createClient({ url: "file:" + process.argv[3], timeout: 5000 });
await client.execute("UPDATE project_queue SET status = 'queued' WHERE id = 1");
client.close();
`;
