import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import { makeRepo, refsOf, withClone, withProject, withRemote, withWorktree, writeSpec } from "../helpers/repo.ts";

/** `20260504-100000` of a report's time, and of the second after it. */
function namedAfter(...times: string[]): string[] {
  return times.map((time) => time.replaceAll(/[-:]/g, "").replace("T", "-").slice(0, 15));
}

describe("a landing", () => {
  test("is a first-parent merge of exactly the agent's head", async () => {
    const repo = makeRepo();
    const base = repo.head();
    const { spec, agent } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(repo.git("rev-parse", "main")).toBe(landed.mergeCommit);
    expect(repo.git("log", "-1", "--format=%P", "main")).toBe(`${base} ${agent.head()}`);
    expect(agent.git("symbolic-ref", "HEAD")).toBe("refs/heads/cart/developer");
    expect(repo.git("fsck", "--strict", "--no-dangling")).toBe("");
  });

  test("has subject and trailers that git itself reads, and the repository's own user", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "Cart_Page");
    const db = await queueOf(repo, spec);
    await tick(db);
    expect(repo.git("log", "-1", "--format=%s%n%an <%ae>%n%cn <%ce>")).toBe(
      "Merge integration from developer: Cart_Page\nPat User <pat@example.com>\nPat User <pat@example.com>",
    );
    const [attempt] = await sql(db, "SELECT attempt_id FROM merge_attempt");
    expect(repo.git("log", "-1", "--format=%(trailers)")).toBe(
      `Orchestrator-Project: 1\nOrchestrator-Attempt: ${attempt?.["attempt_id"]}\n`,
    );
  });

  test("leaves a backup branch at the target as it was, and an annotated tag at the merge, named after UTC and the id", async () => {
    const repo = makeRepo();
    const base = repo.head();
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, { spec_path: spec, id: 42 });
    const { report, of } = await tick(db, [], { env: { TZ: "Asia/Kolkata" } });
    const [stamp = "", next] = namedAfter(report.startedAt, report.finishedAt);
    const landed = of(42);
    const at = landed.tag?.slice("integration-".length, -"-p42".length) ?? "";
    expect(at >= stamp && at <= String(next)).toBe(true);
    expect(landed.tag).toBe(`integration-${at}-p42`);
    expect(landed.backupRef).toBe(`refs/heads/backup-before-merge-${at}-p42`);
    expect(refsOf(repo, "refs/heads/backup*")).toEqual({ [`refs/heads/backup-before-merge-${at}-p42`]: base });
    expect(repo.git("cat-file", "-t", `refs/tags/${landed.tag}`)).toBe("tag");
    expect(repo.git("rev-parse", `refs/tags/${landed.tag}^{commit}`)).toBe(landed.mergeCommit);
    expect(repo.git("for-each-ref", "--format=%(taggername) %(contents)", "refs/tags")).toMatch(
      /^Pat User [\s\S]*Orchestrator-Project: 42\nOrchestrator-Attempt: [0-9A-Z]{26}\n*$/,
    );
  });

  test("leaves a proof that outlives a revert, and no mark of being under way", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(Object.values(refsOf(repo, "refs/orchestrator/landed"))).toEqual([landed.mergeCommit]);
    expect(refsOf(repo, "refs/orchestrator/pending")).toEqual({});
  });

  test("is one entry in the reflogs of the target and of HEAD: HEAD@{1} is the way back", async () => {
    const repo = makeRepo();
    const base = repo.head();
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    for (const log of ["logs/HEAD", "logs/refs/heads/main"]) {
      const entries = repo.read(join(".git", log))?.trim().split("\n") ?? [];
      expect(entries).toHaveLength(2);
      expect(entries[1]).toMatch(new RegExp(`^${base} ${landed.mergeCommit} .*\torchestrator-merge: Fast-forward$`));
    }
    expect(repo.git("rev-parse", "HEAD@{1}")).toBe(base);
  });

  test("of three agents has one backup before the first merge and one tag at the last", async () => {
    const repo = makeRepo();
    const base = repo.head();
    const { spec } = withProject(repo, "cart");
    for (const role of ["tester", "pm"]) withWorktree(repo, spec, { role });
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(Object.values(refsOf(repo, "refs/heads/backup*"))).toEqual([base]);
    expect(repo.git("rev-parse", `${landed.tag}^{commit}`, "main")).toBe(
      `${landed.mergeCommit}\n${landed.mergeCommit}`,
    );
    expect(repo.git("rev-parse", "main~3")).toBe(base);
  });

  test("by nobody in particular when git knows no user", async () => {
    const repo = makeRepo();
    repo.git("config", "--unset", "user.name");
    repo.git("config", "--unset", "user.email");
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.git("log", "-1", "--format=%an <%ae>")).toBe("orchestrator-merge <orchestrator-merge@localhost>");
  });

  test("in a sha256 repository has ids of that kind", async () => {
    const repo = makeRepo({ format: "sha256" });
    const { spec } = withProject(repo, "cart");
    const clone = writeSpec(repo, "clone.md");
    withClone(repo, clone);
    const db = await queueOf(repo, spec, clone);
    const done = await tick(db);
    expect(done.report.summary.merged).toBe(2);
    expect(done.of(1).mergeCommit).toMatch(/^[0-9a-f]{64}$/);
    expect(repo.git("fsck", "--strict", "--no-dangling")).toBe("");
  });

  test("is made beside a tag that has the target's name", async () => {
    const repo = makeRepo();
    repo.git("tag", "main", "HEAD");
    const { spec } = withProject(repo, "cart");
    repo.git("tag", "cart/developer", "HEAD");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(landed.outcome).toBe("merged");
    expect(refsOf(repo, "refs/heads/main")).toEqual({ "refs/heads/main": landed.mergeCommit });
  });

  test("keeps modes, links, binary files, empty files and names that are not UTF-8", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", {
      files: {
        "run.sh": { program: "#!/bin/sh\n" },
        link: { to: "run.sh" },
        "bytes.bin": Buffer.from([0, 1, 2, 255, 10]),
        empty: "",
        'ü "quote" tab\t.txt': "x\n",
      },
    });
    writeFileSync(Buffer.concat([Buffer.from(`${agent.path}/latin-`), Buffer.from([0xe9])]), "latin\n");
    agent.git("add", "-A");
    agent.commit({});
    const db = await queueOf(repo, spec, withProject(repo, "other").spec);
    expect((await tick(db)).report.summary.merged).toBe(2);
    expect(repo.git("diff-tree", "-r", "--name-only", agent.head(), "main")).toBe("other-developer.txt");
    expect(repo.git("status", "--porcelain")).toBe("");
    expect(repo.git("ls-tree", "--name-only", "main")).toContain("latin-\\351");
  });
});

describe("tags", () => {
  test.each([
    ["off", {}, {}],
    ["local", { "refs/tags/integration": 1 }, {}],
    ["push", { "refs/tags/integration": 1 }, { "refs/tags/integration": 1 }],
  ])("mode %s", async (mode, here, there) => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db, [], { config: `[tag]\nmode = "${mode}"\n` })).of(1);
    expect(landed).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(landed.tag === null).toBe(mode === "off");
    expect(Object.keys(refsOf(repo, "refs/tags"))).toHaveLength(Object.keys(here).length);
    expect(Object.keys(refsOf(remote, "refs/tags"))).toHaveLength(Object.keys(there).length);
    expect(remote.git("rev-parse", "main")).toBe(landed.mergeCommit);
  });
});
