import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { logOf, outcomeOf, queueOf, tick } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import {
  type Agent,
  fingerprint,
  makeRepo,
  plainDirectory,
  withClone,
  withProject,
  withWorktree,
  writeFiles,
  writeSpec,
} from "../helpers/repo.ts";

describe("uncommitted work of an agent holds the project", () => {
  const cart = "one\ntwo\nthree\nfour\nfive\n";
  const cases: [string, string, (agent: Agent) => void][] = [
    ["a tracked edit", "cart.txt", (agent) => agent.write({ "cart.txt": "half\n" })],
    ["an untracked file", "src/new.txt", (agent) => agent.write({ "src/new.txt": "half\n" })],
    ["a staged edit", "cart.txt", (agent) => agent.git("rm", "-q", "--cached", "cart.txt")],
    ["a deletion", "cart.txt", (agent) => rmSync(join(agent.path, "cart.txt"))],
    ["a staged deletion", "cart.txt", (agent) => agent.git("rm", "-q", "cart.txt")],
    ["a changed mode", "cart.txt", (agent) => agent.write({ "cart.txt": { program: cart } })],
    ["a log of another name", "run.log.bak", (agent) => agent.write({ "run.log.bak": "x\n" })],
  ];
  test.each(cases)("%s", async (_what, named, make) => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    make(agent);
    const before = [repo.git("for-each-ref"), fingerprint(agent.path)];
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "held", reason: "dirty_source" });
    expect(done.of(1).detail).toContain(named);
    expect(done.code).toBe(0);
    expect([repo.git("for-each-ref"), fingerprint(agent.path)]).toEqual(before);
    expect((await outcomeOf(db, 1)).status).toBe("pending_merge");
  });

  test("in a clone too, and it lands once it is committed", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    const clone = withClone(repo, spec);
    clone.write({ "half.txt": "half\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).reason).toBe("dirty_source");
    clone.commit({ "half.txt": "whole\n" });
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.show("half.txt")).toBe("whole");
  });

  test("of one agent of three, whose names stand in the detail", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    withWorktree(repo, spec, { role: "tester" }).write({ "half.txt": "half\n" });
    const db = await queueOf(repo, spec);
    const held = (await tick(db)).of(1);
    expect(held.detail).toContain("tester");
    expect(held.detail).not.toContain("developer");
  });

  test("held again and again is one line in the log, until what is dirty changes", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    agent.write({ "half.txt": "half\n" });
    const db = await queueOf(repo, spec);
    for (let i = 0; i < 3; i++) expect((await tick(db)).of(1).reason).toBe("dirty_source");
    const held = () => logOf(db).filter((line) => line.includes("project 1: cart: dirty_source"));
    expect(held()).toHaveLength(1);
    agent.write({ "more.txt": "half\n" });
    await tick(db);
    expect(held()).toHaveLength(2);
  });
});

describe("what does not count as uncommitted work", () => {
  test("ignored files, logs and tmp/", async () => {
    const repo = makeRepo({ files: { ".gitignore": "node_modules/\n.env\n", "a.txt": "a\n" } });
    const { spec, agent } = withProject(repo, "cart");
    agent.write({
      "node_modules/x/index.js": "x\n",
      ".env": "S=1\n",
      "run.log": "x\n",
      "logs/a/b.txt": "x\n",
      "tmp/x": "x\n",
    });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.git("ls-tree", "-r", "--name-only", "main")).not.toMatch(/log|tmp|node_modules|env/);
  });

  test("what .git/info/exclude names", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    writeFiles(join(repo.path, ".git/info"), { exclude: "private/\n" });
    agent.write({ "private/x.txt": "x\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });

  test("what [merge] ignore_uncommitted names, and then no longer the logs", async () => {
    const repo = makeRepo();
    const [a, b] = [withProject(repo, "a"), withProject(repo, "b")];
    a.agent.write({ "out/deep/x.bin": "x\n", ".cache": "x\n" });
    b.agent.write({ "run.log": "x\n" });
    const db = await queueOf(repo, a.spec, b.spec);
    const done = await tick(db, [], { config: `[merge]\nignore_uncommitted = ["out/**", ".cache"]\n` });
    expect(done.of(1).outcome).toBe("merged");
    expect(done.of(2).reason).toBe("dirty_source");
  });

  test(`anything, with uncommitted = "ignore"`, async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    agent.write({ "half.txt": "half\n", "cart.txt": "half\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], { config: `[merge]\nuncommitted = "ignore"\n` })).of(1).outcome).toBe("merged");
    expect(repo.show("half.txt")).toBeNull();
    expect(agent.read("half.txt")).toBe("half\n");
  });

  test("a file that was touched and is the same", async () => {
    const repo = makeRepo({ files: { ".gitattributes": "*.txt text eol=crlf\n", "a.txt": "a\nb\n" } });
    const { spec, agent } = withProject(repo, "cart");
    const text = agent.read("a.txt");
    agent.write({ "a.txt": `${text}` });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });
});

describe("a worktree where somebody still works is held worktree_active", () => {
  const begin: [string, (agent: Agent) => void][] = [
    ["rebase", (agent) => agent.git("rebase", "main")],
    ["merge", (agent) => agent.git("merge", "-q", "main")],
    ["cherry-pick", (agent) => agent.git("cherry-pick", "main")],
    ["revert", (agent) => agent.git("revert", "--no-commit", "HEAD")],
    ["bisect", (agent) => agent.git("bisect", "start")],
  ];
  test.each(begin)("in the middle of a %s", async (operation, stop) => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files: { "cart.txt": "agent\n" } });
    repo.commit({ "cart.txt": "mine\n" });
    try {
      stop(agent);
    } catch {
      // it stops at the conflict, as it should
    }
    const db = await queueOf(repo, spec);
    const held = (await tick(db)).of(1);
    expect(held).toMatchObject({ outcome: "held", reason: "worktree_active" });
    expect(held.detail).toContain(operation);
  });

  test("in the middle of a rebase in a clone", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    const clone = withClone(repo, spec, { files: { "cart.txt": "agent\n" } });
    repo.commit({ "cart.txt": "mine\n" });
    clone.git("fetch", "-q");
    expect(() => clone.git("rebase", "origin/main")).toThrow();
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "held", reason: "worktree_active" });
  });

  test.each(["queued", "processing", "PROCESSING"])("shared with a row that is %s", async (status) => {
    const repo = makeRepo();
    const [a, b] = [writeSpec(repo, "a.md"), writeSpec(repo, "b.md")];
    withWorktree(repo, a, { directory: plainDirectory(repo.path) });
    const db = await queueOf(repo, a, { spec_path: b, status });
    const held = (await tick(db)).of(1);
    expect(held).toMatchObject({ outcome: "held", reason: "worktree_active" });
    expect(held.detail).toContain("2");
    await sql(db, "UPDATE project_queue SET status = 'failed' WHERE id = 2");
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });

  test("but not because of a queued row with worktrees of its own", async () => {
    const repo = makeRepo();
    const [a, b] = [withProject(repo, "a"), withProject(repo, "b")];
    const db = await queueOf(repo, a.spec, { spec_path: b.spec, status: "processing" });
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });
});
