import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { outcomeOf, tick, waitsOver } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import { fingerprint, makeRepo, refsOf, writeFiles } from "../helpers/repo.ts";
import { gate, world } from "./world.ts";

/* Gates that decide about each project by itself. */

describe("a gate's word", () => {
  test("pass lands, another exit fails, 125 waits: each alone, with the tail kept and all of it on disk", async () => {
    const repo = makeRepo();
    const w = await world(repo, ["good", "bad", "unsure", "fine"]);
    const script =
      "test -f bad.txt && { echo several; echo '2 tests failed' >&2; exit 3; }; test -f unsure.txt && exit 125; exit 0";
    const done = await w.run([], gate(repo, script));
    expect(done.code).toBe(4);
    expect([1, 2, 3, 4].map((id) => done.of(id).outcome)).toEqual(["merged", "merge_failed", "held", "merged"]);
    expect(done.of(2)).toMatchObject({ reason: "gate_failed", mergeCommit: null });
    expect(done.of(2).detail).toMatch(/^gate sh -c .* fails \(exit 3\): 2 tests failed$/);
    expect(done.of(3)).toMatchObject({ reason: "repository_busy" });
    expect(done.of(3).detail).toContain("cannot tell (exit 125)");
    expect((await outcomeOf(w.db, 2)).error).toContain("Merge failed: gate_failed: gate ");
    expect(repo.git("ls-tree", "--name-only", "main")).toBe("README.md\ncart.txt\nfine.txt\ngood.txt");
    const [failing] = await w.gatesOf(2);
    expect(failing).toMatchObject({ verdict: "fail", exitCode: 3, remembered: false });
    expect(readFileSync(String(failing?.["outputFile"]), "utf8")).toBe("several\n2 tests failed\n");
    expect((await w.command("explain", "2")).stdout).toMatch(/2 tests failed\n.*all of it: .*logs\/gates\/.*\.log/);
    expect(String(failing?.["outputFile"])).toContain(join(repo.dir, "logs", "gates"));
    expect(await w.gatesOf(1)).toMatchObject([{ verdict: "pass", exitCode: 0 }]);
    const [wait] = await sql(
      w.db,
      "SELECT failures, next_attempt_at > 0 AS later FROM merge_project WHERE project_id = 3",
    );
    expect(wait).toMatchObject({ failures: 1, later: 1 });
    // In order, each on those that passed before it; nothing on what is known of the target.
    expect(w.runs()).toEqual(
      ["1 good.txt", "2 bad.txt good.txt", "3 good.txt unsure.txt", "4 fine.txt good.txt"].map(sorted),
    );
    expect(w.left()).toEqual([]);
  });

  test("a failure is not tried again by itself until the project's own heads move; retry asks again", async () => {
    const repo = makeRepo();
    const w = await world(repo, ["bad"]);
    const config = gate(repo, "test -f bad.txt && test ! -f cured.txt && exit 1; exit 0");
    expect((await w.run([], config)).of(1).reason).toBe("gate_failed");
    expect(w.runs()).toHaveLength(2); // itself, and the target without it
    repo.commit({ "other.md": "x\n" }, "the target moves");
    expect((await w.run()).report.results).toEqual([]);
    expect(w.runs()).toHaveLength(2);
    expect((await w.command("retry", "1")).code).toBe(0);
    expect((await w.run()).of(1).reason).toBe("gate_failed");
    const before = w.runs().length;
    expect((await w.command("retry", "1")).code).toBe(0);
    expect((await w.run()).of(1).reason).toBe("gate_failed");
    expect(w.runs().slice(before), "retry runs the gate once more, on it alone").toEqual(["1 bad.txt cart.txt"]);
    const [agent] = repo
      .git("worktree", "list", "--porcelain")
      .split("\n")
      .filter((line) => line.endsWith("/developer"));
    writeFiles(String(agent).slice("worktree ".length), { "cured.txt": "x\n" });
    repo.git("-C", String(agent).slice("worktree ".length), "add", ".");
    repo.git("-C", String(agent).slice("worktree ".length), "commit", "-q", "-m", "cured");
    expect((await w.run()).of(1).outcome).toBe("merged");
  });

  test("a verdict is remembered by tree, command and variables", async () => {
    const repo = makeRepo();
    const w = await world(repo, ["a"]);
    // The gate passes, and then the checkout cannot be brought forward.
    const [one, two] = ["1", "2"].map((n) => gate(repo, `touch ${repo.path}/.git/index.lock`, `env = { N = "${n}" }`));
    const unlocked = async (config: string | undefined) => {
      await waitsOver(w.db);
      rmSync(join(repo.path, ".git/index.lock"), { force: true });
      return (await w.run([], config)).of(1).outcome;
    };
    expect(await unlocked(one)).toBe("held");
    expect(await unlocked(two)).toBe("held");
    expect(w.runs()).toHaveLength(2);
    expect(await unlocked(one)).toBe("merged");
    expect(w.runs()).toHaveLength(2);
    expect(await w.gatesOf(1)).toMatchObject([{ verdict: "pass", remembered: true }]);
  });

  test("it fails on the target itself: nobody is blamed, and what repairs the target lands", async () => {
    const repo = makeRepo({ files: { "broken.md": "x\n" } });
    const w = await world(repo, ["a", "b"]);
    const config = gate(
      repo,
      "test -e broken.md && test ! -e repaired.txt && { echo main is broken; exit 1; }; exit 0",
    );
    const done = await w.run([], config);
    for (const id of [1, 2]) {
      expect(done.of(id)).toMatchObject({ outcome: "held", reason: "blocked_by_dependency" });
      expect(done.of(id).detail).toMatch(/fails \(exit 1\) on main without this project too: main is broken$/);
    }
    expect(done.code).toBe(0);
    expect(w.runs()).toHaveLength(3); // a, the target, b
    await w.run();
    expect(w.runs(), "all of that is remembered").toHaveLength(3);
    repo.commit({ "repaired.txt": "x\n" });
    const again = await w.run();
    expect([1, 2].map((id) => again.of(id).outcome)).toEqual(["merged", "merged"]);
  });

  test("a command that is not there, or that memory kills, blames nobody", async () => {
    const repo = makeRepo();
    const w = await world(repo, ["a"]);
    const nothing = await w.run([], `[gate]\ncommand = ["no-such-program", "x"]\n`);
    expect(nothing.of(1)).toMatchObject({ outcome: "held" });
    expect(nothing.of(1).detail).toContain("there is no program no-such-program");
    await waitsOver(w.db);
    const killed = await w.run([], `[gate]\ncommand = ["sh", "-c", "kill -9 $$"]\n`);
    expect(killed.of(1)).toMatchObject({ outcome: "held" });
    expect(killed.of(1).detail).toContain("was killed");
    await waitsOver(w.db);
    const crashed = await w.run([], `[gate]\ncommand = ["sh", "-c", "kill -SEGV $$"]\n`);
    // It crashes on the target too.
    expect(crashed.of(1)).toMatchObject({ outcome: "held", reason: "blocked_by_dependency" });
  });
});

describe("where it runs", () => {
  test("in a repository of its own at the merged tip, with a small environment", async () => {
    const repo = makeRepo();
    const w = await world(repo, ["a", "b"]);
    const before = fingerprint(repo.path, (path) => path === ".git");
    const script = [
      `test "$ORCHESTRATOR_MERGE_PROJECT" = 2 || exit 0`,
      "set -e",
      `{ pwd; git rev-parse --git-dir; git rev-parse HEAD; echo "$ORCHESTRATOR_MERGE_TIP"; git rev-parse main; git symbolic-ref -q HEAD || echo detached`,
      "git diff --name-only main HEAD; git status --porcelain; echo $ORCHESTRATOR_MERGE_TARGET $ORCHESTRATOR_MERGE_BASE; git worktree list | wc -l; cat; env | cut -d= -f1 | sort | tr '\\n' ' '",
      `} > ${repo.dir}/seen`,
      "git commit -q --allow-empty -m 'what a test may do'; git branch mine; echo x > $TMPDIR/left",
    ].join("\n");
    const path = process.env["PATH"] ?? "";
    const secret = {
      SSH_AUTH_SOCK: "/x",
      ORCHESTRATOR_MERGE_AUTH_TOKEN: "secret",
      GIT_DIR: "/nowhere",
      NPM_TOKEN: "x",
    };
    const done = await tick(w.db, [], {
      config: gate(repo, script, 'env = { GREETING = "hello" }'),
      env: { XDG_CACHE_HOME: join(repo.dir, "cache"), HOME: repo.dir, PATH: path, ...secret },
    });
    expect(done.of(2).outcome).toBe("merged");
    const [cwd, gitDir, head, tip, main, detached, ...rest] = readFileSync(join(repo.dir, "seen"), "utf8").split("\n");
    expect(cwd).toContain(join(repo.dir, "cache", "orchestrator-merge", "gates"));
    expect(gitDir).toBe(".git");
    expect(head).toBe(done.of(2).mergeCommit);
    expect(tip).toBe(head);
    expect(main).toBe(repo.git("rev-parse", `${done.of(1).mergeCommit}^1`));
    expect(detached).toBe("detached");
    expect(rest.slice(0, 4)).toEqual(["a.txt", "b.txt", `main ${done.of(1).mergeCommit}`, "1"]);
    const names = String(rest[4])
      .trim()
      .split(" ")
      .filter((name) => !["_", "OLDPWD", "SHLVL"].includes(name));
    expect(names).toEqual(
      [
        ...["CI", "GREETING", "HOME", "LANG", "PATH", "PWD", "TMPDIR", "XDG_CACHE_HOME"],
        ...["BASE", "PROJECT", "RUN", "TARGET", "TIP"].map((name) => `ORCHESTRATOR_MERGE_${name}`),
      ].sort(),
    );
    expect(Object.keys(refsOf(repo)).filter((ref) => ref.includes("mine"))).toEqual([]);
    expect(w.left()).toEqual([]);
    const after = fingerprint(repo.path, (one) => one === ".git" || /^[ab]\.txt$/.test(one));
    expect(after).toEqual(before);
  });

  test("fresh each time: what one run leaves the next does not see", async () => {
    const repo = makeRepo({ files: { ".gitignore": "cache/\n" } });
    const w = await world(repo, ["a", "b"]);
    const done = await w.run(
      [],
      gate(repo, "test -e cache && exit 9; mkdir cache && touch cache/x && chmod 555 cache; exit 0"),
    );
    expect([1, 2].map((id) => done.of(id).outcome)).toEqual(["merged", "merged"]);
    expect(w.left()).toEqual([]);
  });

  test("a filter that only the repository names does not run, the user's own does; in a repository with sha256 too", async () => {
    const files = { "x.up": "x\n", "y.low": "y\n", ".gitattributes": "*.low filter=user\n" };
    const repo = makeRepo({ files, format: "sha256" });
    const w = await world(repo, ["a"]);
    writeFiles(repo.dir, { ".gitconfig": '[filter "user"]\n\tsmudge = tr a-z A-Z\n\tclean = tr A-Z a-z\n' });
    repo.git("config", "filter.mine.smudge", `touch ${repo.dir}/planted; cat`);
    writeFiles(repo.path, {
      ".git/info/attributes": "*.up filter=mine\n",
      ".git/hooks/post-checkout": { program: `#!/bin/sh\ntouch ${repo.dir}/planted\n` },
    });
    const done = await w.run([], gate(repo, "grep -q x x.up && grep -q Y y.low"));
    expect(done.of(1)).toMatchObject({ outcome: "merged" });
    expect(existsSync(join(repo.dir, "planted"))).toBe(false);
  });
});

test("several gates by rule: in their order, and the first that fails is named", async () => {
  const repo = makeRepo();
  const w = await world(repo, ["a", "b"]);
  const config = `[gate]\ncommand = ["true"]\n[[rule]]\nmatch = { name = "b" }\ngate = [{ name = "lint", command = ["sh", "-c", "echo lint >> ${repo.dir}/order"] }, { name = "test", command = ["sh", "-c", "echo test >> ${repo.dir}/order; test ! -f b.txt"] }, { name = "never", command = ["false"] }]\n`;
  const done = await w.run([], config);
  expect(done.of(1).outcome).toBe("merged");
  expect(done.of(2)).toMatchObject({ reason: "gate_failed", detail: "gate test fails (exit 1)." });
  expect(readFileSync(join(repo.dir, "order"), "utf8")).toBe("lint\ntest\ntest\n");
  expect(await w.gatesOf(2)).toMatchObject([
    { name: "lint", verdict: "pass" },
    { name: "test", verdict: "fail" },
    { name: "test", verdict: "pass" },
  ]);
});

test("what waits for one that does not pass waits on, and says for whom", async () => {
  const repo = makeRepo();
  const w = await world(repo, ["bad", "after", "free"]);
  const rule = `[[rule]]\nmatch = { name = "after" }\nafter = ["bad"]`;
  const done = await w.run([], gate(repo, "test ! -f bad.txt", rule));
  expect([1, 2, 3].map((id) => done.of(id).outcome)).toEqual(["merge_failed", "held", "merged"]);
  expect(done.of(2)).toMatchObject({
    reason: "blocked_by_dependency",
    detail: "waits for project 1 (failed: gate_failed).",
  });
});

test("--dry-run runs no gate, and says so; what is remembered it knows", async () => {
  const repo = makeRepo();
  const w = await world(repo, ["a", "bad"]);
  const config = gate(repo, "test ! -f bad.txt", 'env = { NAME = "x" }').replace(
    "[gate]",
    '[[rule]]\nmatch = { name = "*" }\n[rule.gate]\nname = "tests"',
  );
  const dry = await w.run(["--dry-run"], config);
  expect(dry.of(1).warnings).toEqual(["lands only if it passes tests"]);
  expect(w.runs()).toEqual([]);
  expect(w.left()).toEqual([]);
  expect((await w.run(["--only", "2"])).of(2).reason).toBe("gate_failed");
  const runs = w.runs().length;
  await sql(w.db, "UPDATE project_queue SET merged_status = 'pending_merge' WHERE id = 2");
  const known = await w.run(["--dry-run", "--only", "2"]);
  expect(known.of(2).reason).toBe("gate_failed");
  expect(w.runs()).toHaveLength(runs);
});

const sorted = (line: string): string => {
  const [id = "", ...files] = line.split(" ");
  return [id, "cart.txt", ...files].sort().join(" ");
};
