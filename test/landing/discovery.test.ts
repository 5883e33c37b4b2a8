import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import { insert } from "../helpers/memory.ts";
import { sql } from "../helpers/queueDb.ts";
import {
  makeRepo,
  plainDirectory,
  type Repo,
  specDirectory,
  withProject,
  withWorktree,
  writeFiles,
  writeSpec,
} from "../helpers/repo.ts";

const files = { "work.txt": "work\n" };
const decoy = { files: { "decoy.txt": "decoy\n" }, branch: "decoy" };

/** Runs a tick on the spec and expects exactly work.txt to have landed. */
async function lands(repo: Repo, spec: string): Promise<void> {
  const db = await queueOf(repo, spec);
  expect((await tick(db)).of(1).outcome).toBe("merged");
  expect(repo.git("diff", "--name-only", "main~1", "main")).toBe("work.txt");
}

/** What the orchestrator writes into the project: one key a directory of worktrees. */
function metadata(repo: Repo, entries: Record<string, unknown>): void {
  writeFiles(repo.path, { ".worktree_metadata.json": JSON.stringify(entries) });
  writeFiles(join(repo.path, ".git", "info"), { exclude: ".worktree_metadata.json\n" });
}

describe("the spec's own directory", () => {
  test("is found though the stem is title-cased and has underscores", async () => {
    const repo = makeRepo({ name: "My_Shop" });
    const { spec, agent } = withProject(repo, "Web_Server", { files });
    expect(basename(agent.directory)).toMatch(/^My_Shop-web-server-[0-9a-f]{12}-tmux-worktrees$/);
    await lands(repo, spec);
  });

  test("is preferred to the plain one and to another spec's", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", { files });
    withProject(repo, "cart-old", decoy);
    withWorktree(repo, spec, { ...decoy, branch: "decoy2", directory: plainDirectory(repo.path) });
    await lands(repo, spec);
  });

  test("of a spec with CR LF line ends has the hash that Python makes of it", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md", "# Cart\r\n\r\nSell things.\r\n");
    withWorktree(repo, spec, { files });
    await lands(repo, spec);
  });

  test("of a spec with CR LF line ends may have the hash of its bytes too", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md", "# Cart\r\n\r\nSell things.\r\n");
    // sha256sum of those bytes
    const directory = join(repo.dir, "shop-cart-c114c342e8c5-tmux-worktrees");
    withWorktree(repo, spec, { files, directory });
    await lands(repo, spec);
  });

  test("under both hashes is ambiguous, and both are named", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md", "# Cart\r\n\r\nSell things.\r\n");
    withWorktree(repo, spec, { files });
    withWorktree(repo, spec, { ...decoy, directory: join(repo.dir, "shop-cart-c114c342e8c5-tmux-worktrees") });
    const db = await queueOf(repo, spec);
    const { detail, reason } = (await tick(db)).of(1);
    expect(reason).toBe("ambiguous_worktree");
    expect(detail).toContain("shop-cart-c114c342e8c5-tmux-worktrees");
    expect(detail).toContain(specDirectory(repo.path, spec));
  });

  test("that is a link is passed over", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", decoy);
    renameSync(agent.directory, join(repo.dir, "elsewhere"));
    symlinkSync(join(repo.dir, "elsewhere"), agent.directory);
    withWorktree(repo, spec, { files, directory: plainDirectory(repo.path) });
    await lands(repo, spec);
  });
});

describe("an edited spec", () => {
  test("is found by what the orchestrator recorded for its path", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files });
    const other = withProject(repo, "other", decoy);
    metadata(repo, {
      [agent.directory]: { spec_path: spec, spec_hash: "0", created_at: "2026-05-04T08:00:00" },
      [other.agent.directory]: { spec_path: other.spec },
    });
    writeSpec(repo, "cart.md", "# Cart, second edition\n");
    withWorktree(repo, spec, { ...decoy, branch: "decoy2", directory: plainDirectory(repo.path) });
    await lands(repo, spec);
  });

  test("with two recorded directories that are there is ambiguous; one that is gone does not count", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files });
    writeSpec(repo, "cart.md", "# Second edition\n");
    const second = withWorktree(repo, spec, decoy);
    writeSpec(repo, "cart.md", "# Third edition\n");
    metadata(repo, { [agent.directory]: { spec_path: spec }, [second.directory]: { spec_path: spec } });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).reason).toBe("ambiguous_worktree");
    repo.git("worktree", "remove", second.path);
    rmSync(second.directory, { recursive: true });
    await sql(db, "UPDATE project_queue SET merged_status = NULL");
    expect((await tick(db)).of(1).outcome).toBe("merged");
  });

  test("is not led out of the project's neighbourhood by a forged record", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    mkdirSync(join(repo.dir, "far"));
    const far = withWorktree(repo, spec, { ...decoy, directory: join(repo.dir, "far", "shop-x-tmux-worktrees") });
    const wrong = withWorktree(repo, spec, { ...decoy, branch: "decoy2", directory: join(repo.dir, "private") });
    metadata(repo, { [far.directory]: { spec_path: spec }, [wrong.directory]: { spec_path: spec } });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).reason).toBe("no_worktree");
  });

  test.each(["{", "[]", "null", `{"x": null}`, `{"x": {"spec_path": 7}}`])(
    "a record that is %j is passed over",
    async (text) => {
      const repo = makeRepo();
      const spec = writeSpec(repo, "cart.md");
      writeFiles(repo.path, { ".worktree_metadata.json": text });
      withWorktree(repo, spec, { files, directory: plainDirectory(repo.path) });
      await lands(repo, spec);
    },
  );

  test("in a subdirectory project is found beside the subdirectory and beside the top level", async () => {
    const repo = makeRepo({ files: { "services/api/main.txt": "api\n" } });
    const inside = join(repo.path, "services/api");
    const [a, b] = [writeSpec(repo, "a.md"), writeSpec(repo, "b.md")];
    const near = withWorktree(repo, a, { directory: specDirectory(inside, a), files: { "a.txt": "a\n" } });
    const far = withWorktree(repo, b, { files: { "b.txt": "b\n" } });
    writeFiles(inside, { ".worktree_metadata.json": JSON.stringify({ [near.directory]: { spec_path: a } }) });
    metadata(repo, { [far.directory]: { spec_path: b } });
    for (const name of ["a.md", "b.md"]) writeSpec(repo, name, "edited\n");
    const db = await queueOf(repo, ...[a, b].map((spec_path) => ({ spec_path, project_path: inside })));
    expect((await tick(db)).report.summary.merged).toBe(2);
  });
});

describe("the plain directory", () => {
  test("is the last resort, and only the project's own", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    withWorktree(repo, spec, { files, directory: plainDirectory(repo.path) });
    withWorktree(repo, spec, { ...decoy, directory: join(repo.dir, "shop-two-tmux-worktrees") });
    await lands(repo, spec);
  });

  test("serves a spec that is gone", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", decoy);
    withWorktree(repo, spec, { files, directory: plainDirectory(repo.path) });
    rmSync(spec);
    await lands(repo, spec);
    expect(agent.read("decoy.txt")).toBe("decoy\n");
  });

  test.each<[string, (spec: string) => void]>([
    ["a directory", (spec) => mkdirSync(spec, { recursive: true })],
    ["a link to itself", (spec) => symlinkSync(spec, spec)],
    ["a pipe that nobody writes to", (spec) => execFileSync("mkfifo", [spec])],
  ])("serves a spec that cannot be read: %s", async (_what, make) => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    rmSync(spec);
    make(spec);
    withWorktree(repo, spec, { files, directory: plainDirectory(repo.path) });
    await lands(repo, spec);
  });
});

describe("in a directory of worktrees", () => {
  test("shared/, links, hidden directories and files are no agents; a directory without git is passed over with a warning", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files });
    const other = withProject(repo, "other", decoy).agent;
    mkdirSync(join(agent.directory, "shared"));
    symlinkSync(other.path, join(agent.directory, "shared", "developer"));
    repo.git("worktree", "add", "-q", "-b", "s", join(agent.directory, "shared", "tester"), "decoy");
    symlinkSync(other.path, join(agent.directory, "tester"));
    repo.git("worktree", "add", "-q", "-b", "h", join(agent.directory, ".hidden"), "decoy");
    writeFiles(agent.directory, { "notes.txt": "x\n", "researcher/report.md": "x\n" });
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(landed).toMatchObject({ outcome: "merged", heads: [{ role: "developer" }] });
    expect(landed.warnings).toEqual([expect.stringContaining("researcher")]);
    expect(repo.show("decoy.txt", "main")).toBeNull();
  });

  test("a stale session-state file hides nothing", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { files });
    writeFiles(agent.directory, { "session_state.json": `{"status": "processing"}`, ".locked": "" });
    await lands(repo, spec);
  });

  test("that is empty, or whose agents have no commits, has no worktree", async () => {
    const repo = makeRepo();
    const spec = writeSpec(repo, "cart.md");
    mkdirSync(specDirectory(repo.path, spec));
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
  });
});

describe("what add recorded", () => {
  test("a worktree wins over every directory, wherever it is", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", decoy);
    const own = withWorktree(repo, spec, { directory: join(repo.dir, "anywhere"), branch: "feature/x", files });
    const db = await queueOf(repo, spec);
    await insert(db, "merge_source", { project_id: 1, worktree: own.path, branch: null });
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", heads: [{ oid: own.head() }] });
    expect(repo.show("decoy.txt", "main")).toBeNull();
  });

  test.each(["feature/x", "refs/heads/feature/x"])("a branch %s is landed without any worktree", async (branch) => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart", { branch: "feature/x", files });
    const oid = agent.head();
    repo.git("worktree", "remove", agent.path);
    const db = await queueOf(repo, spec);
    await insert(db, "merge_source", { project_id: 1, worktree: null, branch });
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", heads: [{ oid }] });
  });

  test.each([
    ["a branch that is gone", { branch: "gone", worktree: null }],
    ["a worktree that is gone", { branch: null, worktree: "/nonexistent/worktree" }],
  ])("%s is no_worktree", async (_what, source) => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart", decoy);
    const db = await queueOf(repo, spec);
    await insert(db, "merge_source", { project_id: 1, ...source });
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "no_worktree" });
  });
});
