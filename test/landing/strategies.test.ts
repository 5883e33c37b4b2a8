import { describe, expect, test } from "vitest";
import { onQueue, queueOf, rowOf, tick } from "../helpers/landing.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import { makeRepo, type Repo, withClone, withProject, withRemote, withWorktree, writeSpec } from "../helpers/repo.ts";

const by = (strategy: string) => ({ config: `[merge]\nstrategy = "${strategy}"\n` });
const completedAgain = (db: string) =>
  sql(db, "UPDATE project_queue SET completed_at = coalesce(completed_at, 0) + 100, merged_status = NULL");
const log = (repo: Repo, format: string, ...rest: string[]) =>
  repo.git("log", "--first-parent", "--reverse", `--format=${format}`, ...rest, "main").split("\n");
const audited = async (db: string, settings: { config: string }) => {
  const said = await onQueue(db, ["audit", "--json"], settings);
  const { checked, proved, wrong, unproved } = JSON.parse(said.stdout);
  expect({ wrong, unproved }).toEqual({ wrong: [], unproved: [] });
  expect(proved).toBe(checked);
  return checked;
};

describe("squash", () => {
  test("makes one commit of each head: what it does, whose it is, and what it was", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "a.txt": "1\n" }, message: "First" });
    agent.commit({ "a.txt": "2\n", "CLAUDE.md": "mine\n" }, "Second");
    const tester = withWorktree(repo, spec, { role: "tester", files: { "t.txt": "t\n" }, message: "Tests" });
    tester.git("-c", "user.name=x", "commit", "-q", "--allow-empty", "--author=Tess <t@example.com>", "-m", "More");
    const base = repo.commit({ "mine.txt": "m\n" }, "Mine");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db, [], by("squash"))).of(1);
    expect(landed).toMatchObject({ outcome: "merged", strategy: "squash", mergeCommit: repo.head() });
    expect(landed.warnings).toEqual(["the target's CLAUDE.md was kept (developer had its own)"]);
    expect(log(repo, "%P|%an|%cn|%s").slice(2)).toEqual([
      `${base}|An Agent|Pat User|Squash integration from developer: cart`,
      `${repo.git("rev-parse", "main~1")}|Pat User|Pat User|Squash integration from tester: cart`,
    ]);
    const body = repo.git("log", "-1", "--format=%B", "main~1").split("\n");
    expect(body.slice(2, 5)).toEqual(["* First", "* Second", ""]);
    expect(repo.git("log", "-1", "--format=%(trailers)", "main~1").split("\n").slice(0, 3)).toEqual([
      "Orchestrator-Project: 1",
      expect.stringMatching(/^Orchestrator-Attempt: [0-9A-Z]{26}$/),
      `Orchestrator-Head: ${agent.head()}`,
    ]);
    expect([repo.read("a.txt"), repo.read("t.txt"), repo.read("CLAUDE.md")]).toEqual(["2\n", "t\n", null]);
    expect(repo.git("rev-parse", String(landed.backupRef))).toBe(base);
    expect(repo.git("rev-parse", `${landed.tag}^{commit}`)).toBe(landed.mergeCommit);
    const proofs = repo.git("for-each-ref", "--format=%(objectname)", "refs/orchestrator/landed").split("\n");
    expect(new Set(proofs)).toEqual(new Set([repo.head(), repo.git("rev-parse", "main~1")]));
    expect(await audited(db, by("squash"))).toBe(1);
    expect(repo.git("fsck", "--strict", "--no-dangling")).toBe("");
  });
});

describe.each(["squash", "rebase"])("after a %s", (strategy) => {
  test("the same head does not land again, not from another row either", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const first = (await tick(db, [], by(strategy))).of(1);
    expect(repo.git("rev-list", "--merges", "main")).toBe("");
    repo.commit({ "cart-developer.txt": "changed since\n" });
    const before = repo.head();
    await completedAgain(db);
    await insertRows(db, [rowOf(repo, { spec_path: writeSpec(repo, "other.md") })]);
    await sql(db, "INSERT INTO merge_source (project_id, worktree) VALUES (2, ?)", [agent.path]);
    const done = await tick(db, [], by(strategy));
    for (const id of [1, 2])
      expect(done.of(id)).toMatchObject({ outcome: "already_merged", mergeCommit: first.mergeCommit });
    // Nor when it is to be merged now.
    await completedAgain(db);
    expect((await tick(db, [], by("merge"))).of(1)).toMatchObject({ outcome: "already_merged" });
    expect(repo.head()).toBe(before);
    expect(await audited(db, by("merge"))).toBe(2);
  });

  test("a head that goes on from it brings its newer commits, whatever became of the older ones", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "a.txt": "1\n2\n3\n", "b.txt": "b\n" } });
    const db = await queueOf(repo, spec);
    await tick(db, [], by(strategy));
    repo.git("rm", "-q", "b.txt");
    repo.commit({ "a.txt": "one\n2\n3\n" }, "Later");
    agent.commit({ "a.txt": "1\n2\nthree\n" }, "Newer");
    await completedAgain(db);
    expect((await tick(db, [], by(strategy))).of(1)).toMatchObject({ outcome: "merged", warnings: [] });
    expect([repo.read("a.txt"), repo.read("b.txt")]).toEqual(["one\n2\nthree\n", null]);
    agent.commit({ "c.txt": "c\n" }, "Newest");
    await completedAgain(db);
    expect((await tick(db, [], by("merge"))).of(1)).toMatchObject({ outcome: "merged", strategy: "merge" });
    expect([repo.read("a.txt"), repo.read("b.txt"), repo.read("c.txt")]).toEqual(["one\n2\nthree\n", null, "c\n"]);
    expect(await audited(db, by("merge"))).toBe(1);
    agent.commit({ "d.txt": "d\n" }, "Last");
    await completedAgain(db);
    expect((await tick(db, [], by(strategy))).of(1)).toMatchObject({ outcome: "merged", strategy });
    expect(repo.git("rev-list", "--count", "main~1..main")).toBe("1");
    expect(repo.git("diff", "--stat", "main~1", "main")).toContain("d.txt");
    expect(await audited(db, by(strategy))).toBe(1);
  });

  test("what was reverted comes back, and a head that goes on from there brings it along", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "a.txt": "1\n" } });
    agent.commit({ "a.txt": "2\n" });
    const db = await queueOf(repo, spec);
    const base = repo.head();
    await tick(db, [], by(strategy));
    const revert = () => {
      repo.git("revert", "--no-edit", `${base}..HEAD`);
      expect(repo.read("a.txt")).toBeNull();
    };
    revert();
    await completedAgain(db);
    const back = (await tick(db, [], by(strategy))).of(1);
    expect(back).toMatchObject({ outcome: "merged", warnings: ["it had been reverted: its changes are brought back"] });
    expect(repo.read("a.txt")).toBe("2\n");
    expect(await audited(db, by(strategy))).toBe(1);
    repo.git("revert", "--no-edit", `${back.backupRef}..HEAD`);
    agent.commit({ "b.txt": "b\n" });
    await completedAgain(db);
    expect((await tick(db, [], by(strategy))).of(1).outcome).toBe("merged");
    expect([repo.read("a.txt"), repo.read("b.txt")]).toEqual(["2\n", "b\n"]);
    expect(await audited(db, by(strategy))).toBe(1);
  });

  test("what was merged before and reverted comes back too", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "a.txt": "1\n" } });
    const db = await queueOf(repo, spec);
    repo.git("revert", "--no-edit", "-m", "1", String((await tick(db)).of(1).mergeCommit));
    await completedAgain(db);
    expect((await tick(db, [], by(strategy))).of(1).outcome).toBe("merged");
    expect(repo.read("a.txt")).toBe("1\n");
    expect(await audited(db, by(strategy))).toBe(1);
    repo.git("revert", "--no-edit", "HEAD");
    agent.commit({ "b.txt": "b\n" });
    await completedAgain(db);
    expect((await tick(db, [], by(strategy))).of(1).outcome).toBe("merged");
    expect([repo.read("a.txt"), repo.read("b.txt")]).toEqual(["1\n", "b\n"]);
  });

  test("another project whose head contains it lands only its own, in the same run", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "a", { files: { "a.txt": "a\n" } });
    const other = withProject(repo, "b", { from: agent.head(), files: { "a.txt": "b\n" } });
    const same = withProject(repo, "c", { from: agent.head(), files: null });
    const db = await queueOf(repo, spec, other.spec, same.spec);
    const rules = `[merge]\nstrategy = "${strategy}"\n[[rule]]\nmatch = {name = "b"}\nstrategy = "merge"\n`;
    const done = await tick(db, [], { config: rules });
    expect(done.report.summary).toMatchObject({ merged: 3 });
    expect([1, 2].map((id) => done.of(id).strategy)).toEqual([strategy, "merge"]);
    expect(done.of(3).mergeCommit).toBe(done.of(1).mergeCommit);
    expect(repo.read("a.txt")).toBe("b\n");
    expect(await audited(db, { config: rules })).toBe(3);
  });

  test("a clone's work is whole in the project, without the clone", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const spec = writeSpec(repo, "cart.md");
    const clone = withClone(repo, spec, { files: { "a.txt": "1\n" } });
    clone.commit({ "a.txt": "2\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], by(strategy))).of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
    expect(repo.git("fsck", "--strict", "--no-dangling")).toBe("");
    await completedAgain(db);
    expect((await tick(db, [], by(strategy))).of(1).outcome).toBe("already_merged");
  });
});

describe("rebase", () => {
  test("does each commit again: author, date and message stay, trailers are added, the last names the head", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", {
      files: { "a.txt": "1\n", "CLAUDE.md": "x\n" },
      message: "Add a\n\nWhy.\n\nSigned-off-by: An Agent <agent@example.com>",
      hours: 3,
    });
    agent.commit({ "CLAUDE.md": "y\n" }, "Only its own file");
    agent.commit({ "cart.txt": "one\ntwo\nthree\nfour\n5\n" }, "Change", 4);
    const base = repo.commit({ "cart.txt": "1\ntwo\nthree\nfour\nfive\n" }, "Mine");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db, [], by("rebase"))).of(1);
    expect(landed).toMatchObject({ outcome: "merged", strategy: "rebase", mergeCommit: repo.head() });
    const ours = repo.git("log", "--reverse", "--format=%an|%at|%cn|%s", `${base}..main`).split("\n");
    const theirs = agent.git("log", "--reverse", "--format=%an|%at|Pat User|%s", "HEAD~3..").split("\n");
    expect(ours).toEqual([theirs[0], theirs[2]]);
    expect(repo.git("log", "-1", "--format=%B", "main~1")).toMatch(
      /^Add a\n\nWhy\.\n\nSigned-off-by: An Agent <agent@example.com>\nOrchestrator-Project: 1\nOrchestrator-Attempt: .*\n$/,
    );
    expect(repo.git("log", "-1", "--format=%(trailers:key=Orchestrator-Head,valueonly)", "main").trim()).toBe(
      agent.head(),
    );
    expect(repo.read("cart.txt")).toBe("1\ntwo\nthree\nfour\n5\n");
    expect(landed.warnings).toEqual(["the target's CLAUDE.md was kept (developer had its own)"]);
    expect(await audited(db, by("rebase"))).toBe(1);
    expect(repo.git("fsck", "--strict", "--no-dangling")).toBe("");
  });

  test("names the commit that conflicts", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { message: "Fine" });
    const oid = agent.commit({ "cart.txt": "agent\n" }, "Rewrite the cart");
    agent.commit({ "more.txt": "x\n" });
    const head = repo.commit({ "cart.txt": "mine\n" });
    const db = await queueOf(repo, spec);
    const failed = (await tick(db, [], by("rebase"))).of(1);
    expect(failed).toMatchObject({
      outcome: "merge_failed",
      reason: "conflict",
      conflicts: ["cart.txt"],
      strategy: null,
    });
    expect(failed.detail).toBe(
      `developer's commit ${oid.slice(0, 10)} (Rewrite the cart) conflicts with main in cart.txt.`,
    );
    expect(repo.head()).toBe(head);
  });

  test("leaves merge commits out where they only merge, and refuses where they hold more", async () => {
    const repo = makeRepo();
    const plain = withProject(repo, "plain", { files: { "p.txt": "p\n" } });
    const resolved = withProject(repo, "resolved", { files: { "cart.txt": "agent\n" } });
    repo.commit({ "cart.txt": "mine\n" });
    plain.agent.git("merge", "-q", "--no-edit", "main");
    plain.agent.commit({ "q.txt": "q\n" });
    expect(() => resolved.agent.git("merge", "-q", "--no-edit", "main")).toThrow();
    resolved.agent.commit({ "cart.txt": "both\n" }, "Merge main");
    const db = await queueOf(repo, plain.spec, resolved.spec);
    const done = await tick(db, [], by("rebase"));
    expect(done.of(1).outcome).toBe("merged");
    expect(repo.git("rev-list", "--merges", "main")).toBe("");
    expect(done.of(2)).toMatchObject({ outcome: "merge_failed", reason: "conflict" });
    expect(done.of(2).detail).toContain("merge commits");
    await onQueue(db, ["retry", "2"]);
    expect((await tick(db, [], by("squash"))).of(2).outcome).toBe("merged");
    expect(repo.read("cart.txt")).toBe("both\n");
    expect(await audited(db, by("rebase"))).toBe(2);
  });

  test("of what the target has already leaves one empty commit that says so", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    repo.commit({ "x.txt": "x\n" });
    repo.git("cherry-pick", agent.head());
    const before = repo.head();
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], by("rebase"))).of(1).outcome).toBe("merged");
    expect(repo.git("log", "--format=%s", `${before}..`)).toBe("Rebase integration from developer: cart");
    expect(repo.git("diff", before, "HEAD")).toBe("");
    await completedAgain(db);
    expect((await tick(db, [], by("rebase"))).of(1).outcome).toBe("already_merged");
    expect(await audited(db, by("rebase"))).toBe(1);
  });
});

describe("ff", () => {
  test("makes the head itself the tip, with backup, tag and proof", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec, agent } = withProject(repo, "cart");
    agent.commit({ "b.txt": "b\n" });
    const base = repo.head();
    const db = await queueOf(repo, spec);
    const landed = (await tick(db, [], by("ff"))).of(1);
    expect(landed).toMatchObject({ outcome: "merged", strategy: "ff", mergeCommit: agent.head(), push: "pushed" });
    expect([repo.head(), remote.git("rev-parse", "main")]).toEqual([agent.head(), agent.head()]);
    expect(repo.git("rev-parse", String(landed.backupRef))).toBe(base);
    expect(repo.git("rev-parse", `${landed.tag}^{commit}`)).toBe(agent.head());
    expect(await audited(db, by("ff"))).toBe(1);
    await completedAgain(db);
    expect((await tick(db, [], by("ff"))).of(1)).toMatchObject({ outcome: "already_merged" });
    expect(await audited(db, by("ff"))).toBe(1);
  });

  test("is held where the target has gone on, where heads part, and where the head has a file that stays the target's", async () => {
    const repo = makeRepo();
    const late = withProject(repo, "late");
    repo.commit({ "mine.txt": "m\n" });
    const two = withProject(repo, "two");
    withWorktree(repo, two.spec, { role: "tester" });
    const own = withProject(repo, "own", { files: { "CLAUDE.md": "x\n" } });
    const head = repo.head();
    const db = await queueOf(repo, late.spec, two.spec, own.spec);
    const done = await tick(db, [], by("ff"));
    for (const id of [1, 2, 3]) expect(done.of(id)).toMatchObject({ outcome: "held", reason: "target_diverged" });
    expect(done.of(1).detail).toContain("main has commits that developer lacks");
    expect(done.of(2).detail).toContain("developer and tester have gone different ways");
    expect(done.of(3).detail).toContain("CLAUDE.md");
    expect(repo.head()).toBe(head);
    late.agent.git("rebase", "-q", "main");
    expect((await tick(db, [], by("ff"))).of(1).outcome).toBe("merged");
  });

  test("that was reverted is brought back by another strategy, and held by this one", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "a.txt": "1\n" } });
    agent.commit({ "a.txt": "2\n" });
    const db = await queueOf(repo, spec);
    const base = repo.head();
    await tick(db, [], by("ff"));
    repo.git("revert", "--no-edit", `${base}..HEAD`);
    await completedAgain(db);
    expect((await tick(db, [], by("ff"))).of(1)).toMatchObject({ outcome: "held", reason: "target_diverged" });
    expect((await tick(db, [], by("squash"))).of(1).outcome).toBe("merged");
    expect(repo.read("a.txt")).toBe("2\n");
    const { wrong, unproved } = JSON.parse((await onQueue(db, ["audit", "--json"])).stdout);
    expect({ wrong, unproved }).toMatchObject({ wrong: [], unproved: [{ id: 1 }] });
  });
});
