import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { outcomeOf, queueOf, tick } from "../helpers/landing.ts";
import { fingerprint, makeRepo, type Repo, withProject, writeFiles } from "../helpers/repo.ts";

const cart = "one\ntwo\nthree\nfour\nfive\n";
const work = { "cart.txt": `${cart}six\n`, "new.txt": "new\n" };
const mine = `mine\n${cart}`;

const ignoring = () => makeRepo({ files: { "cart.txt": cart, "README.md": "# Shop\n", ".gitignore": ".env\n" } });
/** All but what git itself leaves when it is asked and refuses: objects that nothing points at, ORIG_HEAD, an empty directory. */
const everything = (repo: Repo) =>
  fingerprint(repo.path, (path) => /^\.git\/(objects|ORIG_HEAD|refs\/orchestrator)/.test(path));

/** Lands a project while the checkout is in the way: held, with `named` in the detail, and nothing at all is different. */
async function holds(
  repo: Repo,
  prepare: (repo: Repo) => void,
  named: string,
  reason = "dirty_target",
): Promise<string> {
  const { spec } = withProject(repo, "cart", { files: { ...work, ".env": "AGENT=1\n" } });
  prepare(repo);
  const before = everything(repo);
  const db = await queueOf(repo, spec);
  const done = await tick(db);
  expect(done.of(1)).toMatchObject({ outcome: "held", reason, tag: null, backupRef: null, mergeCommit: null });
  expect(done.of(1).detail).toContain(named);
  expect(done.code).toBe(0);
  expect(everything(repo)).toEqual(before);
  expect(await outcomeOf(db, 1)).toMatchObject({ status: "pending_merge", at: null, error: null });
  return db;
}

describe("the user's files in the way of a landing are held dirty_target, and nothing changes", () => {
  const cases: [string, string, (repo: Repo) => void][] = [
    ["an edit", "cart.txt", (repo) => repo.write({ "cart.txt": mine })],
    ["staged edits", "cart.txt", stagedToo],
    ["staged edits that were taken back on disk", "cart.txt", stagedOnly],
    ["an untracked file", "new.txt", (repo) => repo.write({ "new.txt": "my own\n" })],
    ["an untracked file with the very content", "new.txt", (repo) => repo.write({ "new.txt": "new\n" })],
    ["a directory where a file must go", "new.txt", (repo) => repo.write({ "new.txt/deep.txt": "x\n" })],
    ["an ignored file (.env)", ".env", (repo) => repo.write({ ".env": "SECRET=1\n" })],
    ["a deletion that is not staged", "cart.txt", (repo) => rmSync(join(repo.path, "cart.txt"))],
    ["a staged deletion", "cart.txt", (repo) => repo.git("rm", "-q", "cart.txt")],
    ["a deletion staged only", "cart.txt", (repo) => repo.git("rm", "-q", "--cached", "cart.txt")],
    ["a changed mode", "cart.txt", (repo) => makeExecutable(repo)],
    ["a link instead of the file", "cart.txt", (repo) => makeLink(repo)],
    ["a file marked assume-unchanged and edited", "cart.txt", (repo) => marked(repo, "--assume-unchanged")],
    ["a file marked skip-worktree and edited", "cart.txt", (repo) => marked(repo, "--skip-worktree")],
  ];
  test.each(cases)("%s", async (_what, named, prepare) => {
    await holds(ignoring(), prepare, named);
  });

  test("and land by themselves once they are out of the way", async () => {
    const repo = ignoring();
    const db = await holds(repo, (main) => main.write({ ".env": "SECRET=1\n", "cart.txt": mine }), "cart.txt");
    repo.git("checkout", "-q", "--", "cart.txt");
    expect((await tick(db)).of(1).reason).toBe("dirty_target");
    rmSync(join(repo.path, ".env"));
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("and a hundred looks leave no backup behind", async () => {
    const repo = ignoring();
    const db = await holds(repo, (main) => main.write({ "new.txt": "my own\n" }), "new.txt");
    for (let look = 0; look < 3; look++) await tick(db);
    expect(repo.git("for-each-ref", "refs/heads/backup*", "refs/orchestrator", "refs/tags")).toBe("");
  });

  test("in a linked worktree that has the target out", async () => {
    const repo = ignoring();
    repo.git("checkout", "-q", "-b", "elsewhere");
    const path = join(repo.dir, "trunk");
    repo.git("worktree", "add", "-q", path, "main");
    const { spec } = withProject(repo, "cart", { files: work });
    writeFiles(path, { "cart.txt": mine });
    const before = fingerprint(path);
    const db = await queueOf(repo, spec);
    const held = (await tick(db)).of(1);
    expect(held).toMatchObject({ outcome: "held", reason: "dirty_target" });
    expect(held.detail).toContain(path);
    expect(fingerprint(path)).toEqual(before);
  });
});

describe("one blocked project", () => {
  test("does not hold up the others, before and behind it", async () => {
    const repo = makeRepo();
    const a = withProject(repo, "a");
    const blocked = withProject(repo, "blocked", { files: { "README.md": "# Agent's\n" } });
    const c = withProject(repo, "c");
    repo.write({ "README.md": "# Mine\n" });
    const db = await queueOf(repo, a.spec, blocked.spec, c.spec);
    const done = await tick(db);
    expect([1, 2, 3].map((id) => done.of(id).reason ?? done.of(id).outcome)).toEqual([
      "merged",
      "dirty_target",
      "merged",
    ]);
    expect(repo.git("status", "--porcelain")).toBe(" M README.md");
    expect(repo.read("README.md")).toBe("# Mine\n");
    expect(repo.read("c-developer.txt")).toBe("done\n");
    expect(repo.git("rev-list", "--count", "--first-parent", "main")).toBe("3");
  });

  test("takes along those that stand on its work, and nobody else", async () => {
    const repo = makeRepo();
    const blocked = withProject(repo, "blocked", { files: { "README.md": "# Agent's\n" } });
    const onTop = withProject(repo, "ontop", { from: blocked.agent.head() });
    const free = withProject(repo, "free");
    repo.write({ "README.md": "# Mine\n" });
    const db = await queueOf(repo, blocked.spec, onTop.spec, free.spec);
    const done = await tick(db);
    expect([1, 2, 3].map((id) => done.of(id).reason ?? done.of(id).outcome)).toEqual([
      "dirty_target",
      "blocked_by_dependency",
      "merged",
    ]);
    expect(repo.read("README.md")).toBe("# Mine\n");
  });

  test("among projects that change one file: an edit elsewhere in it holds them all", async () => {
    const repo = makeRepo();
    const a = withProject(repo, "a", { files: { "cart.txt": `zero\n${cart}` } });
    const b = withProject(repo, "b", { files: { "cart.txt": `${cart}six\n` } });
    repo.write({ "cart.txt": cart.replace("three", "THREE") });
    const before = everything(repo);
    const db = await queueOf(repo, a.spec, b.spec);
    const done = await tick(db);
    expect([1, 2].map((id) => done.of(id).reason)).toEqual(["dirty_target", "dirty_target"]);
    expect(everything(repo)).toEqual(before);
  });
});

describe("a checkout where somebody is at work is held repository_busy", () => {
  const conflicting = (repo: Repo) => {
    repo.git("checkout", "-q", "-b", "other");
    repo.commit({ "README.md": "# Other\n" });
    repo.git("checkout", "-q", "main");
    repo.commit({ "README.md": "# Main\n" });
  };
  const stop = (repo: Repo, ...args: string[]) => expect(() => repo.git(...args)).toThrow();
  test.each<[string, (repo: Repo) => void]>([
    ["merge", (repo) => stop(repo, "merge", "other")],
    ["rebase", (repo) => stop(repo, "rebase", "other")],
    ["cherry-pick", (repo) => stop(repo, "cherry-pick", "other")],
    ["revert", (repo) => repo.git("revert", "--no-commit", "HEAD")],
    ["bisect", (repo) => repo.git("bisect", "start")],
  ])("in the middle of a %s", async (operation, begin) => {
    const prepare = (repo: Repo) => {
      conflicting(repo);
      begin(repo);
    };
    await holds(ignoring(), prepare, operation, "repository_busy");
  });

  test("with an index.lock that is not ours, which stays", async () => {
    const lock = (repo: Repo) => writeFiles(join(repo.path, ".git"), { "index.lock": "" });
    const repo = ignoring();
    const db = await holds(repo, lock, "index.lock", "repository_busy");
    rmSync(join(repo.path, ".git", "index.lock"));
    expect((await tick(db)).of(1).reason).not.toBe("repository_busy");
  });

  test("but not when the target is out elsewhere", async () => {
    const repo = ignoring();
    repo.git("checkout", "-q", "-b", "other");
    repo.git("bisect", "start");
    writeFiles(join(repo.path, ".git"), { "index.lock": "" });
    const { spec } = withProject(repo, "cart", { from: "main", files: work });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", target: "main" });
  });
});

function stagedOnly(repo: Repo): void {
  repo.write({ "cart.txt": mine });
  repo.git("add", "cart.txt");
  repo.write({ "cart.txt": cart });
}

function makeExecutable(repo: Repo): void {
  repo.write({ "cart.txt": { program: cart } });
}

function makeLink(repo: Repo): void {
  rmSync(join(repo.path, "cart.txt"));
  repo.write({ "cart.txt": { to: "README.md" } });
}

function marked(repo: Repo, mark: string): void {
  repo.git("update-index", mark, "cart.txt");
  repo.write({ "cart.txt": mine });
}

function stagedToo(repo: Repo): void {
  repo.write({ "cart.txt": mine });
  repo.git("add", "cart.txt");
}
