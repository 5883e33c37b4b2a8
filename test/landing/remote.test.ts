import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { logOf, onQueue, outcomeOf, pushOf, queueOf, rowOf, tick, waitsOver } from "../helpers/landing.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import { makeRepo, refsOf, type Tree, withProject, withRemote, writeFiles } from "../helpers/repo.ts";

describe("a push", () => {
  test("carries the target and our tags and nothing else", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    repo.git("tag", "private");
    repo.git("tag", "-a", "-m", "mine", "v-private");
    repo.git("tag", "integration-mine");
    repo.git("branch", "secret");
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const landed = (await tick(db)).of(1);
    expect(landed.push).toBe("pushed");
    expect(refsOf(remote)).toEqual({
      "refs/heads/main": landed.mergeCommit,
      [`refs/tags/${landed.tag}`]: repo.git("rev-parse", `refs/tags/${landed.tag}`),
    });
    expect(repo.git("rev-parse", "origin/main")).toBe(landed.mergeCommit);
    expect(repo.git("status", "-sb")).toBe("## main...origin/main");
    expect(await pushOf(db, 1)).toBe("pushed");
  });

  test("is one atomic push for all projects of a target", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    remote.git("config", "core.logAllRefUpdates", "always");
    const specs = ["a", "b", "c"].map((name) => withProject(repo, name).spec);
    const db = await queueOf(repo, ...specs);
    const done = await tick(db);
    expect(done.report.pushes).toEqual([
      expect.objectContaining({ target: "main", state: "pushed", remote: "origin" }),
    ]);
    expect(remote.git("reflog", "show", "main").split("\n")).toHaveLength(1);
  });

  test("without any remote is none", async () => {
    const repo = makeRepo();
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "merged", push: "none" });
    expect(done.report.pushes).toEqual([]);
    expect(await sql(db, "SELECT * FROM merge_push")).toEqual([]);
  });

  test.each([
    ["by configuration", `[push]\nmode = "off"\n`],
    ["by a rule", `[[rule]]\nmatch = { name = "cart" }\npush = "off"\n`],
  ])("switched off %s is off, and the remote is not even asked", async (_how, config) => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    rmSync(remote.path, { recursive: true });
    const db = await queueOf(repo, spec);
    const done = await tick(db, [], { config });
    expect(done.of(1)).toMatchObject({ outcome: "merged", push: "off", warnings: [] });
    expect((await tick(db)).report.pushes).toEqual([]);
  });

  test("goes to the remote that [push] remote names", async () => {
    const repo = makeRepo();
    const [origin, mine] = [withRemote(repo), withRemote(repo, { name: "mine" })];
    const { spec } = withProject(repo, "cart");
    const before = refsOf(origin);
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], { config: `[push]\nremote = "mine"\n` })).of(1).push).toBe("pushed");
    expect(refsOf(origin)).toEqual(before);
    expect(mine.git("rev-parse", "main")).toBe(repo.head());
  });

  test("goes to the push URL, which may be a relative path", async () => {
    const repo = makeRepo();
    const origin = withRemote(repo);
    const mirror = withRemote(repo, { name: "mirror" });
    repo.git("remote", "set-url", "--push", "origin", "../mirror.git");
    const { spec } = withProject(repo, "cart");
    const before = refsOf(origin);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).push).toBe("pushed");
    expect(refsOf(origin)).toEqual(before);
    expect(mirror.git("rev-parse", "main")).toBe(repo.head());
  });

  test("of work that is in the target already is not owed", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart", { files: null });
    const before = refsOf(remote);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "already_merged", push: null });
    expect(refsOf(remote)).toEqual(before);
  });

  test("to an empty remote creates the target there", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo, { empty: true });
    const { spec } = withProject(repo, "cart");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).push).toBe("pushed");
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
  });

  test("never creates the target on a remote that has other branches: refused", async () => {
    const repo = makeRepo({ branch: "main" });
    const remote = withRemote(repo, { empty: true });
    repo.git("push", "-q", "origin", "main:trunk");
    const { spec } = withProject(repo, "cart");
    const before = refsOf(remote);
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "merged", push: "refused" });
    expect(done.report.pushes).toEqual([expect.objectContaining({ detail: expect.stringContaining("main") })]);
    expect(refsOf(remote)).toEqual(before);
  });
});

describe("a push that fails", () => {
  /** Takes a remote away until `up`. */
  const down = (remote: Tree) => {
    renameSync(remote.path, `${remote.path}.away`);
    return { up: () => renameSync(`${remote.path}.away`, remote.path) };
  };

  test("because the remote is down leaves merged and pending, warns, and is done on a later tick", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    const { up } = down(remote);
    const db = await queueOf(repo, spec);
    const first = await tick(db);
    expect(first.code).toBe(0);
    expect(first.of(1)).toMatchObject({ outcome: "merged", push: "pending" });
    expect(first.of(1).warnings.join()).toContain("origin cannot be reached");
    expect((await outcomeOf(db, 1)).status).toBe("merged");
    expect(await pushOf(db, 1)).toBe("pending");
    up();
    expect((await tick(db)).report.pushes).toEqual([]); // it holds back for a while
    await waitsOver(db);
    const later = await tick(db);
    expect(later.report).toMatchObject({ results: [], pushes: [{ state: "pushed" }] });
    expect(refsOf(remote)).toEqual({
      "refs/heads/main": first.of(1).mergeCommit,
      [`refs/tags/${first.of(1).tag}`]: repo.git("rev-parse", `refs/tags/${first.of(1).tag}`),
    });
    expect(await pushOf(db, 1)).toBe("pushed");
    expect((await tick(db)).report.pushes).toEqual([]);
  });

  test("holds back longer each time", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    down(remote);
    const db = await queueOf(repo, spec);
    const waits: number[] = [];
    for (let attempt = 0; attempt < 4; attempt++) {
      await tick(db);
      const [row] = await sql(db, "SELECT next_at - changed_at AS wait, failures FROM merge_push");
      expect(row?.["failures"]).toBe(attempt + 1);
      waits.push(Number(row?.["wait"]));
      await waitsOver(db);
    }
    for (const [index, wait] of waits.entries()) {
      expect(wait).toBeLessThanOrEqual(60_000 * 2 ** index);
      expect(wait).toBeGreaterThanOrEqual(0.8 * 60_000 * 2 ** index - 1);
    }
  });

  test("by a hook of the remote is refused, says what the hook said, and is tried again much later", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    writeFiles(remote.path, { "hooks/pre-receive": { program: "#!/bin/sh\necho protected by policy >&2\nexit 1\n" } });
    const before = refsOf(remote);
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(done.of(1)).toMatchObject({ outcome: "merged", push: "refused" });
    expect(done.report.pushes[0]).toMatchObject({ detail: expect.stringContaining("protected by policy") });
    expect(refsOf(remote)).toEqual(before);
    const [row] = await sql(db, "SELECT next_at - changed_at AS wait FROM merge_push");
    expect(Number(row?.["wait"])).toBeGreaterThanOrEqual(0.8 * 3_600_000 - 1);
    rmSync(join(remote.path, "hooks/pre-receive"));
    await waitsOver(db);
    expect((await tick(db)).report.pushes[0]).toMatchObject({ state: "pushed" });
    expect(Object.keys(refsOf(remote))).toHaveLength(2);
  });

  test("atomically: a tag that the remote refuses keeps the branch back too", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    const refuse = `#!/bin/sh\ncase $1 in refs/tags/*) exit 1;; esac\n`;
    writeFiles(remote.path, { "hooks/update": { program: refuse } });
    const before = refsOf(remote);
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "refused" });
    expect(refsOf(remote)).toEqual(before);
  });

  test("is paid together with the next landing, tags and all", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "first");
    const { up } = down(remote);
    const db = await queueOf(repo, spec);
    const first = (await tick(db)).of(1);
    up();
    await insertRows(db, [rowOf(repo, withProject(repo, "second").spec)]);
    const second = (await tick(db)).of(2);
    expect(second.push).toBe("pushed");
    expect(Object.keys(refsOf(remote, "refs/tags"))).toEqual(
      [`refs/tags/${first.tag}`, `refs/tags/${second.tag}`].sort(),
    );
    expect([await pushOf(db, 1), await pushOf(db, 2)]).toEqual(["pushed", "pushed"]);
  });

  test("is forgotten when the remote is taken away for good", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    down(remote);
    const db = await queueOf(repo, spec);
    await tick(db);
    repo.git("remote", "remove", "origin");
    await waitsOver(db);
    expect((await onQueue(db, ["run"])).code).toBe(0);
    await waitsOver(db);
    expect((await tick(db)).report.pushes).toEqual([]);
    expect(logOf(db).at(-1)).toContain("No projects pending merge");
  });
});
