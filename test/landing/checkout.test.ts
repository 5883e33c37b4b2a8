import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import { fingerprint, makeRepo, type Repo, refsOf, type Tree, withProject, writeFiles } from "../helpers/repo.ts";

/** What a landing of `changed` must leave alone: every other file, what is staged, the stash, the configuration. */
function kept(tree: Tree, changed: readonly string[]): unknown {
  const others = changed.map((path) => `:!${path}`);
  return {
    files: fingerprint(tree.path, (path) => path === ".git" || [...changed, "new"].includes(path)),
    head: tree.git("rev-parse", "--symbolic-full-name", "HEAD"),
    staged: tree.git("diff", "--cached", "--raw", "--no-abbrev", "HEAD", "--", ".", ...others),
    stash: tree.git("stash", "list", "--format=%H"),
    config: tree.read(".git/config"),
  };
}

const work = { "cart.txt": "ONE\ntwo\nthree\nfour\nfive\n", "new/file.txt": "new\n" };

/** Prepares a checkout of main, lands a project that changes cart.txt and adds new/file.txt, and compares. */
async function keeps(prepare: (repo: Repo) => void): Promise<Repo> {
  const repo = makeRepo({
    files: { "README.md": "# Shop\n", "cart.txt": "one\ntwo\nthree\nfour\nfive\n", ".gitignore": ".env\nbuild/\n" },
  });
  const { spec } = withProject(repo, "cart", { files: work });
  prepare(repo);
  const before = kept(repo, Object.keys(work));
  const db = await queueOf(repo, spec);
  expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged" });
  expect(kept(repo, Object.keys(work))).toEqual(before);
  expect(repo.read("cart.txt")).toBe(work["cart.txt"]);
  expect(repo.read("new/file.txt")).toBe("new\n");
  return repo;
}

describe("the checkout of the target comes forward and keeps", () => {
  test("a clean tree clean", async () => {
    const repo = await keeps(() => {});
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("edits elsewhere", async () => {
    const repo = await keeps((main) => main.write({ "README.md": "half a thought" }));
    expect(repo.git("status", "--porcelain")).toBe(" M README.md");
  });

  test("staged changes, deletions and additions elsewhere, and a half-staged file", async () => {
    await keeps((repo) => {
      repo.commit({ "gone.txt": "x\n" });
      repo.git("rm", "-q", "gone.txt");
      repo.write({ "README.md": "staged\n", "added.txt": "added\n" });
      repo.git("add", "README.md", "added.txt");
      repo.write({ "README.md": "staged\nand not staged\n" });
      repo.git("add", "-N", "README.md");
    });
  });

  test("a deletion elsewhere that is not staged", async () => {
    const repo = await keeps((main) => rmSync(join(main.path, "README.md")));
    expect(repo.read("README.md")).toBeNull();
  });

  test("untracked and ignored files, and tracked ones that look as if they should not be", async () => {
    const repo = await keeps((main) => {
      main.commit({ ".env.example": "S=\n", "server.log": "log\n" });
      main.write({
        "notes.txt": "mine\n",
        ".env": "S=1\n",
        "build/out.bin": Buffer.from([0, 255]),
        "new/mine.txt": "x\n",
      });
    });
    expect(repo.read("new/mine.txt")).toBe("x\n");
    expect(repo.git("ls-files")).toMatch(/\.env\.example[\s\S]*server\.log/);
  });

  test(".gitignore as it is", async () => {
    await keeps((repo) => repo.write({ ".gitignore": ".env\nbuild/\nmine/\n" }));
  });

  test("stashes", async () => {
    await keeps((repo) => {
      repo.write({ "cart.txt": "stashed\n" });
      repo.git("stash", "-q");
      repo.write({ "README.md": "stashed too\n" });
      repo.git("stash", "-q");
    });
  });

  test("an edit of a path whose change is the same on both sides", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "a.txt": "x\n" } });
    repo.commit({ "a.txt": "x\n" });
    repo.write({ "a.txt": "edited\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.read("a.txt")).toBe("edited\n");
  });

  test("a file that was touched but not changed, and one whose line ends git converts", async () => {
    const repo = makeRepo({
      files: { ".gitattributes": "*.txt text eol=crlf\n", "a.txt": "a\r\nb\r\n", "b.txt": "b\r\n" },
    });
    const { spec } = withProject(repo, "cart", { files: { "a.txt": "A\r\nb\r\n" } });
    repo.write({ "a.txt": "a\r\nb\r\n", "b.txt": "b\r\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.read("a.txt")).toBe("A\r\nb\r\n");
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("renames, deletions, mode changes and a file that becomes a directory arrive", async () => {
    const repo = makeRepo({ files: { "a.txt": "a\n", "b.sh": "b\n", c: "c\n", "d/e.txt": "e\n", "gone.txt": "x\n" } });
    const { spec, agent } = withProject(repo, "cart", { files: null });
    agent.git("mv", "a.txt", "renamed.txt");
    agent.git("rm", "-q", "c", "gone.txt", "d/e.txt");
    agent.git("update-index", "--chmod=+x", "b.sh");
    agent.commit({ "c/inner.txt": "c\n", d: "d\n" });
    agent.git("checkout", "-q", "--", ".");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.git("status", "--porcelain")).toBe("");
    expect(repo.read("c/inner.txt")).toBe("c\n");
    expect(repo.read("gone.txt")).toBeNull();
  });
});

describe("where the target is not checked out, the branch moves and the checkout does not", () => {
  const elsewhere: [string, (repo: Repo) => void][] = [
    ["another branch", (repo) => repo.git("checkout", "-q", "-b", "mine")],
    ["a detached HEAD", (repo) => repo.git("checkout", "-q", "--detach")],
    ["an unborn branch", (repo) => repo.git("checkout", "-q", "--orphan", "fresh")],
  ];
  test.each(elsewhere)("%s", async (_what, go) => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: work });
    go(repo);
    repo.write({ "cart.txt": "edited\n", "new/file.txt": "untracked\n" });
    const skip = (path: string) =>
      /^\.git\/(refs|logs|objects|ORIG_HEAD|orchestrator|packed-refs)/.test(path) || path.includes("refs");
    const before = fingerprint(repo.path, skip);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", target: "main" });
    expect(repo.show("new/file.txt", "main")).toBe("new");
    expect(fingerprint(repo.path, skip)).toEqual(before);
  });

  test("a bare repository with linked worktrees, the target in none of them", async () => {
    const repo = makeRepo({ bare: true });
    repo.git("worktree", "add", "-q", "-b", "mine", join(repo.dir, "mine"), "main");
    const { spec } = withProject(repo, "cart", { from: "main" });
    const before = fingerprint(join(repo.dir, "mine"));
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", target: "main" });
    expect(fingerprint(join(repo.dir, "mine"))).toEqual(before);
  });
});

describe("where the target is checked out in a linked worktree, that one comes forward", () => {
  test.each([
    ["of a main directory on another branch", false],
    ["of a bare repository", true],
  ])("%s", async (_what, bare) => {
    const repo = makeRepo({ bare });
    if (!bare) repo.git("checkout", "-q", "-b", "mine");
    const path = join(repo.dir, "trunk");
    repo.git("worktree", "add", "-q", path, "main");
    const { spec } = withProject(repo, "cart", { files: work, from: "main" });
    writeFiles(path, { "notes.txt": "mine\n", "README.md": "edited\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", target: "main" });
    expect(readFileSync(join(path, "new/file.txt"), "utf8")).toBe("new\n");
    expect(readFileSync(join(path, "README.md"), "utf8")).toBe("edited\n");
    expect(refsOf(repo, "refs/heads/main")["refs/heads/main"]).toBe(
      repo.git("--git-dir", join(path, ".git"), "rev-parse", "HEAD").trim(),
    );
  });
});
