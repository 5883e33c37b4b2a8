import { rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { onQueue, queueOf, rowOf, type Settings, tick } from "../helpers/landing.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import {
  colleague,
  fingerprint,
  makeRepo,
  type Repo,
  refsOf,
  type Tree,
  withClone,
  withProject,
  withRemote,
  withWorktree,
  writeSpec,
} from "../helpers/repo.ts";

const entry = z.strictObject({ id: z.int(), what: z.string() });

/** The document of `audit --json`. */
const document = z.strictObject({
  schema: z.literal(1),
  since: z.nullable(z.iso.datetime()),
  checked: z.int(),
  proved: z.int(),
  unproved: z.array(entry.extend({ why: z.string() })),
  wrong: z.array(entry),
});

/** Runs the audit as a script would. */
async function audit(db: string, args: readonly string[] = [], settings: Settings = {}) {
  const { code, stdout, stderr } = await onQueue(db, ["audit", "--json", ...args], settings);
  const read = document.parse(JSON.parse(stdout));
  expect([code, stderr]).toEqual([read.wrong.length > 0 ? 4 : 0, ""]);
  return {
    ...read,
    /** what is wrong, ids of commits left out */
    said: read.wrong.map(({ what }) => withoutIds(what)),
    doubts: read.unproved.map(({ what, why }) => withoutIds(`${what}: ${why}`)),
  };
}

const withoutIds = (text: string) => text.replaceAll(/\b[0-9a-f]{10}\b/g, "ID");

/** Runs it as a person would: what it prints, and the commands that it recommends. */
async function told(db: string, args: readonly string[] = []): Promise<{ text: string; next: string[] }> {
  const { stdout: text, code, stderr } = await onQueue(db, ["audit", ...args]);
  const next = text.split("\n").flatMap((line) => line.match(/^ {5}(\S.*)$/)?.[1] ?? []);
  expect([code, stderr]).toEqual([next.length > 0 ? 4 : 0, ""]);
  return { text, next };
}

type Landing = {
  readonly repo: Repo;
  readonly db: string;
  readonly agent: Tree;
  readonly merge: string;
  readonly base: string;
  readonly tag: string;
  readonly backup: string;
  readonly proof: string;
};

/** A repository in which one project landed; the audit of it is clean unless `check` is false. */
async function landed(repo: Repo = makeRepo(), check = true): Promise<Landing> {
  const { spec, agent } = withProject(repo, "cart");
  const db = await queueOf(repo, spec);
  const done = (await tick(db)).of(1);
  if (check) await clean(db, 1);
  const [proof = ""] = Object.keys(refsOf(repo, "refs/orchestrator/landed"));
  const { mergeCommit, tag, backupRef } = done;
  return { repo, db, agent, merge: mergeCommit ?? "", base: "main~1", tag: tag ?? "", backup: backupRef ?? "", proof };
}

async function clean(db: string, proved: number, settings: Settings = {}): Promise<void> {
  expect(await audit(db, [], settings)).toMatchObject({ checked: proved, proved, wrong: [], unproved: [] });
}

/** Runs the commands that the audit recommends, as a person who pastes them. */
async function follow({ db, repo }: Pick<Landing, "db" | "repo">): Promise<void> {
  const { next } = await told(db);
  expect(next).not.toEqual([]);
  for (const command of next) {
    const [program, ...words] = command.match(/'[^']*'|\S+/g)?.map((word) => word.replaceAll("'", "")) ?? [];
    if (program === "git") repo.git(...words);
    else {
      expect([program, ...words]).toEqual(["orchestrator-merge", "retry", "--db", db, "1"]);
      expect((await onQueue(db, ["retry", "1"])).code).toBe(0);
    }
  }
}

/** Puts a commit made by hand in the place of a landing, everywhere: in the branch, the tag, the proof and the queue. */
async function replaceMerge(landing: Landing, tree: string, parents: readonly string[]): Promise<string> {
  const { repo, db, merge, tag, proof } = landing;
  const message = repo.git("log", "-1", "--format=%B", merge);
  const other = repo.git("commit-tree", tree, ...parents.flatMap((parent) => ["-p", parent]), "-m", message);
  repo.git("reset", "-q", "--hard", other);
  repo.git("tag", "-f", "-a", "-m", "Integration", tag, other);
  repo.git("update-ref", proof, other);
  await sql(db, "UPDATE merge_attempt SET merge_commit = ?", [other]);
  return other;
}

/** The tree of `rev` with these files, null for one that is not to be there. */
function treeWith(repo: Repo, rev: string, files: Readonly<Record<string, string | null>>): string {
  const worktree = `${repo.dir}/by-hand`;
  repo.git("worktree", "add", "-q", "--detach", worktree, rev);
  const git = (...args: string[]) => repo.git("-C", worktree, ...args);
  for (const [path, content] of Object.entries(files)) {
    if (content === null) git("rm", "-q", "--cached", path);
    else {
      repo.write({ "../by-hand.txt": content });
      const blob = repo.git("hash-object", "-w", `${repo.dir}/by-hand.txt`);
      git("update-index", "--add", "--cacheinfo", `100644,${blob},${path}`);
    }
  }
  const tree = git("write-tree");
  repo.git("worktree", "remove", "--force", worktree);
  return tree;
}

describe("what is true is proved", () => {
  test("of several agents, files of their own, clones, work that several rows share, and pushes", async () => {
    const repo = makeRepo({ files: { "CLAUDE.md": "ours\n", "cart.txt": "one\ntwo\nthree\n" } });
    withRemote(repo);
    const team = writeSpec(repo, "team.md");
    for (const role of ["developer", "tester", "pm"]) {
      withWorktree(repo, team, {
        role,
        files: { [`${role}.txt`]: "x\n", "CLAUDE.md": `${role}\n`, ".mcp.json": "{}\n" },
      });
    }
    const cloned = writeSpec(repo, "cloned.md");
    withClone(repo, cloned, { files: { "cart.txt": "one\ntwo\nthree\nfour\n" } });
    const { spec, agent } = withProject(repo, "alone");
    const twin = writeSpec(repo, "twin.md");
    repo.git("branch", "twin", agent.head());
    const db = await queueOf(repo, team, cloned, spec, twin);
    await sql(db, "INSERT INTO merge_source (project_id, branch) VALUES (4, 'twin')");
    const done = await tick(db);
    expect(done.report.results.map(({ outcome, push }) => [outcome, push])).toEqual(
      Array.from({ length: 4 }, () => ["merged", "pushed"]),
    );
    expect(done.of(4).mergeCommit).toBe(done.of(3).mergeCommit);
    await clean(db, 4);
    expect((await told(db)).text).toBe("4 proved, 0 not provable, 0 wrong (4 projects)\n");
  });

  test("and nothing changes by it: no row, no ref, no object, no file", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { db } = await landed(repo);
    const other = colleague(remote);
    other.commit({ "theirs.txt": "x\n" });
    other.git("push", "-q");
    await audit(db);
    const before = [fingerprint(repo.path), fingerprint(remote.path)];
    const rows = await sql(db, "SELECT * FROM merge_attempt, project_queue, merge_project");
    await clean(db, 1);
    expect([fingerprint(repo.path), fingerprint(remote.path)]).toEqual(before);
    expect(await sql(db, "SELECT * FROM merge_attempt, project_queue, merge_project")).toEqual(rows);
  });

  test("with the attributes that the target had then, whatever it has now", async () => {
    const repo = makeRepo({ files: { ".gitattributes": "list.txt merge=union\n", "list.txt": "a\n" } });
    const { spec } = withProject(repo, "cart", { files: { "list.txt": "a\nagent\n" } });
    repo.commit({ "list.txt": "a\nuser\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    repo.commit({ ".gitattributes": "list.txt -merge\n" });
    repo.write({ ".gitattributes": "list.txt binary\n" });
    await clean(db, 1);
  });

  test("with attributes that changed between two landings", async () => {
    const repo = makeRepo({ files: { "list.txt": "a\n" } });
    const [first, second] = [
      withProject(repo, "first"),
      withProject(repo, "second", { files: { "list.txt": "a\nagent\n" } }),
    ];
    const db = await queueOf(repo, first.spec, second.spec);
    expect((await tick(db, ["--only", "1"])).of(1).outcome).toBe("merged");
    repo.commit({ ".gitattributes": "list.txt merge=union\n", "list.txt": "a\nuser\n" });
    expect((await tick(db)).of(2).outcome).toBe("merged");
    await clean(db, 2);
  });

  test("of a project that was completed again with nothing new, and of work that was there already", async () => {
    const { repo, db } = await landed();
    await sql(db, "UPDATE project_queue SET started_at = started_at + 9000, completed_at = completed_at + 9000");
    expect((await tick(db)).of(1).outcome).toBe("already_merged");
    await clean(db, 1);
    const { spec, agent } = withProject(repo, "by-hand");
    repo.git("merge", "-q", "--no-ff", "-m", "by hand", agent.head());
    const [id = 0] = await insertRows(db, [rowOf(repo, spec)]);
    expect((await tick(db)).of(id).outcome).toBe("already_merged");
    await clean(db, 2);
  });

  test("of work that came by hand, was reverted, and was brought back by a landing", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    repo.git("merge", "-q", "--no-ff", "-m", "by hand", agent.head());
    repo.git("revert", "--no-edit", "-m", "1", "main");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.show("cart-developer.txt", "main")).toBe("done");
    await clean(db, 1);
  });

  test.each(["bare", "sha256"])("in a repository that is %s", async (kind) => {
    await landed(makeRepo(kind === "bare" ? { bare: true } : { format: "sha256" }));
  });

  test("of two targets, whose branches on the remote have both moved on", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    repo.git("push", "-q", "origin", "main:staging");
    repo.git("branch", "staging");
    const [a, b] = [withProject(repo, "a"), withProject(repo, "b")];
    const db = await queueOf(repo, a.spec, b.spec);
    const config = `[[rule]]\nmatch = { name = "b" }\ntarget = "staging"\n`;
    expect((await tick(db, [], { config })).report.summary.merged).toBe(2);
    // Both branches of the remote stand elsewhere, each by a commit that is not here.
    const other = colleague(remote);
    for (const branch of ["main", "staging"]) {
      other.git("checkout", "-q", branch);
      other.commit({ [`${branch}.txt`]: "x\n" });
      other.git("push", "-q", "origin", branch);
    }
    await clean(db, 2, { config });
  });

  test("after later work has taken it further, and after unrelated merges", async () => {
    const { repo, db } = await landed();
    repo.commit({ "cart-developer.txt": "done, and more\n" });
    repo.git("checkout", "-q", "-b", "topic", "main~2");
    repo.commit({ "topic.txt": "x\n" });
    repo.git("checkout", "-q", "main");
    repo.git("merge", "-q", "--no-ff", "-m", "topic", "topic");
    await clean(db, 1);
  });

  test("of hundreds of rows with as many git processes as of a few", async () => {
    const processes = async (projects: number) => {
      const repo = makeRepo();
      withRemote(repo);
      const specs = Array.from({ length: projects }, (_, n) => withProject(repo, `p${n}`).spec);
      const db = await queueOf(repo, ...specs);
      await tick(db, ["--limit", "all"]);
      repo.write({
        "../bin/git": { program: `#!/bin/sh\necho "$1" >>${repo.dir}/count\nexec /usr/bin/git "$@"\n` },
      });
      const env = { PATH: `${repo.dir}/bin:/usr/bin:/bin` };
      expect((await onQueue(db, ["audit"], { env })).stdout).toContain(`${projects} proved`);
      return (repo.read("../count") ?? "").trim().split("\n").length;
    };
    const [few, many] = [await processes(2), await processes(12)];
    expect(few).toBeGreaterThan(5);
    expect(many).toBe(few);
  });
});

describe("what cannot be proved is said, and is not wrong", () => {
  test("rows that somebody else wrote", async () => {
    const repo = makeRepo();
    const db = await queueOf(repo, ...[1, 2, 3].map((n) => ({ spec_path: `/specs/${n}.md`, merged_status: "merged" })));
    const found = await audit(db);
    expect(found).toMatchObject({ checked: 3, proved: 0 });
    expect(found.unproved.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(new Set(found.unproved.map(({ why }) => why))).toEqual(
      new Set(["not ours: cannot be proved (somebody else wrote it into the row)"]),
    );
    expect((await told(db)).text).toMatch(/^❔ 1, 2, 3: could not prove .* not ours: cannot be proved/);
  });

  test("a row that we failed and somebody wrote merged into", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    await tick(db);
    agent.commit({ "README.md": "agent's\n" });
    repo.commit({ "README.md": "user's\n" });
    await sql(db, "UPDATE project_queue SET merged_status = NULL");
    expect((await tick(db)).of(1).reason).toBe("conflict");
    await sql(db, "UPDATE project_queue SET merged_status = 'merged'");
    expect((await audit(db)).doubts[0]).toContain("not ours");
  });

  test("a row whose next completion somebody else has settled", async () => {
    const { db, agent } = await landed();
    agent.commit({ "more.txt": "x\n" });
    await onQueue(db, ["retry", "1"]);
    await sql(db, "UPDATE project_queue SET merged_status = 'merged'");
    expect((await audit(db)).doubts[0]).toContain("not ours");
  });

  test("a repository that is gone, or shallow", async () => {
    const { repo, db } = await landed();
    repo.write({ ".git/shallow": `${repo.git("rev-list", "--max-parents=0", "HEAD")}\n` });
    expect((await audit(db)).doubts).toEqual([expect.stringContaining("is a shallow clone")]);
    rmSync(repo.path, { recursive: true });
    expect((await audit(db)).doubts).toEqual([`anything of it: its repository ${repo.path}/.git is gone`]);
  });

  test("a remote that cannot be reached, or is gone", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { db } = await landed(repo);
    repo.git("remote", "set-url", "origin", `${remote.path}-away`);
    const found = await audit(db);
    expect(found).toMatchObject({ proved: 0, wrong: [] });
    expect(found.doubts).toEqual([expect.stringMatching(/^that origin has it: origin cannot be reached: fatal: /)]);
    repo.git("remote", "remove", "origin");
    expect((await audit(db)).doubts).toEqual(["that origin has it: the repository has no remote origin any more"]);
  });

  test("a backup branch that is gone before its time; after it nobody asks", async () => {
    const { repo, db, backup } = await landed();
    repo.git("update-ref", "-d", backup);
    const name = backup.replace("refs/heads/", "");
    expect((await audit(db)).doubts).toEqual([`that its backup was the target before it: the branch ${name} is gone`]);
    await sql(db, "UPDATE merge_attempt SET finished_at = finished_at - 15 * 86400000");
    await clean(db, 1);
  });

  test("a landing that a pull has put on a side line", async () => {
    const { repo, db, merge, base } = await landed();
    repo.git("checkout", "-q", "-b", "local", base);
    repo.commit({ "local.txt": "x\n" });
    repo.git("merge", "-q", "-m", "Merge branch 'main'", merge);
    repo.git("checkout", "-q", "-B", "main");
    const found = await audit(db);
    expect(found.doubts).toEqual([
      expect.stringMatching(/^that main has it as a first-parent merge: somebody has merged/),
    ]);
    expect(found.wrong).toEqual([]);
  });

  test("work that was undone without a revert that says so", async () => {
    const { repo, db, base } = await landed();
    repo.git("read-tree", "-u", "--reset", base);
    repo.commit({}, "innocent");
    const found = await audit(db);
    expect(found.doubts).toEqual([
      expect.stringMatching(/^that its changes are still in main: every path it changed is again as it was before it/),
    ]);
  });

  test("a merge by a keep_target that has changed since", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", {
      files: { "a.txt": "a\n", "CLAUDE.md": "agent's\n", "AGENTS.md": "x\n" },
    });
    const db = await queueOf(repo, spec);
    await tick(db);
    await clean(db, 1);
    for (const [keep, path] of [
      ['"CLAUDE.md", "AGENTS.md"', "AGENTS.md"],
      ['"nothing"', "CLAUDE.md"],
    ]) {
      const found = await audit(db, [], { config: `[merge]\nkeep_target = [${keep}]\n` });
      expect(found.doubts).toEqual([expect.stringContaining(`${path} would come out otherwise today`)]);
    }
  });

  test("a merge that only the repository's own drivers could make again", async () => {
    const repo = makeRepo({ files: { ".gitattributes": "*.lock merge=ours\n", "a.lock": "base\n" } });
    repo.git("config", "merge.ours.driver", "true");
    const { spec } = withProject(repo, "cart", { files: { "a.lock": "agent\n", "b.txt": "b\n" } });
    repo.commit({ "a.lock": "user\n" });
    const db = await queueOf(repo, spec);
    const config = `[[rule]]\nmatch = { name = "*" }\ntrust = true\n`;
    expect((await tick(db, [], { config })).of(1).outcome).toBe("merged");
    await clean(db, 1, { config });
    expect((await audit(db)).doubts).toEqual([expect.stringContaining("which are not run unless a rule trusts it")]);
  });
});

describe("what is wrong is found, and ends with 4:", () => {
  test("a target that was put back; retry lands it again", async () => {
    const { repo, db } = await landed();
    repo.git("reset", "-q", "--hard", "main~1");
    expect((await audit(db)).said).toEqual(["main does not contain its merge ID, nor developer's ID"]);
    const { text } = await told(db);
    expect(text).toMatch(/^❌ 1 cart: main does not contain its merge [0-9a-f]{10}, nor developer's [0-9a-f]{10}$/m);
    expect(text).toMatch(/^0 proved, 0 not provable, 1 wrong \(1 project\)$/m);
    await follow({ db, repo });
    expect((await tick(db)).of(1).outcome).toBe("merged");
    await clean(db, 1);
  });

  test("a target that is gone", async () => {
    const { repo, db } = await landed();
    repo.git("branch", "-m", "main", "trunk");
    expect((await audit(db)).said).toEqual(["its target main is gone"]);
  });

  test("a head that the target lacks, though its merge is there", async () => {
    const { db, agent } = await landed();
    const oid = agent.commit({ "late.txt": "x\n" });
    await sql(db, "UPDATE merge_attempt SET heads_json = json_set(heads_json, '$[0].oid', ?)", [oid]);
    const found = await audit(db);
    expect(found.said).toEqual([
      "main does not contain developer's ID",
      "it merged ID, which is no recorded head of it",
    ]);
  });

  test("a revert; a revert of the revert; a revert by an abbreviated id; landing it again", async () => {
    const { repo, db, merge } = await landed();
    repo.git("revert", "--no-edit", "-m", "1", merge);
    const found = await audit(db);
    expect(found.said).toEqual(["ID has reverted its merge ID"]);
    repo.git("revert", "--no-edit", "HEAD");
    await clean(db, 1);
    repo.git("-c", "revert.reference=true", "revert", "--no-edit", "-m", "1", merge);
    expect(repo.git("log", "-1", "--format=%B")).not.toContain(merge);
    expect((await audit(db)).said).toEqual(found.said);
    await follow({ db, repo });
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged" });
    expect(repo.show("cart-developer.txt", "main")).toBe("done");
    await clean(db, 1);
  });

  test("a revert, until one of the rows that share the work has landed it again", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const twin = writeSpec(repo, "twin.md");
    repo.git("branch", "twin", agent.head());
    const db = await queueOf(repo, spec, twin);
    await sql(db, "INSERT INTO merge_source (project_id, branch) VALUES (2, 'twin')");
    await tick(db);
    repo.git("revert", "--no-edit", "-m", "1", "main");
    expect((await audit(db)).wrong.map(({ id }) => id)).toEqual([1, 2]);
    await onQueue(db, ["retry", "1"]);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    await clean(db, 2);
    repo.git("revert", "--no-edit", "-m", "1", "main");
    expect((await audit(db)).wrong.map(({ id }) => id)).toEqual([1, 2]);
  });

  test("a revert, until the project has gone on from there and landed again", async () => {
    const { repo, db, agent, merge } = await landed();
    repo.git("revert", "--no-edit", "-m", "1", merge);
    agent.commit({ "more.txt": "x\n" });
    await onQueue(db, ["retry", "1"]);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect([repo.show("cart-developer.txt", "main"), repo.show("more.txt", "main")]).toEqual(["done", "x"]);
    await clean(db, 1);
  });

  test("a revert, until one of the rows that shared the work has gone on from there", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const twin = writeSpec(repo, "twin.md");
    repo.git("branch", "twin", agent.head());
    const db = await queueOf(repo, spec, twin);
    await sql(db, "INSERT INTO merge_source (project_id, branch) VALUES (2, 'twin')");
    await tick(db);
    repo.git("revert", "--no-edit", "-m", "1", "main");
    const next = treeWith(repo, "twin", { "twin.txt": "x\n" });
    repo.git("branch", "-f", "twin", repo.git("commit-tree", next, "-p", "twin", "-m", "more"));
    await onQueue(db, ["retry", "2"]);
    expect((await tick(db)).of(2).outcome).toBe("merged");
    expect([repo.show("cart-developer.txt", "main"), repo.show("twin.txt", "main")]).toEqual(["done", "x"]);
    const found = await audit(db);
    expect(found).toMatchObject({ proved: 1, wrong: [], unproved: [{ id: 1 }] });
    expect(found.doubts).toEqual([expect.stringContaining("brought it back in another way")]);
  });

  test("a revert of all that an agent committed", async () => {
    const { repo, db, agent } = await landed();
    repo.git("revert", "--no-edit", agent.head());
    expect((await audit(db)).said).toEqual(["ID has reverted developer's ID"]);
  });

  test("a revert of one of several agents' merges", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "team.md");
    for (const role of ["developer", "tester"]) withWorktree(repo, spec, { role });
    const db = await queueOf(repo, spec);
    await tick(db);
    repo.git("revert", "--no-edit", "-m", "1", "main~1");
    expect((await audit(db)).said).toEqual(["ID has reverted its merge ID"]);
  });

  test("a revert of work that had not come by a merge of ours", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    repo.git("merge", "-q", "--ff-only", agent.head());
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "already_merged", mergeCommit: null });
    await clean(db, 1);
    repo.git("revert", "--no-edit", agent.head());
    expect((await audit(db)).said).toEqual(["ID has reverted its merge ID"]);
  });

  test("an evil merge that drops a file of the agent's", async () => {
    const landing = await landed();
    const { repo, merge } = landing;
    await replaceMerge(landing, treeWith(repo, merge, { "cart-developer.txt": null }), [`${merge}^1`, `${merge}^2`]);
    expect((await audit(landing.db)).said).toEqual([
      "ID is not the merge of its two sides: another version of cart-developer.txt",
    ]);
    await follow(landing);
  });

  test("an evil merge that drops work of the target's, or slips something in", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    repo.commit({ "cart.txt": "the user's\n" });
    const db = await queueOf(repo, spec);
    const done = (await tick(db)).of(1);
    const merge = done.mergeCommit ?? "";
    const [proof = ""] = Object.keys(refsOf(repo, "refs/orchestrator/landed"));
    const landing = { repo, db, merge, tag: done.tag ?? "", proof } as Landing;
    const parents = [`${merge}^1`, `${merge}^2`];
    await replaceMerge(landing, `${merge}^2^{tree}`, parents);
    expect((await audit(db)).said).toEqual(["ID is not the merge of its two sides: another version of cart.txt"]);
    await replaceMerge(landing, treeWith(repo, merge, { "backdoor.txt": "x\n" }), parents);
    expect((await audit(db)).said).toEqual(["ID is not the merge of its two sides: another version of backdoor.txt"]);
  });

  test("a rewritten history, with the commit that stands in the place of the merge", async () => {
    const { repo, db, merge } = await landed();
    const message = repo.git("log", "-1", "--format=%B", merge);
    const other = repo.git("commit-tree", `${merge}^{tree}`, "-p", `${merge}^1`, "-p", `${merge}^2`, "-m", message);
    repo.git("reset", "-q", "--hard", other);
    const found = await audit(db);
    expect(found.said).toEqual([
      "main does not contain its merge ID; it has ID in its place: its history was rewritten",
    ]);
    expect(found.wrong[0]?.what).toContain(other.slice(0, 10));
  });

  test("a head that landed twice, in the same name and in another", async () => {
    const { repo, db, merge } = await landed();
    const message = repo.git("log", "-1", "--format=%B", merge);
    const twice = async (text: string) => {
      const again = repo.git("commit-tree", `${merge}^{tree}`, "-p", merge, "-p", `${merge}^2`, "-m", text);
      repo.git("reset", "-q", "--hard", again);
      return (await audit(db)).said;
    };
    expect(await twice(message)).toEqual([
      expect.stringMatching(/^attempt [0-9A-Z]{26} stands 2 times in main: ID, ID$/),
      "developer's ID landed 2 times in main: ID, ID",
    ]);
    expect(await twice(message.replace(/Attempt: .*/, "Attempt: 01ARZ3NDEKTSV4RRFFQ69G5FAV"))).toEqual([
      "developer's ID landed 2 times in main: ID, ID",
    ]);
  });

  test("a merge that bears no mark of ours, or follows on another base", async () => {
    const landing = await landed();
    const { repo, db, agent } = landing;
    await sql(db, "UPDATE merge_attempt SET base = ?", [agent.head()]);
    expect((await audit(db)).said).toEqual(["its merge follows on ID, not on the recorded ID"]);
    await sql(db, "UPDATE merge_attempt SET merge_commit = ?, tag = NULL", [repo.git("rev-parse", "main~1")]);
    expect((await audit(db)).said).toEqual(["its merge ID bears no mark of ours"]);
  });

  test("a tag that is gone, moved, or not annotated; the command puts it back", async () => {
    const { repo, db, merge, tag } = await landed();
    const said: string[] = [];
    for (const damage of [
      ["-d", tag],
      ["-f", "-a", "-m", "x", tag, "main~1"],
      ["-f", tag, merge],
    ]) {
      repo.git("tag", ...damage);
      said.push(...(await audit(db)).said);
      await follow({ db, repo });
      await clean(db, 1);
    }
    expect(said).toEqual([
      `its tag ${tag} is gone`,
      `its tag ${tag} is at ID, not at its merge ID`,
      `its tag ${tag} is not annotated`,
    ]);
  });

  test("a backup branch or a proof that was moved", async () => {
    const { repo, db, merge, base, backup, proof } = await landed();
    repo.git("update-ref", backup, merge);
    repo.git("update-ref", proof, base);
    expect((await audit(db)).said).toEqual([
      `its backup branch ${backup.replace("refs/heads/", "")} is at ID, not at ID, the target before it`,
      `${proof} is at ID, not at ID`,
    ]);
    await follow({ db, repo });
    expect(refsOf(repo)[proof]).toBe(merge);
  });

  test("a remote that was forced back, that lost the branch, or has another tag; the command pushes again", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { db, tag } = await landed(repo);
    const base = repo.git("rev-parse", "main~1");
    remote.git("update-ref", "refs/heads/main", base);
    expect((await audit(db)).said).toEqual(["origin's main does not contain its merge ID, though it was pushed"]);
    await follow({ db, repo });
    await clean(db, 1);
    remote.git("update-ref", "-d", "refs/heads/main");
    expect((await audit(db)).said).toEqual(["origin has no branch main, though it was pushed"]);
    repo.git("push", "-q", "origin", "main");
    remote.git("update-ref", `refs/tags/${tag}`, base);
    expect((await audit(db)).said).toEqual([`the tag ${tag} is another one on origin`]);
  });

  test("a remote that lacks work which had come without a merge of ours", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec, agent } = withProject(repo, "cart");
    repo.git("merge", "-q", "--ff-only", agent.head());
    repo.git("push", "-q");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "already_merged", mergeCommit: null });
    await sql(db, "UPDATE merge_attempt SET push = 'pushed'");
    await clean(db, 1);
    remote.git("update-ref", "refs/heads/main", repo.git("rev-parse", "main~1"));
    expect((await audit(db)).said).toEqual(["origin's main does not contain ID, though it was pushed"]);
  });

  test("a remote that was forced to something else, which is not here", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { db } = await landed(repo);
    const other = colleague(remote);
    other.git("reset", "-q", "--hard", "HEAD~1");
    other.commit({ "theirs.txt": "x\n" });
    other.git("push", "-q", "--force");
    expect((await audit(db)).said).toEqual(["origin's main does not contain its merge ID, though it was pushed"]);
  });

  test("beside others that are proved, and only theirs", async () => {
    const { repo, db } = await landed();
    const { spec } = withProject(repo, "next");
    await insertRows(db, [rowOf(repo, spec), { spec_path: "/x.md", merged_status: "merged" }]);
    await sql(db, "UPDATE project_queue SET merged_status = 'merged' WHERE id = 3");
    const { tag } = (await tick(db)).of(2);
    repo.git("tag", "-d", tag ?? "");
    const found = await audit(db);
    expect(found).toMatchObject({ checked: 3, proved: 1 });
    expect([found.wrong.map(({ id }) => id), found.unproved.map(({ id }) => id)]).toEqual([[2], [3]]);
    expect((await told(db)).text).toMatch(/^1 proved, 1 not provable, 1 wrong \(3 projects\)$/m);
  });
});

describe("--since", () => {
  test("looks only at what was merged from then on", async () => {
    const { repo, db, tag } = await landed();
    repo.git("tag", "-d", tag);
    await sql(db, "UPDATE project_queue SET merged_at = merged_at - 86400 * 3");
    const { spec } = withProject(repo, "next");
    await insertRows(db, [rowOf(repo, spec)]);
    await tick(db);
    expect(await audit(db, ["--since", "2d"])).toMatchObject({ checked: 1, proved: 1, wrong: [] });
    const all = await audit(db, ["--since", "4d"]);
    expect(all).toMatchObject({ checked: 2, proved: 1, wrong: [{ id: 1 }] });
    expect(all.since).not.toBeNull();
    expect((await told(db, ["--since", "4d"])).text).toContain("(2 projects, last 4d)");
    await sql(db, "UPDATE project_queue SET merged_at = merged_at - 86400 * 9");
    expect((await told(db, ["--since", "2d"])).text).toBe("No project was merged in that time.\n");
  });

  test("of a queue without anything merged", async () => {
    const db = await queueOf(makeRepo());
    expect((await told(db)).text).toBe("No project says merged.\n");
  });
});
