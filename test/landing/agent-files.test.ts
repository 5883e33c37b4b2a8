import { describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import { makeRepo, withProject, withWorktree } from "../helpers/repo.ts";

const own = { "CLAUDE.md": "You are the developer.\n", ".mcp.json": "{}\n", ".claude/settings.local.json": "{}\n" };

describe("the agents' own files", () => {
  test("absent in the target stay absent, and are listed", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { ...own, "work.txt": "work\n" } });
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(landed.outcome).toBe("merged");
    expect(repo.git("diff", "--name-only", "main~1", "main")).toBe("work.txt");
    expect(repo.git("ls-files")).not.toContain("CLAUDE");
    for (const path of Object.keys(own)) expect(landed.warnings.join()).toContain(path);
  });

  test("stay as the target has them when an agent changed or deleted them", async () => {
    const theirs = { "CLAUDE.md": "# Ours\n", ".mcp.json": `{"ours": 1}\n` };
    const repo = makeRepo({ files: { ...theirs, "a.txt": "a\n" } });
    const { spec, agent } = withProject(repo, "cart", { files: { "CLAUDE.md": "mine\n", "work.txt": "work\n" } });
    agent.git("rm", "-q", ".mcp.json");
    agent.commit({});
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(landed.outcome).toBe("merged");
    expect([repo.show("CLAUDE.md"), repo.show(".mcp.json")]).toEqual(["# Ours", `{"ours": 1}`]);
    expect([repo.read("CLAUDE.md"), repo.read(".mcp.json")]).toEqual(Object.values(theirs));
    expect(landed.warnings.join()).toMatch(/CLAUDE\.md.*\.mcp\.json|\.mcp\.json.*CLAUDE\.md/);
  });

  test("that conflict do so in vain: the target's side wins and the rest lands", async () => {
    const repo = makeRepo({ files: { "CLAUDE.md": "# Ours\n" } });
    const { spec } = withProject(repo, "cart", { files: { "CLAUDE.md": "agent\n", "work.txt": "work\n" } });
    repo.commit({ "CLAUDE.md": "# Ours, second edition\n" });
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(landed).toMatchObject({ outcome: "merged", conflicts: [] });
    expect(repo.show("CLAUDE.md")).toBe("# Ours, second edition");
    expect(repo.show("work.txt")).toBe("work");
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("of two agents, which conflict with each other, hold nothing up", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "CLAUDE.md": "developer\n", "a.txt": "a\n" } });
    withWorktree(repo, spec, { role: "tester", files: { "CLAUDE.md": "tester\n", "b.txt": "b\n" } });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.git("ls-tree", "--name-only", "main").split("\n")).toEqual(["README.md", "a.txt", "b.txt", "cart.txt"]);
  });

  test("do not hide a real conflict", async () => {
    const repo = makeRepo({ files: { "CLAUDE.md": "# Ours\n", "a.txt": "a\n" } });
    const { spec } = withProject(repo, "cart", { files: { "CLAUDE.md": "agent\n", "a.txt": "agent\n" } });
    repo.commit({ "CLAUDE.md": "# Second\n", "a.txt": "second\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ reason: "conflict", conflicts: ["a.txt"] });
  });

  test("modify against delete: what the target deleted stays deleted", async () => {
    const repo = makeRepo({ files: { "CLAUDE.md": "# Ours\n", "a.txt": "a\n" } });
    const { spec } = withProject(repo, "cart", { files: { "CLAUDE.md": "agent\n", "work.txt": "work\n" } });
    repo.git("rm", "-q", "CLAUDE.md");
    repo.commit({});
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.show("CLAUDE.md")).toBeNull();
    expect(repo.git("ls-files", "-u")).toBe("");
  });

  test("in a directory further down are ordinary files", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { "docs/CLAUDE.md": "text\n" } });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", warnings: [] });
    expect(repo.show("docs/CLAUDE.md")).toBe("text");
  });

  test("uncommitted, in any state, never make a worktree dirty", async () => {
    const repo = makeRepo({ files: { "CLAUDE.md": "# Ours\n" } });
    const { spec, agent } = withProject(repo, "cart");
    agent.write({ ...own, ".claude/settings.local.json": "{1}\n" });
    agent.git("add", "-f", ".mcp.json");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(agent.read("CLAUDE.md")).toBe(own["CLAUDE.md"]);
  });

  test("alone are all that an agent committed: it lands as an empty merge, once", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: own });
    const tree = repo.git("rev-parse", "main^{tree}");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.git("rev-parse", "main^{tree}")).toBe(tree);
    expect((await tick(db)).report.results).toEqual([]);
  });

  test("in the way of the checkout are none of our business: the user's CLAUDE.md, untracked, stays and the work lands", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files: { ...own, "work.txt": "work\n" } });
    repo.write({ "CLAUDE.md": "the user's own\n" });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.read("CLAUDE.md")).toBe("the user's own\n");
  });

  test("are those that [merge] keep_target names", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", {
      files: { "CLAUDE.md": "text\n", "AGENTS.md": "x\n", "a.txt": "a\n" },
    });
    const db = await queueOf(repo, spec);
    await tick(db, [], { config: `[merge]\nkeep_target = ["AGENTS.md"]\n` });
    expect(repo.git("diff", "--name-only", "main~1", "main")).toBe("CLAUDE.md\na.txt");
  });
});
