import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli } from "../helpers/cli.ts";
import { onQueue, queueOf, tick } from "../helpers/landing.ts";
import { makeRepo, withProject, writeFiles } from "../helpers/repo.ts";

const directory = join(import.meta.dirname, "../../config/examples");
const example = (name: string) => readFileSync(join(directory, `${name}.toml`), "utf8");

test("all of them are right, and there are those that are tried here", async () => {
  const names = readdirSync(directory).sort();
  expect(names).toEqual(["monorepo.toml", "nightly.toml", "solo.toml", "team.toml"]);
  for (const name of names) {
    expect(await cli(["config", "check", "--config", join(directory, name)])).toMatchObject({ code: 0 });
  }
});

test("solo: tests of its own kind decide, and what is in work stays", async () => {
  const repo = makeRepo({ files: { "package.json": '{"scripts":{"test":"exit 0"}}' } });
  const good = withProject(repo, "good", {
    files: { "setup.py": "", "test_a.py": "import unittest\nclass A(unittest.TestCase):\n  def test_a(self): pass\n" },
  });
  const bad = withProject(repo, "bad", { files: { "package.json": '{"scripts":{"test":"exit 3"}}' } });
  const wip = withProject(repo, "wip");
  const db = await queueOf(repo, good.spec, bad.spec, wip.spec);
  expect((await onQueue(db, ["tag", "3", "+wip"])).code).toBe(0);
  const done = await tick(db, [], { config: example("solo") });
  expect([1, 2, 3].map((id) => done.of(id).reason ?? done.of(id).outcome)).toEqual([
    "merged",
    "gate_failed",
    "excluded",
  ]);
});

test("team: develop by itself, main by somebody's word, squashed", async () => {
  const repo = makeRepo();
  repo.git("branch", "develop");
  const [fix, release, web] = ["fix", "release", "web-shop"].map((name) => withProject(repo, name));
  const schema = withProject(repo, "schema");
  schema.agent.write({ "half.txt": "" });
  const db = await queueOf(repo, ...[fix, release, web, schema].map((project) => project?.spec ?? ""));
  await onQueue(db, ["tag", "2", "+release"]);
  // Whatever day it is: the holidays are over.
  const config = example("team").replace("2026-12-23", "2020-12-23").replace("2027-01-04", "2021-01-04");
  const first = await tick(db, [], { config });
  expect([1, 2, 3, 4].map((id) => first.of(id).reason ?? first.of(id).target)).toEqual([
    "develop",
    "awaiting_approval",
    "blocked_by_dependency",
    "dirty_source",
  ]);
  expect((await onQueue(db, ["approve", "2"], { config })).code).toBe(0);
  const second = await tick(db, [], { config });
  expect(second.of(2)).toMatchObject({ outcome: "merged", target: "main" });
  expect(repo.git("rev-list", "--count", "--merges", "main")).toBe("0");
});

test("nightly: a whole night's work is tested once", async () => {
  const repo = makeRepo();
  const ran = join(repo.dir, "ran");
  repo.commit({ Makefile: `check:\n\techo ran >> '${ran}'\n` });
  const projects = ["a", "b", "c"].map((name) => withProject(repo, name));
  const db = await queueOf(repo, ...projects.map(({ spec }) => spec));
  for (const id of ["1", "2", "3"]) await onQueue(db, ["tag", id, "+urgent"]);
  const done = await tick(db, [], { config: example("nightly") });
  expect([1, 2, 3].map((id) => done.of(id).outcome)).toEqual(["merged", "merged", "merged"]);
  expect(readFileSync(ran, "utf8")).toBe("ran\n");
});

test("monorepo: the gate of its directory, after the library, rebased, without the agents' lock files", async () => {
  const repo = makeRepo({
    files: { "services/Makefile": "test:\n\ttest ! -e broken\n", "package-lock.json": "ours\n" },
  });
  mkdirSync(join(repo.path, "services/api"), { recursive: true });
  writeFiles(repo.path, { "services/api/a.txt": "a\n" });
  repo.git("add", "-A");
  repo.git("commit", "-qm", "api");
  const api = withProject(repo, "api", { files: { "services/api/a.txt": "b\n", "package-lock.json": "theirs\n" } });
  const library = withProject(repo, "shared-library", { files: { "lib.txt": "lib\n" } });
  const db = await queueOf(
    repo,
    { spec_path: api.spec, project_path: join(repo.path, "services/api") },
    { spec_path: library.spec, project_path: repo.path },
  );
  const done = await tick(db, [], { config: example("monorepo") });
  expect([1, 2].map((id) => done.of(id).outcome)).toEqual(["merged", "merged"]);
  expect(repo.git("rev-list", "--count", "--merges", "main")).toBe("0");
  expect(repo.read("package-lock.json")).toBe("ours\n");
  expect(repo.git("log", "-2", "--format=%s", "main").split("\n")).toEqual([
    "api-developer",
    "shared-library-developer",
  ]);
});
