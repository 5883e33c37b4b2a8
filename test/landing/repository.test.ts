import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { outcomeOf, queueOf, tick } from "../helpers/landing.ts";
import {
  fingerprint,
  makeRepo,
  plainDirectory,
  specDirectory,
  withProject,
  withWorktree,
  writeFiles,
  writeSpec,
} from "../helpers/repo.ts";

/** Runs a tick on one row and expects it to fail as no repository, with nothing made anywhere. */
async function refuses(dir: string, db: string, detail: string): Promise<void> {
  const aside = (path: string) => /^(task_queue\.db|logs)/.test(path);
  const before = fingerprint(dir, aside);
  const done = await tick(db);
  expect(done.of(1)).toMatchObject({ outcome: "merge_failed", reason: "not_a_repository" });
  expect(done.of(1).detail).toContain(detail);
  expect(done.code).toBe(4);
  expect((await outcomeOf(db, 1)).error).toMatch(/^Merge failed: not_a_repository: /);
  expect(fingerprint(dir, aside)).toEqual(before);
}

describe("the project's repository", () => {
  test("NULL project_path: the spec's directory is the project", async () => {
    const repo = makeRepo();
    writeFiles(repo.path, { "cart.md": "# Cart\n" });
    const spec = join(repo.path, "cart.md");
    withWorktree(repo, spec);
    const db = await queueOf(repo, { spec_path: spec, project_path: null });
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.show("cart-developer.txt", "main")).toBe("done");
  });

  test("NULL project_path and a spec in no repository is refused", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    await refuses(repo.dir, await queueOf(repo, { spec_path: spec, project_path: null }), dirname(spec));
  });

  test("a project_path inside a repository uses its top level", async () => {
    const repo = makeRepo({ files: { "services/api/main.txt": "api\n" } });
    const spec = writeSpec(repo, "api.md");
    const inside = join(repo.path, "services/api");
    withWorktree(repo, spec, { directory: specDirectory(inside, spec), files: { "services/api/more.txt": "more\n" } });
    const db = await queueOf(repo, { spec_path: spec, project_path: inside });
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.show("services/api/more.txt", "main")).toBe("more");
    expect(repo.read("services/api/more.txt")).toBe("more\n");
    expect(fingerprint(inside)[".git"]).toBeUndefined();
  });

  test("beside a subdirectory is looked before beside the top level, and there too when nothing is beside it", async () => {
    const repo = makeRepo({ files: { "services/api/main.txt": "api\n" } });
    const inside = join(repo.path, "services/api");
    const [near, far] = [writeSpec(repo, "near.md"), writeSpec(repo, "far.md")];
    withWorktree(repo, near, { directory: specDirectory(inside, near), files: { "near.txt": "near\n" } });
    withWorktree(repo, near, { branch: "decoy", files: { "decoy.txt": "decoy\n" } });
    withWorktree(repo, far, { files: { "far.txt": "far\n" } });
    const rows = [near, far].map((spec_path) => ({ spec_path, project_path: inside }));
    const db = await queueOf(repo, ...rows);
    const done = await tick(db);
    expect(done.report.results.map(({ outcome }) => outcome)).toEqual(["merged", "merged"]);
    expect(repo.git("ls-tree", "--name-only", "main")).toBe("far.txt\nnear.txt\nservices");
  });

  test("a directory in no repository is refused, and none is made there", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    mkdirSync(join(repo.dir, "plain"));
    const db = await queueOf(repo, { spec_path: spec, project_path: join(repo.dir, "plain") });
    await refuses(repo.dir, db, "not in a git repository");
  });

  test.each([
    ["a file", "shop/README.md", "is a file"],
    ["gone", "nowhere", "does not exist"],
    ["gone inside a repository", "shop/gone/deeper", "does not exist"],
  ])("%s is refused", async (_what, path, detail) => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    await refuses(repo.dir, await queueOf(repo, { spec_path: spec, project_path: join(repo.dir, path) }), detail);
  });

  test.each(["", ".", "shop", "../shop", "~/shop"])("%j, which is not absolute, is refused", async (path) => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    await refuses(repo.dir, await queueOf(repo, { spec_path: spec, project_path: path }), "not absolute");
  });

  test("a bare repository lands, on its branch and in no working tree", async () => {
    const repo = makeRepo({ bare: true });
    const { spec } = withProject(repo, "cart", { from: "main" });
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "merged", target: "main", push: "none" });
    expect(repo.show("cart-developer.txt", "main")).toBe("done");
  });

  test("a repository inside another one lands in the inner one", async () => {
    const outer = makeRepo({ name: "outer" });
    const repo = makeRepo({ dir: outer.path, name: "inner" });
    const { spec } = withProject(repo, "cart");
    const before = outer.git("for-each-ref");
    const db = await queueOf(outer, { spec_path: spec, project_path: repo.path });
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.show("cart-developer.txt", "main")).toBe("done");
    expect(outer.git("for-each-ref")).toBe(before);
  });

  test("a path with spaces, quotes, a dollar and a trailing slash is the same project", async () => {
    const repo = makeRepo({ name: `my "shop" $HOME 'x' ü` });
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, { spec_path: spec, project_path: `${repo.path}/` });
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.show("cart-developer.txt", "main")).toBe("done");
  });

  test("a link to the project finds the worktrees beside the link", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    mkdirSync(join(repo.dir, "links"));
    const link = join(repo.dir, "links", "shop");
    symlinkSync(repo.path, link);
    withWorktree(repo, spec, { directory: plainDirectory(link) });
    const db = await queueOf(repo, { spec_path: spec, project_path: link });
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });

  test("api never lands the work of api-gateway", async () => {
    const api = makeRepo({ name: "api" });
    const gateway = makeRepo({ dir: api.dir, name: "api-gateway" });
    const spec = writeSpec(api, "spec.md");
    withWorktree(gateway, spec);
    const before = gateway.git("for-each-ref");
    const db = await queueOf(api, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
    expect(gateway.git("for-each-ref")).toBe(before);
  });

  test("two specs with one stem in two projects each land their own work", async () => {
    const one = makeRepo({ name: "one" });
    const two = makeRepo({ dir: one.dir, name: "two" });
    const [a, b] = [writeSpec(one, "a/spec.md", "# A\n"), writeSpec(one, "b/spec.md", "# B\n")];
    withWorktree(one, a, { files: { "a.txt": "a\n" } });
    withWorktree(two, b, { files: { "b.txt": "b\n" } });
    const db = await queueOf(one, { spec_path: a }, { spec_path: b, project_path: two.path });
    const done = await tick(db);
    expect(done.report.summary).toEqual({ merged: 2, alreadyMerged: 0, failed: 0, held: 0 });
    expect([one.show("a.txt", "main"), one.show("b.txt", "main")]).toEqual(["a", null]);
    expect([two.show("a.txt", "main"), two.show("b.txt", "main")]).toEqual([null, "b"]);
  });

  test("that is damaged is held and said, and the rest of the queue lands", async () => {
    const broken = makeRepo({ name: "broken" });
    const fine = makeRepo({ dir: broken.dir, name: "fine" });
    const [a, b] = [withProject(broken, "a").spec, withProject(fine, "b").spec];
    writeFiles(join(broken.path, ".git"), { config: "[core\n" });
    const db = await queueOf(broken, a, { spec_path: b, project_path: fine.path });
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "held", reason: "repository_busy" });
    expect(done.of(1).detail).toContain("bad config");
    expect(done.of(2).outcome).toBe("merged");
  });

  test("that loses its objects under way is no success", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    rmSync(join(repo.path, ".git", "objects"), { recursive: true });
    mkdirSync(join(repo.path, ".git", "objects"));
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1).outcome).toBe("held");
    expect((await outcomeOf(db, 1)).status).toBe("pending_merge");
  });
});
