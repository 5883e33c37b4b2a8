import { describe, expect, test } from "vitest";
import { outcomeOf, pushOf, queueOf, rowOf, tick, waitsOver } from "../helpers/landing.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import { colleague, fingerprint, makeRepo, refsOf, withProject, withRemote, writeFiles } from "../helpers/repo.ts";

/** A project with a remote on which a colleague has pushed `files` since. */
function behind(files: Record<string, string> = { "theirs.txt": "theirs\n" }) {
  const repo = makeRepo();
  const remote = withRemote(repo);
  const { spec, agent } = withProject(repo, "cart");
  const other = colleague(remote);
  const theirs = other.commit(files, "theirs");
  other.git("push", "-q", "origin", "main");
  return { repo, remote, spec, agent, other, theirs };
}

describe("a remote that is ahead", () => {
  test("is taken in first: the landing stands on it, and the checkout has both", async () => {
    const { repo, remote, spec, theirs } = behind();
    repo.write({ "README.md": "edited\n" });
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(landed).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(repo.git("rev-parse", "main~1")).toBe(theirs);
    expect([repo.read("theirs.txt"), repo.read("cart-developer.txt"), repo.read("README.md")]).toEqual([
      "theirs\n",
      "done\n",
      "edited\n",
    ]);
    expect(repo.git("rev-parse", String(landed.backupRef))).toBe(theirs);
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
    expect(repo.git("fsck", "--strict", "--no-dangling")).toBe("");
    expect(repo.git("status", "-sb", "--untracked-files=no")).toBe("## main...origin/main\n M README.md");
  });

  test("in files that the checkout has edited is held dirty_target, and nothing moves", async () => {
    const { repo, remote, spec } = behind({ "README.md": "theirs\n" });
    repo.write({ "README.md": "mine\n" });
    const before = [refsOf(repo), refsOf(remote), fingerprint(repo.path, (path) => path.startsWith(".git"))];
    const db = await queueOf(repo, spec);
    const held = (await tick(db)).of(1);
    expect(held).toMatchObject({ outcome: "held", reason: "dirty_target" });
    expect(held.detail).toContain("README.md");
    expect([refsOf(repo), refsOf(remote), fingerprint(repo.path, (path) => path.startsWith(".git"))]).toEqual(before);
  });

  test("and conflicts with the agent is a conflict", async () => {
    const { repo, spec } = behind({ "cart-developer.txt": "theirs\n" });
    const before = refsOf(repo);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ reason: "conflict", conflicts: ["cart-developer.txt"] });
    expect(refsOf(repo)).toEqual(before);
  });

  test("holds the work itself, merged there by somebody: already_merged, and the checkout has it too", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec, agent } = withProject(repo, "cart");
    repo.git("push", "-q", "origin", `${agent.head()}:refs/heads/main`);
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1).outcome).toBe("already_merged");
    expect(remote.git("rev-parse", "main")).toBe(agent.head());
    expect(repo.git("rev-parse", "main")).toBe(agent.head());
    expect(repo.read("cart-developer.txt")).toBe("done\n");
  });

  test("where the target is not checked out is taken in without a checkout", async () => {
    const { repo, remote, spec, theirs } = behind();
    repo.git("checkout", "-q", "--detach");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(repo.git("rev-parse", "main~1")).toBe(theirs);
    expect(remote.git("rev-parse", "main")).toBe(repo.git("rev-parse", "main"));
    expect(repo.read("theirs.txt")).toBeNull();
  });

  test("was fetched already: its objects are here", async () => {
    const { repo, spec, theirs } = behind();
    repo.git("fetch", "-q");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).push).toBe("pushed");
    expect(repo.git("rev-parse", "main~1")).toBe(theirs);
  });
});

describe("a remote that went another way", () => {
  /** Our landing is not published yet, and a colleague has pushed. */
  async function diverged(files?: Record<string, string>) {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart", { files: { "cart.txt": "agent\n" } });
    const db = await queueOf(repo, spec);
    writeFiles(remote.path, { "hooks/pre-receive": { program: "#!/bin/sh\nexit 1\n" } });
    const landed = (await tick(db)).of(1);
    expect(landed.push).toBe("refused");
    writeFiles(remote.path, { "hooks/pre-receive": { program: "#!/bin/sh\nexit 0\n" } });
    const other = colleague(remote);
    const theirs = other.commit(files ?? { "theirs.txt": "theirs\n" }, "theirs");
    other.git("push", "-q", "origin", "main");
    await waitsOver(db);
    return { repo, remote, db, theirs, landed };
  }

  test("than our unpublished landing is merged in memory, and pushed", async () => {
    const { repo, remote, db, theirs, landed } = await diverged();
    const done = await tick(db);
    expect(done.report.pushes).toEqual([expect.objectContaining({ state: "pushed" })]);
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
    expect(repo.git("log", "-1", "--format=%P")).toBe(`${landed.mergeCommit} ${theirs}`);
    expect(repo.git("log", "-1", "--format=%s")).toBe("Merge remote-tracking branch 'origin/main'");
    expect([repo.read("theirs.txt"), repo.read("cart.txt")]).toEqual(["theirs\n", "agent\n"]);
    expect(repo.git("status", "--porcelain")).toBe("");
    expect(await pushOf(db, 1)).toBe("pushed");
    expect((await tick(db)).report.pushes).toEqual([]);
  });

  test("is taken in before the next project lands", async () => {
    const { repo, remote, db } = await diverged();
    await insertRows(db, [rowOf(repo, withProject(repo, "next").spec)]);
    expect((await tick(db)).of(2)).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
    expect(await pushOf(db, 1)).toBe("pushed");
  });

  test("in conflict with ours holds the next project target_diverged, and the push stays owed", async () => {
    const { repo, remote, db, theirs } = await diverged({ "cart.txt": "theirs\n" });
    const before = refsOf(repo, "refs/heads/main");
    await insertRows(db, [rowOf(repo, withProject(repo, "next").spec)]);
    const held = (await tick(db)).of(2);
    expect(held).toMatchObject({ outcome: "held", reason: "target_diverged" });
    expect(held.detail).toContain("cart.txt");
    expect(refsOf(repo, "refs/heads/main")).toEqual(before);
    expect(remote.git("rev-parse", "main")).toBe(theirs);
    expect(await pushOf(db, 1)).not.toBe("pushed");
    expect((await outcomeOf(db, 1)).status).toBe("merged");
  });

  test(`with diverged = "hold" is not merged`, async () => {
    const { repo, remote, db, theirs } = await diverged();
    await insertRows(db, [rowOf(repo, withProject(repo, "next").spec)]);
    const done = await tick(db, [], { config: `[push]\ndiverged = "hold"\n` });
    expect(done.of(2)).toMatchObject({ outcome: "held", reason: "target_diverged" });
    expect(remote.git("rev-parse", "main")).toBe(theirs);
  });
});

describe("somebody's unpublished commits on the target", () => {
  test("withhold the push until they are published, then it follows", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const before = refsOf(remote);
    const { spec } = withProject(repo, "cart");
    const mine = repo.commit({ "mine.txt": "mine\n" });
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "merged", push: "withheld" });
    expect(done.report.pushes[0]).toMatchObject({ detail: expect.stringContaining(mine.slice(0, 10)) });
    expect(refsOf(remote)).toEqual(before);
    expect((await tick(db)).report.pushes[0]).toMatchObject({ state: "withheld" });
    repo.git("push", "-q", "origin", `${mine}:refs/heads/main`);
    expect((await tick(db)).report.pushes[0]).toMatchObject({ state: "pushed" });
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
    expect(Object.keys(refsOf(remote, "refs/tags"))).toHaveLength(1);
    expect(await pushOf(db, 1)).toBe("pushed");
  });

  test("made on top of an unpublished landing of ours withhold it too", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], { config: `[push]\nmode = "off"\n` })).of(1).push).toBe("off");
    repo.commit({ "mine.txt": "mine\n" });
    const before = refsOf(remote);
    await insertRows(db, [rowOf(repo, withProject(repo, "next").spec)]);
    expect((await tick(db)).of(2)).toMatchObject({ outcome: "merged", push: "withheld" });
    expect(refsOf(remote)).toEqual(before);
  });

  test("that diverged from the remote withhold it, and nothing is taken in", async () => {
    const { repo, remote, spec, theirs } = behind();
    repo.commit({ "mine.txt": "mine\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "withheld" });
    expect(remote.git("rev-parse", "main")).toBe(theirs);
    expect(repo.read("theirs.txt")).toBeNull();
    repo.git("pull", "-q", "--no-rebase", "--no-edit");
    repo.git("push", "-q", "origin", "main");
    await waitsOver(db);
    expect((await tick(db)).report.pushes[0]).toMatchObject({ state: "pushed" });
    expect(Object.keys(refsOf(remote, "refs/tags"))).toHaveLength(1);
  });

  test(`go along with unpublished = "push"`, async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    repo.commit({ "mine.txt": "mine\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], { config: `[push]\nunpublished = "push"\n` })).of(1).push).toBe("pushed");
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
  });

  test("that are landings of ours, not pushed then, are no strangers", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    await tick(db, [], { config: `[push]\nmode = "off"\n` });
    await insertRows(db, [rowOf(repo, withProject(repo, "next").spec)]);
    expect((await tick(db)).of(2).push).toBe("pushed");
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
    const [row] = await sql(db, "SELECT count(*) AS n FROM merge_attempt WHERE push = 'off'");
    expect(row?.["n"]).toBe(1);
  });
});
