import { execFileSync } from "node:child_process";
import { closeSync, openSync, renameSync, symlinkSync, truncateSync, writeSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { onQueue, queueOf, tick } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import { isThere, makeRepo, refsOf, withProject, withRemote, writeFiles } from "../helpers/repo.ts";
import { makeWorld } from "./world.ts";

/* Things that are no program, and hang, drown or mislead who does not expect them. Each lands, or has a reason. */

const seen: string[] = [];
const told = (what: string, outcome: string) => seen.push(`${what}: ${outcome}`);
afterAll(() => console.log(`${seen.length} shapes, 0 hangs: ${seen.join("; ")}`));

describe("names", () => {
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: a shell would fill them in
  test.each([
    "refs/heads/-rf",
    "refs/heads/--upload-pack=touch${IFS}fired;",
    "refs/heads/$(touch${IFS}fired)",
    "refs/heads/';touch${IFS}fired;'",
    "refs/heads/ünï/\u202eesrever",
    "refs/heads/refs/heads/main",
    "refs/heads/HEAD",
    "refs/heads/main.lock.x",
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: a shell would fill them in
  ])("an agent on the branch %s lands", async (ref) => {
    const { repo, agent, spec, remote } = makeWorld();
    agent.git("update-ref", ref, "HEAD");
    agent.git("symbolic-ref", "HEAD", ref);
    agent.git("update-ref", "-d", "refs/heads/cart/developer");
    const db = await queueOf(repo, spec);
    const done = (await tick(db)).of(1);
    expect(done).toMatchObject({ outcome: "merged", push: "pushed", target: "main" });
    expect(Object.keys(refsOf(remote, "refs/heads"))).toEqual(["refs/heads/main"]);
    expect(isThere(join(repo.path, "fired"))).toBe(false);
    told(ref, "merged");
  });

  test("paths with line ends, quotes, escapes and bytes that are no UTF-8 land as they are", async () => {
    const { repo, agent, spec } = makeWorld();
    const names = ["line\nend", 'quo"te', "tab\tbed", "\u001b[31mred", "-dash", "spa ce ", "back\\slash", "$(touch x)"];
    agent.commit(Object.fromEntries(names.map((name) => [name, `${name}\n`])));
    const bytes = Buffer.concat([Buffer.from(`${agent.path}/`), Buffer.from([0xff, 0xfe])]);
    closeSync(openSync(bytes, "w"));
    agent.git("add", "-A");
    agent.git("commit", "-q", "-m", "bytes");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    for (const name of names) expect(repo.read(name)).toBe(`${name}\n`);
    expect(repo.git("diff", "--name-only", "main", agent.head(), "--", ".", ":!README.md")).toBe("");
    told("odd paths", "merged");
  });

  test("names in a queue row that a terminal would obey are shown, and never sent raw", async () => {
    const repo = makeRepo();
    const spec = join(repo.dir, "specs", "\u001b]0;owned\u0007\u202eevil\n.md");
    writeFiles(join(repo.dir, "specs"), { "\u001b]0;owned\u0007\u202eevil\n.md": "x\n" });
    const db = await queueOf(repo, spec);
    const said = [
      await onQueue(db, ["run"]),
      await onQueue(db, ["status"]),
      await onQueue(db, ["status", "--id", "1"]),
    ];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
    for (const { stdout, stderr } of said) expect(stdout + stderr).not.toMatch(/\u001b\]|\u0007|\u202e/);
    told("escape sequences", "no_worktree");
  });

  test("paths that differ only in case land side by side", async () => {
    const { repo, agent, spec } = makeWorld();
    agent.commit({ "Case.txt": "upper\n", "case.txt": "lower\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect([repo.read("Case.txt"), repo.read("case.txt")]).toEqual(["upper\n", "lower\n"]);
    told("case", "merged");
  });
});

describe("files that are no files", () => {
  test("a pipe and a socket in the worktree are nothing that could be committed", async () => {
    const { repo, agent, spec } = makeWorld();
    execFileSync("mkfifo", [join(agent.path, "pipe")]);
    const socket = createServer();
    await new Promise<void>((ready) => socket.listen(join(agent.path, "socket"), ready));
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    socket.close();
    told("pipe and socket", "merged");
  });

  test("a pipe where a tracked file was is a change, and holds", async () => {
    const { repo, agent, spec } = makeWorld();
    agent.git("rm", "-q", "--cached", "b.txt");
    agent.git("reset", "-q");
    execFileSync("sh", ["-c", "rm b.txt && mkfifo b.txt"], { cwd: agent.path });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "held", reason: "dirty_source" });
    told("pipe in a file's place", "dirty_source");
  });

  test("a pipe in the main directory, where the landing brings a file, holds it and stays", async () => {
    const { repo, agent, spec } = makeWorld();
    agent.commit({ "new.txt": "new\n" });
    execFileSync("mkfifo", [join(repo.path, "new.txt")]);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "held", reason: "dirty_target" });
    told("pipe in the way", "dirty_target");
  });

  test.each(["spec", ".worktree_metadata.json"])("a pipe in the place of the %s hangs nobody", async (what) => {
    const { repo, spec } = makeWorld();
    const path = what === "spec" ? spec : join(repo.path, what);
    execFileSync("sh", ["-c", 'rm -f "$0" && mkfifo "$0"', path]);
    const db = await queueOf(repo, spec);
    const done = (await tick(db)).of(1);
    expect(["merged", "merge_failed", "held"]).toContain(done.outcome);
    told(`pipe for the ${what}`, done.reason ?? done.outcome);
  });

  test.each(["info/attributes", "info/exclude", "commondir"])(
    "a pipe in the place of .git/%s hangs nobody",
    async (what) => {
      const { repo, spec } = makeWorld();
      const path = join(repo.path, ".git", what);
      execFileSync("sh", ["-c", 'rm -f "$0" && mkfifo "$0"', path]);
      // Git itself may wait for it: its time limit ends that.
      const db = await queueOf(repo, spec);
      const done = (await tick(db, [], { config: '[run]\nmerge_timeout = "2s"\n' })).of(1);
      expect(["merged", "merge_failed", "held"]).toContain(done.outcome);
      told(`pipe for .git/${what}`, done.reason ?? done.outcome);
    },
  );

  test("a symlink to a worktree is not followed", async () => {
    const { repo, agent, spec } = makeWorld();
    renameSync(agent.path, `${repo.dir}/away`);
    symlinkSync(`${repo.dir}/away`, agent.path);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merge_failed");
    told("symlinked worktree", "no_worktree");
  });

  test("a symlink in the agent's commit that leads out of the repository writes nothing there", async () => {
    const { repo, agent, spec } = makeWorld();
    writeFiles(repo.dir, { "outside/keep.txt": "mine\n" });
    agent.commit({ link: { to: join(repo.dir, "outside") } });
    const first = await tick(await queueOf(repo, spec));
    expect(first.of(1).outcome).toBe("merged");
    const second = withProject(repo, "second", { from: "main~0", files: null });
    second.agent.git("rm", "-q", "--cached", "link");
    execFileSync("sh", ["-c", "rm link && mkdir link && echo theirs > link/keep.txt"], { cwd: second.agent.path });
    second.agent.git("add", "-A");
    second.agent.git("commit", "-q", "-m", "a directory in the link's place");
    repo.git("worktree", "prune");
    const db = join(repo.dir, "task_queue.db");
    await sql(db, "INSERT INTO project_queue (spec_path, project_path, status) VALUES (?, ?, 'completed')", [
      second.spec,
      repo.path,
    ]);
    const done = (await tick(db)).of(2);
    expect(execFileSync("cat", [join(repo.dir, "outside/keep.txt")], { encoding: "utf8" })).toBe("mine\n");
    told("symlink out", done.reason ?? done.outcome);
  });
});

describe("sizes", () => {
  test("a hundred thousand refs", async () => {
    const { repo, spec } = makeWorld();
    const head = repo.head();
    const refs = Array.from({ length: 100_000 }, (_, n) => `${head} refs/heads/many/b${String(n).padStart(6, "0")}`);
    const packed = execFileSync("git", ["-C", repo.path, "for-each-ref", "--format=%(objectname) %(refname)"], {
      encoding: "utf8",
    });
    const lines = [
      ...new Set([
        ...packed
          .trim()
          .split("\n")
          .filter((line) => !line.includes("/HEAD")),
        ...refs,
      ]),
    ];
    lines.sort((a, b) => (a.slice(41) < b.slice(41) ? -1 : 1));
    writeFiles(repo.path, {
      ".git/packed-refs": `# pack-refs with: peeled fully-peeled sorted \n${lines.join("\n")}\n`,
    });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", target: "main" });
    told("100,000 refs", "merged");
  });

  test("a tree five hundred directories deep", async () => {
    const { repo, agent, spec } = makeWorld();
    const index = `100644 ${agent.git("rev-parse", "HEAD:b.txt")}\t${"d/".repeat(500)}f.txt\n`;
    execFileSync("git", ["update-index", "--index-info"], { cwd: agent.path, input: index });
    agent.git("commit", "-q", "-m", "deep");
    agent.git("checkout", "-q", "--", "."); // or the index says what the files do not
    const db = await queueOf(repo, spec);
    const done = (await tick(db)).of(1);
    expect(done.outcome).toBe("merged");
    told("500 directories deep", done.outcome);
  });

  test("a file of a gigabyte", { timeout: 180_000 }, async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec, agent } = withProject(repo, "cart");
    for (const tree of [repo, remote]) tree.git("config", "core.compression", "0");
    const file = join(agent.path, "big.bin");
    closeSync(openSync(file, "w"));
    truncateSync(file, 2 ** 30);
    const fd = openSync(file, "r+");
    writeSync(fd, "not all of it is nothing");
    closeSync(fd);
    agent.git("add", "big.bin");
    agent.git("commit", "-q", "-m", "big");
    const db = await queueOf(repo, spec);
    const done = (await tick(db)).of(1);
    expect(done).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(repo.git("status", "--porcelain")).toBe("");
    told("1 GB", "merged");
  });
});
