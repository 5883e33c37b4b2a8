import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { onQueue, outcomeOf, queueOf, rowOf, tick } from "../helpers/landing.ts";
import { queueDb, sql } from "../helpers/queueDb.ts";
import { makeRepo, type Repo, withProject, writeFiles, writeSpec } from "../helpers/repo.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/rules.md"), "utf8");
const examples = [...page.matchAll(/^```toml\n(.*?)^```/gms)].map((match) => match[1] ?? "");
const run = new Set<string>();

/** The example of docs/rules.md that has this line. */
function example(line: string): string {
  const [found = "", ...others] = examples.filter((text) => text.includes(line));
  if (found === "" || others.length > 0) throw new Error(`${examples.length} examples, not one with ${line}`);
  run.add(found);
  return found;
}

/** The examples of other pages' sections are run by the tests of what they show. */
const elsewhere = /^(command|strategy|gate|mode|keep_target)\b|\bstrategy = |\bgate = |^\[gate\]/m;
afterAll(() => {
  expect(examples.filter((text) => !run.has(text) && !elsewhere.test(text))).toEqual([]);
});

const skipAll = '[[rule]]\nmatch = { name = "*" }\naction = "skip"\n';
const approveAll = '[[rule]]\nmatch = { name = "*" }\napproval = true\n';
const reasons = (done: Awaited<ReturnType<typeof tick>>) =>
  Object.fromEntries(done.report.results.map(({ name, reason, outcome }) => [name, reason ?? outcome]));

/** A repository with these projects finished, in this order. */
async function finished(...names: string[]) {
  const repo = makeRepo();
  const projects = names.map((name) => withProject(repo, name));
  const db = await queueOf(repo, ...projects.map(({ spec }) => spec));
  return { repo, db, agents: projects.map(({ agent }) => agent) };
}

describe("who", () => {
  test("an allow list and a deny list are two rules, and the line that says so is named", async () => {
    const { db } = await finished("shop", "shop-experiment", "other", "API");
    const done = await tick(db, [], { config: example("{shop,api}*") });
    expect(reasons(done)).toEqual({
      shop: "merged",
      "shop-experiment": "excluded",
      other: "excluded",
      API: "excluded",
    });
    expect(done.of(3).detail).toBe("the rule at config file line 1 says to skip it.");
    expect(done.of(2).detail).toContain("line 9");
  });

  test("by spec, type, priority, path and tag", async () => {
    const repo = makeRepo();
    repo.git("branch", "develop");
    const spec = writeSpec(repo, "nightly/fast.md");
    writeFiles(repo.dir, { "specs/nightly/slow.md": "# slow\n" });
    const config = example('spec = "**/nightly/*.md"');
    const fast = withProject(repo, "nightly/fast", { files: { "package.json": "{}\n" } });
    const slow = withProject(repo, "nightly/slow", { files: { "package.json": "{}\n", "b.txt": "" } });
    const plain = withProject(repo, "plain");
    const db = await queueOf(
      repo,
      { spec_path: fast.spec, priority: 5 },
      { spec_path: slow.spec, priority: 4 },
      { spec_path: plain.spec, priority: 9 },
    );
    expect(spec).toBe(fast.spec);
    expect(await onQueue(db, ["tag", "3", "+wip"])).toMatchObject({ code: 0, stdout: "3  wip\n" });
    const done = await tick(db, [], { config });
    expect([done.of(1).target, done.of(2).target, done.of(3).reason]).toEqual(["develop", "main", "excluded"]);
    expect(await onQueue(db, ["tag", "3", "-wip"])).toMatchObject({ code: 0, stdout: "3  no tags\n" });
    expect((await tick(db, [], { config })).of(3).outcome).toBe("merged");
  });

  test("what a later rule takes back is taken back", async () => {
    const { db } = await finished("a");
    const config = `${skipAll}[[rule]]\nmatch = { name = "a" }\naction = "merge"\nfreeze = false\n`;
    expect((await tick(db, [], { config })).of(1).outcome).toBe("merged");
  });
});

describe("when", () => {
  test("a freeze holds, says until when, takes nobody's place; and is over when it is", async () => {
    const { db } = await finished("a", "b");
    await onQueue(db, ["tag", "2", "+critical"]);
    const config = `${example("freeze =")}[[rule]]\nmatch = { tag = "critical" }\nfreeze = false\n`;
    const done = await tick(db, ["--limit", "1"], { config });
    expect(done.of(1)).toMatchObject({ outcome: "held", reason: "outside_window" });
    expect(done.of(1).detail).toBe(
      "the rule at config file line 1 freezes it: opens Fri 4 Jan 2999 08:00 Europe/Berlin.",
    );
    expect(done.of(2).outcome).toBe("merged");
    const over = await tick(db, [], { config: config.replace("2999", "2021") });
    expect(over.of(1).outcome).toBe("merged");
  });

  test("a window: closed at this hour, open at this hour", async () => {
    const { db } = await finished("a");
    // Hours from now, so that it does not matter when this runs.
    const hour = (shift: number) => `${String((new Date().getUTCHours() + shift + 24) % 24).padStart(2, "0")}:00`;
    const at = (from: string, to: string) =>
      `[[rule]]\nmatch = { name = "*" }\nwindow = { from = "${from}", to = "${to}", zone = "UTC" }\n`;
    const shut = await tick(db, [], { config: at(hour(3), hour(6)) });
    expect(shut.of(1)).toMatchObject({ outcome: "held", reason: "outside_window" });
    expect(shut.of(1).detail).toMatch(/closes the window: opens \w{3} \d+ \w{3} \d{4} \d\d:00 UTC\.$/);
    expect((await tick(db, [], { config: at(hour(-3), hour(3)) })).of(1).outcome).toBe("merged");
  });

  test("the example of the page is what it says", async () => {
    const { db } = await finished("a");
    await onQueue(db, ["tag", "1", "+critical"]);
    expect((await tick(db, [], { config: example("window = false") })).of(1).outcome).toBe("merged");
  });
});

describe("after what", () => {
  test("by rule: it waits, and lands in the run in which the other does", async () => {
    const { repo, db, agents } = await finished("api", "schema");
    const config = example('after = ["schema"]');
    agents[1]?.write({ "half.txt": "" });
    const held = await tick(db, [], { config });
    expect(held.of(1)).toMatchObject({ reason: "blocked_by_dependency" });
    expect(held.of(1).detail).toBe("waits for project 2 schema (pending).");
    agents[1]?.commit({ "half.txt": "done" });
    const done = await tick(db, [], { config });
    expect(repo.git("rev-list", "--first-parent", "main").split("\n").slice(0, 2)).toEqual([
      done.of(1).mergeCommit,
      done.of(2).mergeCommit,
    ]);
  });

  test("by add --depends-on, across repositories and back, in one run; a failure holds what waits for it", async () => {
    const [one, two] = [makeRepo(), makeRepo()];
    const [first, third] = [withProject(one, "first"), withProject(one, "third")];
    const db = await queueOf(one, first.spec);
    const second = withProject(two, "second");
    const add = (repo: Repo, spec: string, on: number) =>
      onQueue(db, ["add", "--project", repo.path, "--spec", spec, "--depends-on", String(on), "--priority", "9"]);
    expect((await add(two, second.spec, 1)).code).toBe(0);
    expect((await add(one, third.spec, 2)).code).toBe(0);
    expect(await add(one, third.spec, 77)).toMatchObject({ code: 5 });
    const plan = await tick(db, ["--dry-run"]);
    expect(plan.report.results.map(({ outcome }) => outcome)).toEqual(["merged", "merged", "merged"]);
    first.agent.write({ "half.txt": "" });
    expect(reasons(await tick(db))).toEqual({
      first: "dirty_source",
      second: "blocked_by_dependency",
      third: "blocked_by_dependency",
    });
    first.agent.commit({ "half.txt": "done" });
    expect(reasons(await tick(db))).toEqual({ first: "merged", second: "merged", third: "merged" });
  });

  test("a conflict in the same chain takes with it what waits for it, and nobody else", async () => {
    const { repo, db, agents } = await finished("base", "on-it", "aside");
    agents[0]?.commit({ "a.txt": "agent\n" });
    repo.commit({ "a.txt": "user\n" });
    await sql(db, "INSERT INTO merge_dependency VALUES (2, 1)");
    const done = await tick(db);
    expect(reasons(done)).toEqual({ base: "conflict", "on-it": "blocked_by_dependency", aside: "merged" });
    expect(done.of(2).detail).toBe("waits for project 1 (failed: conflict).");
    // Solved on the agent's side: both in one run.
    agents[0]?.git("merge", "-q", "-X", "ours", "-m", "solved", "main");
    expect(reasons(await tick(db))).toEqual({ base: "merged", "on-it": "merged" });
  });

  test("a failure takes along those who wait for it through others, in other repositories too", async () => {
    const [one, two] = [makeRepo(), makeRepo()];
    const base = withProject(one, "base");
    base.agent.commit({ "a.txt": "agent\n" });
    one.commit({ "a.txt": "user\n" });
    const [middle, top] = [withProject(two, "middle"), withProject(two, "top")];
    const db = await queueOf(one, base.spec, rowOf(two, middle.spec), rowOf(two, top.spec));
    await sql(db, "INSERT INTO merge_dependency VALUES (2, 1), (3, 2)");
    expect(reasons(await tick(db))).toEqual({
      base: "conflict",
      middle: "blocked_by_dependency",
      top: "blocked_by_dependency",
    });
  });

  test("a circle of a told tie and one that git shows is named as well", async () => {
    const repo = makeRepo();
    const base = withProject(repo, "base");
    const top = withProject(repo, "top", { from: base.agent.head() });
    const db = await queueOf(repo, base.spec, top.spec);
    await sql(db, "INSERT INTO merge_dependency VALUES (1, 2)");
    const done = await tick(db);
    expect([done.of(1).detail, done.of(2).detail]).toEqual(
      Array(2).fill("these wait for each other: 2 top waits for 1 base waits for 2 top. Take one of the ties away."),
    );
  });

  test("what a rule excludes does not come in by way of another either", async () => {
    const repo = makeRepo();
    const base = withProject(repo, "x-experiment");
    const top = withProject(repo, "top", { from: base.agent.head() });
    const db = await queueOf(repo, base.spec, top.spec);
    const config = `[[rule]]\nmatch = { name = "*-experiment" }\naction = "skip"\n`;
    const done = await tick(db, [], { config });
    expect(done.of(2).detail).toBe("its commits contain those of project 1 x-experiment (held: excluded).");
  });

  test("those that wait for each other are held and named; retry --no-dependencies lets one go", async () => {
    const { db } = await finished("a", "b", "c");
    await sql(db, "INSERT INTO merge_dependency VALUES (1, 2), (2, 1)");
    const done = await tick(db);
    expect(done.of(1).detail).toBe(
      "these wait for each other: 1 a waits for 2 b waits for 1 a. Take one of the ties away.",
    );
    expect(reasons(done)).toEqual({ a: "blocked_by_dependency", b: "blocked_by_dependency", c: "merged" });
    expect((await onQueue(db, ["retry", "1", "--no-dependencies"])).code).toBe(0);
    expect(reasons(await tick(db))).toEqual({ a: "merged", b: "merged" });
  });

  test("a head on top of a held, failed or rejected one does not bring that in", async () => {
    const repo = makeRepo();
    const base = withProject(repo, "base");
    const top = withProject(repo, "top", { from: base.agent.head() });
    const db = await queueOf(repo, base.spec, top.spec);
    const config = `[[rule]]\nmatch = { name = "base" }\napproval = true\n`;
    const held = await tick(db, [], { config });
    expect(held.of(2)).toMatchObject({ reason: "blocked_by_dependency" });
    expect(held.of(2).detail).toBe("its commits contain those of project 1 base (held: awaiting_approval).");
    expect((await onQueue(db, ["reject", "1", "--reason", "no"], { config })).code).toBe(0);
    const rejected = await tick(db, [], { config });
    expect(rejected.of(2).detail).toBe("its commits contain those of project 1 (failed: rejected).");
    expect((await onQueue(db, ["retry", "1"])).code).toBe(0);
    expect((await onQueue(db, ["approve", "1"], { config })).code).toBe(0);
    expect(reasons(await tick(db, [], { config }))).toEqual({ base: "merged", top: "merged" });
  });

  test("who is built on a held one gives his place to the next", async () => {
    const repo = makeRepo();
    const base = withProject(repo, "base");
    const top = withProject(repo, "top", { from: base.agent.head() });
    const next = withProject(repo, "next");
    const db = await queueOf(repo, { spec_path: top.spec, priority: 9 }, base.spec, next.spec);
    const config = `[[rule]]\nmatch = { name = "base" }\napproval = true\n`;
    const done = await tick(db, ["--limit", "1"], { config });
    expect(reasons(done)).toEqual({ top: "blocked_by_dependency", base: "awaiting_approval", next: "merged" });
  });

  test("what goes to another branch is no base", async () => {
    const repo = makeRepo();
    repo.git("branch", "develop");
    const base = withProject(repo, "base");
    const top = withProject(repo, "top", { from: base.agent.head() });
    base.agent.write({ "half.txt": "" });
    const db = await queueOf(repo, base.spec, top.spec);
    const config = `[[rule]]\nmatch = { name = "base" }\ntarget = "develop"\n`;
    expect(reasons(await tick(db, [], { config }))).toEqual({ base: "dirty_source", top: "merged" });
  });

  test.each(["reject", "skip", "approval"])(
    "not one commit of what must not land comes in under another row: %s",
    async (how) => {
      const repo = makeRepo();
      const evil = withProject(repo, "evil");
      const first = evil.agent.head();
      const same = withProject(repo, "same", { from: first, files: null });
      const fork = withProject(repo, "fork", { from: first });
      const free = withProject(repo, "free");
      evil.agent.commit({ "more.txt": "" });
      const db = await queueOf(repo, ...[evil, same, fork, free].map(({ spec }) => spec));
      if (how === "reject") await onQueue(db, ["reject", "1", "--reason", "no"]);
      const config = { skip: 'action = "skip"', approval: "approval = true", reject: "trust = false" }[how];
      const done = await tick(db, [], { config: `[[rule]]\nmatch = { name = "evil" }\n${config}\n` });
      expect([2, 3, 4].map((id) => done.of(id).reason ?? done.of(id).outcome)).toEqual([
        "blocked_by_dependency",
        "blocked_by_dependency",
        "merged",
      ]);
    },
  );

  test("with one place the one below comes first, whatever its priority; the other in the next run", async () => {
    const repo = makeRepo();
    const base = withProject(repo, "base");
    const top = withProject(repo, "top", { from: base.agent.head() });
    const db = await queueOf(repo, { spec_path: top.spec, priority: 9 }, base.spec);
    expect(reasons(await tick(db, ["--limit", "1"]))).toEqual({ base: "merged" });
    expect(reasons(await tick(db, ["--limit", "1"]))).toEqual({ top: "merged" });
    expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("3");
  });
});

test("what planning holds does not keep its place from what may land", async () => {
  const repo = makeRepo({ files: { "a.txt": "a\n" } });
  const stuck = ["one", "two"].map((name) => withProject(repo, name, { files: { "a.txt": `${name}\n` } }));
  const free = withProject(repo, "free");
  repo.write({ "a.txt": "mine\n" });
  const db = await queueOf(repo, ...[...stuck, free].map(({ spec }) => spec));
  expect(reasons(await tick(db, ["--limit", "2"]))).toEqual({ one: "dirty_target", two: "dirty_target" });
  expect((await tick(db, ["--limit", "2"])).of(3).outcome).toBe("merged");
});

test("who is built on one that planning holds does not come before it, with one place either", async () => {
  const repo = makeRepo();
  const base = withProject(repo, "base");
  const top = withProject(repo, "top", { from: base.agent.head() });
  repo.commit({ "mine.txt": "mine\n" });
  const db = await queueOf(repo, base.spec, top.spec);
  const config = `[[rule]]\nmatch = { name = "base" }\nstrategy = "ff"\n`;
  for (const _ of [1, 2, 3]) {
    const done = await tick(db, ["--limit", "1"], { config });
    expect(done.of(1).reason).toBe("target_diverged");
    expect(done.report.summary.merged).toBe(0);
  }
});

test("a window that closes while a gate runs is closed", async () => {
  const { repo, db } = await finished("a");
  const until = new Date(Date.now() + 3000).toISOString().slice(0, 19);
  const from = until;
  const config = `[gate]
command = ["sh", "-c", 'while [ $(date -u +%FT%T) \\< ${until} ]; do sleep 0.1; done; sleep 0.2']
[[rule]]
match = { name = "*" }
freeze = { from = "${from}", until = "2999-01-01", zone = "UTC" }
`;
  const done = await tick(db, [], { config });
  expect(done.of(1)).toMatchObject({ outcome: "held", reason: "outside_window" });
  expect(repo.git("rev-list", "--count", "main")).toBe("1");
});

describe("approval", () => {
  test("is for the commits that are there: a new one needs a new word; who and when is kept", async () => {
    const { repo, db, agents } = await finished("a");
    const config = example('match = { path = "**", type = "node" }').replace(
      'path = "**", type = "node"',
      'name = "*"',
    );
    const waiting = await tick(db, [], { config });
    const head = agents[0]?.head() ?? "";
    expect(waiting.of(1)).toMatchObject({ outcome: "held", reason: "awaiting_approval" });
    expect(waiting.of(1).detail).toBe(
      `nobody has approved it: developer ${head.slice(0, 10)}. To approve: orchestrator-merge approve 1`,
    );
    const said = JSON.parse((await onQueue(db, ["approve", "1", "--json"], { config })).stdout);
    expect(said).toMatchObject({ approved: [{ id: 1, heads: [{ role: "developer", oid: head }] }] });
    agents[0]?.commit({ "more.txt": "" });
    const unseen = await onQueue(db, ["approve", "1"], { config });
    expect(unseen).toMatchObject({ code: 5 });
    expect(unseen.stderr).toContain(`approve 1 --head ${agents[0]?.head().slice(0, 10)}`);
    expect((await onQueue(db, ["approve", "1", "--head", head.slice(0, 10)], { config })).code).toBe(5);
    const again = await tick(db, [], { config });
    expect(again.of(1).detail).toContain(`${said.approved[0].by} approved other commits than these: developer`);
    expect((await onQueue(db, ["approve", "1"], { config })).code).toBe(0);
    expect((await tick(db, [], { config })).of(1).outcome).toBe("merged");
    expect(repo.read("more.txt")).toBe("");
    expect(await sql(db, "SELECT verdict, decided_by, decided_at > 1.7e12 AS at FROM merge_approval")).toEqual([
      { verdict: "approved", decided_by: said.approved[0].by, at: 1 },
    ]);
    const late = await onQueue(db, ["approve", "1"]);
    expect(late).toMatchObject({ code: 5 });
    expect(late.stderr).toContain("project 1 a is merged.\n       There is nothing left to approve.");
  });

  test("only those that a type rule asks for it need one", async () => {
    const repo = makeRepo();
    const node = withProject(repo, "node", { files: { "package.json": "{}\n" } });
    const other = withProject(repo, "other");
    const db = await queueOf(repo, node.spec, other.spec);
    expect(reasons(await tick(db, [], { config: example('match = { path = "**", type = "node" }') }))).toEqual({
      node: "awaiting_approval",
      other: "merged",
    });
  });

  test("a project completed again has nobody's word", async () => {
    const { db } = await finished("a");
    await onQueue(db, ["approve", "1"], { config: approveAll });
    await sql(db, "UPDATE project_queue SET completed_at = 1999999999 WHERE id = 1");
    expect((await tick(db, [], { config: approveAll })).of(1).reason).toBe("awaiting_approval");
  });

  test("what is not finished cannot be approved, and says why; nothing is written", async () => {
    const { db, agents } = await finished("a", "b");
    agents[1]?.write({ "half.txt": "" });
    const said = await onQueue(db, ["approve", "1", "2"], { config: approveAll });
    expect(said).toMatchObject({ code: 5, stdout: "" });
    expect(said.stderr).toContain("project 2 cannot be approved yet. dirty_source:");
    expect(await sql(db, "SELECT * FROM merge_approval")).toEqual([]);
  });

  test("a rejected one fails with the reason, and stays so whatever its agents commit, until retry", async () => {
    const { db, agents } = await finished("a");
    expect((await onQueue(db, ["reject", "1"])).code).toBe(2);
    expect((await onQueue(db, ["reject", "1", "--reason", "breaks the API"])).code).toBe(0);
    expect(await outcomeOf(db, 1)).toMatchObject({ status: "merge_failed" });
    expect((await outcomeOf(db, 1)).error).toMatch(/^Merge failed: rejected: .+: breaks the API$/);
    agents[0]?.commit({ "more.txt": "" });
    expect((await tick(db)).report.results).toEqual([]);
    expect((await tick(db, ["--only", "1"])).report.results).toEqual([]);
    await onQueue(db, ["retry", "1"]);
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });
});

test("several reasons are all said, and explain has the rule of each and the next command", async () => {
  const { db } = await finished("a", "b");
  await sql(db, "INSERT INTO merge_dependency VALUES (2, 1)");
  const config = `${approveAll}${example("freeze =")}`;
  const done = await tick(db, [], { config });
  for (const word of ["waits for project 1 a (pending)", "Also outside_window", "Also awaiting_approval"])
    expect(done.of(2).detail).toContain(word);
  const text = (await onQueue(db, ["explain", "2"], { config })).stdout;
  for (const line of [
    /^#2 b {2}⏸\[HELD\]$/m,
    /^ {2}In the way {2}blocked_by_dependency: waits for project 1 a \(held: outside_window\)/m,
    /^ {14}awaiting_approval: nobody has approved it/m,
    /^ {2}Waits for {3}1 a: held: outside_window$/m,
    /^ {2}approval {2}true {2}\(config file line 1\)$/m,
    /^ {2}freeze {4}2020-12-20 to 2999-01-04T08:00 Europe\/Berlin {2}\(config file line 4\)$/m,
    /held: blocked_by_dependency/,
  ])
    expect(text).toMatch(line);
  const document = JSON.parse((await onQueue(db, ["explain", "2", "--json"], { config })).stdout);
  expect(document.now.obstacles.map((one: { reason: string }) => one.reason)).toEqual([
    "blocked_by_dependency",
    "outside_window",
    "awaiting_approval",
  ]);
  expect(document.settings).toContainEqual({ key: "approval", value: "true", source: "config file line 1" });
  expect(document.attempts).toHaveLength(1);
  expect((await onQueue(db, ["explain", "99"])).code).toBe(5);
});

test("explain changes nothing, and has the story of what has landed", async () => {
  const { db } = await finished("a");
  await tick(db);
  const before = readFileSync(db);
  const said = await onQueue(db, ["explain", "1"]);
  expect(said.stdout).toMatch(/^ {4}merge {3}[0-9a-f]{40} on main$/m);
  expect(readFileSync(db).equals(before)).toBe(true);
});

test("with a broken configuration a run lands nothing, and says the line", async () => {
  const { db } = await finished("a");
  const said = await onQueue(db, ["run"], { config: '[[rule]]\nmatch = { name = "a" }\naproval = true\n' });
  expect(said).toMatchObject({ code: 2, stdout: "" });
  expect(said.stderr).toContain('config.toml:3: unknown key "aproval" in [[rule]]. Did you mean approval?');
  expect((await outcomeOf(db, 1)).status).toBe("pending_merge");
});

test("a dependency whose row is gone: met when it had landed, else held and said", async () => {
  const repo = makeRepo();
  const [a, b] = [withProject(repo, "a"), withProject(repo, "b")];
  const db = await queueDb(repo.dir, { rows: [rowOf(repo, a.spec), rowOf(repo, b.spec)] });
  await sql(db, "INSERT INTO merge_dependency VALUES (2, 1), (2, 55)");
  const done = await tick(db);
  expect(done.of(2).detail).toBe("waits for project 55 (gone from the queue).");
  await sql(db, "DELETE FROM project_queue WHERE id = 1");
  await sql(db, "DELETE FROM merge_dependency WHERE depends_on = 55");
  expect((await tick(db)).of(2).outcome).toBe("merged");
});
