import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import { makeRepo, withClone, withProject, withRemote, writeSpec } from "../helpers/repo.ts";

describe("odd places", () => {
  test.each(["a:b", 'quo"te', "#hash", "back\\slash", "new\nline", "  blanks  ", "-dash", "%41", "ünïcödé"])(
    "a project in a directory %j lands from a worktree and from a clone, and is pushed",
    async (name) => {
      const outer = makeRepo({ name: "outer" });
      mkdirSync(join(outer.dir, name));
      const repo = makeRepo({ dir: join(outer.dir, name), name });
      const remote = withRemote(repo);
      const clone = writeSpec(repo, "clone.md");
      withClone(repo, clone);
      const db = await queueOf(repo, withProject(repo, "cart").spec, clone);
      const done = await tick(db);
      expect(done.report.results.map(({ outcome, push }) => [outcome, push])).toEqual([
        ["merged", "pushed"],
        ["merged", "pushed"],
      ]);
      expect(remote.git("rev-parse", "main")).toBe(repo.head());
      expect(repo.git("status", "--porcelain")).toBe("");
    },
  );

  test("one repository by three paths is one landing", async () => {
    const repo = makeRepo({ files: { "inside/a.txt": "a\n" } });
    symlinkSync(repo.path, join(repo.dir, "link"));
    const remote = withRemote(repo);
    const specs = ["a", "b", "c"].map((name) => withProject(repo, name).spec);
    const paths = [repo.path, join(repo.dir, "link", "..", "shop"), join(repo.path, "inside")];
    const rows = specs.map((spec_path, index) => ({ spec_path, project_path: paths[index] ?? null }));
    const db = await queueOf(repo, ...rows);
    const done = await tick(db);
    expect(done.report.summary.merged).toBe(3);
    expect(done.report.pushes).toHaveLength(1);
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
  });
});

describe("odd sizes", () => {
  const paths = Array.from({ length: 90 }, (_, index) => `d${index}/f.txt`);
  const everywhere = (content: string) => Object.fromEntries(paths.map((path) => [path, content]));
  const content = (first: string, last: string) => `${first}\n2\n3\n4\n5\n6\n7\n8\n${last}\n`;

  test("a landing that makes hundreds of objects is whole, here and on the remote", async () => {
    const repo = makeRepo({ files: everywhere(content("1", "9")) });
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart", { files: everywhere(content("agent", "9")) });
    repo.commit(everywhere(content("1", "main")));
    repo.git("push", "-q", "origin", "main");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(repo.read("d89/f.txt")).toBe(content("agent", "main"));
    expect(repo.git("fsck", "--strict", "--no-dangling")).toBe("");
    expect(remote.git("fsck", "--strict", "--no-dangling")).toBe("");
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("a file of many megabytes, changed by the agent and edited by nobody, comes forward", async () => {
    const repo = makeRepo({ files: { "big.bin": Buffer.alloc(9_000_000, 1), "a.txt": "a\n" } });
    const { spec } = withProject(repo, "cart", { files: { "big.bin": Buffer.alloc(9_000_001, 2) } });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("a detail that names ninety files is a sentence, and conflicts has them all", async () => {
    const repo = makeRepo({ files: everywhere("x\n") });
    const { spec } = withProject(repo, "cart", { files: everywhere("a\n") });
    repo.commit(everywhere("m\n"));
    const db = await queueOf(repo, spec);
    const failed = (await tick(db)).of(1);
    expect(failed.conflicts).toHaveLength(90);
    expect(String(failed.detail).length).toBeLessThan(300);
    expect(failed.detail).toContain("85 more");
  });
});
