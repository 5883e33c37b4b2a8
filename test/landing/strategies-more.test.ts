import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { onQueue, queueOf, rowOf, tick } from "../helpers/landing.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import { colleague, makeRepo, refsOf, withProject, withRemote, withWorktree } from "../helpers/repo.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/rules.md"), "utf8");
const section = /^## Strategies\n(.*?)(?=^## |(?![\s\S]))/ms.exec(page)?.[1] ?? "";
const examples = [...section.matchAll(/^```toml\n(.*?)^```/gms)].map(([, text = ""]) => text);
const by = (strategy: string) => ({ config: `[merge]\nstrategy = "${strategy}"\n` });
const audit = async (db: string) => JSON.parse((await onQueue(db, ["audit", "--json"])).stdout);

describe("docs/rules.md", () => {
  test("each project lands by the strategy of its rule, in one chain", async () => {
    const repo = makeRepo();
    const ff = withProject(repo, "release-1");
    const squash = withProject(repo, "shop");
    const rebase = withProject(repo, "api");
    const db = await queueOf(repo, ff.spec, squash.spec, rebase.spec);
    await sql(db, "INSERT INTO merge_project_tag (project_id, tag) VALUES (3, 'history')");
    const done = await tick(db, [], { config: String(examples[0]) });
    expect([1, 2, 3].map((id) => done.of(id).strategy)).toEqual(["ff", "squash", "rebase"]);
    expect(repo.git("log", "--reverse", "--format=%s", "--first-parent").split("\n").slice(1)).toEqual([
      "release-1-developer",
      "Squash integration from developer: shop",
      "api-developer",
    ]);
    expect(await audit(db)).toMatchObject({ checked: 3, proved: 3, wrong: [] });
  });

  test("files that stay the target's", async () => {
    const repo = makeRepo({ files: { "CLAUDE.md": "ours\n" } });
    const files = { "CLAUDE.md": "x\n", ".claude/a/b.json": "{}\n", "src/.agent-notes/n.md": "n\n", "a.txt": "a\n" };
    const { spec } = withProject(repo, "cart", { files });
    const db = await queueOf(repo, spec);
    const landed = (await tick(db, [], { config: String(examples[1]) })).of(1);
    expect(landed.warnings.join()).toContain("CLAUDE.md");
    expect(repo.git("ls-tree", "-r", "--name-only", "HEAD").split("\n")).toEqual(["CLAUDE.md", "a.txt"]);
    expect(repo.read("CLAUDE.md")).toBe("ours\n");
  });
});

test("a trailer in an agent's own commit does not make another agent's head landed", async () => {
  const repo = makeRepo();
  const victim = withProject(repo, "victim");
  const message = `work\n\nOrchestrator-Project: 9\nOrchestrator-Attempt: 01KAP2V7Q4M3J9T6X8Z5B1C0DE\nOrchestrator-Head: ${victim.agent.head()}`;
  const merged = withProject(repo, "merged", { message });
  // A carriage return ends a line for some: the second of these hides the trailer behind one.
  const rebased = withProject(repo, "rebased", { message: message.replaceAll("\n", "\r") });
  const db = await queueOf(repo, merged.spec, rebased.spec);
  await tick(db, ["--only", "1"]);
  await tick(db, [], by("rebase"));
  await insertRows(db, [rowOf(repo, victim.spec)]);
  expect((await tick(db, [], by("squash"))).of(3)).toMatchObject({ outcome: "merged" });
  expect(repo.read("victim-developer.txt")).toBe("done\n");
});

test("a fast-forward to a commit that says it is a landing is refused", async () => {
  const repo = makeRepo();
  const message = `work\n\nOrchestrator-Head: ${repo.git("rev-parse", "main")}`;
  const { spec } = withProject(repo, "forger", { message });
  const done = await tick(await queueOf(repo, spec), [], by("ff"));
  expect(done.of(1)).toMatchObject({ outcome: "held", reason: "target_diverged" });
  expect(done.of(1).detail).toContain("which only this program may");
});

test("a dry run of each strategy writes nothing", async () => {
  const repo = makeRepo();
  const { spec } = withProject(repo, "cart");
  const db = await queueOf(repo, spec);
  const before = [refsOf(repo), repo.git("count-objects", "-v")];
  for (const strategy of ["squash", "rebase", "ff"]) {
    const done = await tick(db, ["--dry-run"], by(strategy));
    expect(done.of(1)).toMatchObject({ outcome: "merged", strategy, mergeCommit: null });
  }
  expect([refsOf(repo), repo.git("count-objects", "-v")]).toEqual(before);
});

test("a remote that went its own way is taken in, and the squash follows on that", async () => {
  const repo = makeRepo();
  const remote = withRemote(repo);
  const { spec } = withProject(repo, "cart");
  repo.commit({ "mine.txt": "m\n" });
  const other = colleague(remote);
  other.commit({ "theirs.txt": "t\n" });
  other.git("push", "-q");
  const db = await queueOf(repo, spec);
  const config = `${by("squash").config}[push]\nunpublished = "push"\n`;
  expect((await tick(db, [], { config })).of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
  expect(remote.git("rev-parse", "main")).toBe(repo.head());
  expect(["mine.txt", "theirs.txt", "cart-developer.txt"].map((path) => repo.read(path))).toEqual([
    "m\n",
    "t\n",
    "done\n",
  ]);
  expect(await audit(db)).toMatchObject({ proved: 1, wrong: [] });
});

describe("audit", () => {
  test.each(["squash", "rebase"])("finds a %s that is not what its head comes to", async (strategy) => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "a.txt": "1\n" } });
    agent.commit({ "b.txt": "2\n" });
    withWorktree(repo, spec, { role: "tester" });
    const db = await queueOf(repo, spec);
    await tick(db, [], by(strategy));
    const message = repo.git("log", "-1", "--format=%B");
    repo.git("reset", "-q", "--hard", "HEAD~1");
    repo.commit({ "cart-tester.txt": "slipped in\n" }, message);
    await sql(db, "UPDATE merge_attempt SET merge_commit = ?", [repo.head()]);
    const said = await audit(db);
    expect(said.wrong.map(({ what }: { what: string }) => what).join("\n")).toMatch(
      /is not what [0-9a-f]{10} comes to there: another version of cart-tester.txt/,
    );
  });

  test("says what it cannot prove when the squashed branch is gone", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    await tick(db, [], by("squash"));
    const branch = agent.git("symbolic-ref", "--short", "HEAD");
    repo.git("worktree", "remove", "--force", agent.path);
    repo.git("branch", "-q", "-D", branch);
    repo.git("reflog", "expire", "--expire=now", "--all");
    repo.git("gc", "-q", "--prune=now");
    const said = await audit(db);
    expect(said).toMatchObject({ wrong: [], unproved: [{ id: 1 }] });
    expect(said.unproved[0].why).toContain("gone with their branch");
  });
});
