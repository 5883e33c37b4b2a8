import { existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { findings } from "../../src/app/recover.ts";
import { waitsOver } from "../helpers/landing.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import { ambushed, setAmbush } from "./shim.ts";
import { kill, makeSlot, type Run, type Slot } from "./slot.ts";
import { haveStrace } from "./strace.ts";
import { ambushAt, finish, type Known, type Mode, undisturbed } from "./sweep.ts";

/* The rows of docs/recovery.md, one test each: the state is made by a death at the right call, and what a person does meanwhile. */

const [checkedOut, elsewhere, , withOrigin] = scenarios;
const traceable = haveStrace();
const limit = { timeout: 120_000 };

type Scene = { readonly slot: Slot; readonly known: Known };

/** One slot a scenario, seen undisturbed once. */
const scenes = new Map<Scenario, Scene>();
afterAll(() => {
  for (const { slot } of scenes.values()) slot.remove();
});

async function sceneOf(scenario: Scenario | undefined): Promise<Scene> {
  if (scenario === undefined) throw new Error("no such scenario");
  const made = scenes.get(scenario);
  if (made !== undefined) return made;
  const slot = await makeSlot(scenario);
  const scene = { slot, known: await undisturbed(slot) };
  scenes.set(scenario, scene);
  return scene;
}

/** A world whose run died at the call of `process` that `mark` tells. */
async function deathAt(
  scenario: Scenario | undefined,
  process: string,
  mark: RegExp,
  mode: Mode = "tree",
): Promise<Scene> {
  const scene = await sceneOf(scenario);
  const { slot, known } = scene;
  const point = known.points.find((one) => one.process === process && mark.test(one.text));
  if (point === undefined) throw new Error(`${process} makes no call like ${mark}`);
  await slot.reset();
  expect(await ambushAt(slot, point, mode)).toBe(true);
  return scene;
}

/** The next run; what it found and did, and the one project's result. */
async function recovery({ slot: { run, path } }: Scene) {
  setAmbush(path, { kind: "none" });
  const said: Run = await run();
  const { recovered, results } = JSON.parse(said.stdout);
  const [one] = recovered;
  return { found: one?.found ?? null, did: one?.did ?? null, result: results[0] ?? null, said };
}

const allIsWell = async ({ slot: where, known }: Scene) =>
  expect(await finish(where, known.before, known.golden)).toEqual([]);

describe.runIf(traceable)("found, and done", () => {
  test("nothing but locks: died in the first transaction", limit, async () => {
    const scene = await deathAt(checkedOut, "update-ref.1", /^write.*p1\.lock>, "\\n"/);
    expect(existsSync(join(scene.slot.world.main.path, ".git/refs/heads/main.lock"))).toBe(true);
    expect(await recovery(scene)).toMatchObject({
      found: "not begun",
      did: "abandoned",
      result: { outcome: "merged" },
    });
    await allIsWell(scene);
  });

  test("the mark without its backup: died while the first transaction was committed", limit, async () => {
    const scene = await deathAt(checkedOut, "update-ref.1", /^rename.*orchestrator\/pending/);
    expect(await recovery(scene)).toMatchObject({ found: "before the checkout", did: "finished" });
    await allIsWell(scene);
  });

  test("the mark, and some files new: died among the files", limit, async () => {
    const scene = await deathAt(checkedOut, "merge.1", /^write.*lines\.dos/);
    expect(existsSync(join(scene.slot.world.main.path, ".git/index.lock"))).toBe(true);
    expect(await recovery(scene)).toMatchObject({ found: "before the checkout", did: "finished" });
    await allIsWell(scene);
  });

  test("the index new, the branch old", limit, async () => {
    const scene = await deathAt(checkedOut, "merge.1", /^rename.*index\.lock/);
    expect(await recovery(scene)).toMatchObject({ found: "before the checkout", did: "finished" });
    await allIsWell(scene);
  });

  test("the branch new, the mark there", limit, async () => {
    const scene = await deathAt(checkedOut, "merge.1", /^rename.*heads\/main\.lock/);
    expect(await recovery(scene)).toMatchObject({ found: "before the tags", did: "finished" });
    await allIsWell(scene);
  });

  test("a tag, but no proof: died while the second transaction was committed", limit, async () => {
    const scene = await deathAt(checkedOut, "update-ref.1", /^rename.*tags\/integration/);
    expect(await recovery(scene)).toMatchObject({ found: "before the tags", did: "finished" });
    await allIsWell(scene);
  });

  test("the mark, and the tags pruned: somebody cleaned up meanwhile", limit, async () => {
    const scene = await deathAt(checkedOut, "merge.1", /^unlink.*ORIG_HEAD/);
    removeLocks(scene);
    scene.slot.world.main.git("prune", "--expire=now");
    expect(await recovery(scene)).toMatchObject({ found: "before the checkout", did: "finished" });
    await allIsWell(scene);
  });

  test("all refs, and no row", limit, async () => {
    const scene = await deathAt(checkedOut, "update-ref.1", /^rmdir.*orchestrator\/pending/, "finishing");
    expect(await recovery(scene)).toMatchObject({ found: "before the record", did: "finished" });
    await allIsWell(scene);
  });

  test("the push owed: died in it, and the other side left a lock", limit, async () => {
    const scene = await deathAt(withOrigin, "receive-pack.1", /^rename.*heads\/main\.lock/);
    expect(existsSync(join(scene.slot.world.remote?.path ?? "", "refs/tags"))).toBe(true);
    expect(await recovery(scene)).toMatchObject({ found: null, result: null });
    await allIsWell(scene);
  });

  test("the target moved on: somebody committed meanwhile", limit, async () => {
    const scene = await deathAt(checkedOut, "merge.1", /^write.*large\.bin/);
    const { main } = scene.slot.world;
    removeLocks(scene); // as the person must, whose own git refuses otherwise
    main.git("-c", "user.name=Pat", "-c", "user.email=p@x", "commit", "-q", "-m", "mine", "--only", "edited.txt");
    const mine = main.head();
    expect(await recovery(scene)).toMatchObject({
      found: "overtaken",
      did: "abandoned",
      result: { outcome: "merged" },
    });
    expect(main.git("log", "--first-parent", "--format=%H", "-2").split("\n")[1]).toBe(mine);
    expect(main.git("status", "--porcelain", "text.txt", "large.bin", "binary.bin", "dir-to-file", "gone.txt")).toBe(
      "",
    );
  });

  test("the target is checked out no longer: somebody switched branches meanwhile", limit, async () => {
    const scene = await deathAt(checkedOut, "merge.1", /^unlink\("gone\.txt"/);
    const { main } = scene.slot.world;
    removeLocks(scene);
    main.git("checkout", "-q", "-b", "elsewhere");
    expect(await recovery(scene)).toMatchObject({
      found: "overtaken",
      did: "abandoned",
      result: { outcome: "merged" },
    });
    expect(main.read("gone.txt")).toBe("goes away\n");
    expect(main.git("symbolic-ref", "HEAD")).toBe("refs/heads/elsewhere");
    expect(main.git("status", "--porcelain", "gone.txt", "dir-to-file", "dir")).toBe("");
  });

  test("the target is checked out by now, and was not: its files move with it", limit, async () => {
    const scene = await deathAt(elsewhere, "update-ref.1", /^unlink.*developer\.lock/);
    const { main, lands } = scene.slot.world;
    const checkout = join(scene.slot.path, "checkout");
    main.git("worktree", "add", "-q", checkout, "main");
    expect(await recovery(scene)).toMatchObject({ found: "before the checkout", did: "finished" });
    expect(main.git("-C", checkout, "status", "--porcelain")).toBe("");
    expect(main.git("-C", checkout, "log", "--first-parent", "--format=%P", "-2")).toContain(lands.get(1)?.[0]);
  });

  test(
    "landed and taken out again by hand: it stays out of the rows, and what bears witness stays",
    limit,
    async () => {
      const scene = await deathAt(elsewhere, "update-ref.1", /^rmdir.*orchestrator\/pending/, "finishing");
      const { main, base } = scene.slot.world;
      if (main.git("rev-parse", "main") === base) throw new Error("it had not landed");
      main.git("update-ref", "refs/heads/main", base);
      const tags = main.git("tag", "--list", "integration-*");
      expect(await recovery(scene)).toMatchObject({ found: "overtaken", did: "abandoned" });
      expect(main.git("tag", "--list", "integration-*")).toContain(tags);
    },
  );
});

describe.runIf(traceable)("held for a person", () => {
  test("a file that is neither old nor new: it is not touched, and the command finishes it", limit, async () => {
    const scene = await deathAt(checkedOut, "merge.1", /^write.*large\.bin/);
    const { main } = scene.slot.world;
    main.write({ "text.txt": "what the user has made of it\n" });
    const { found, result, said } = await recovery(scene);
    expect(found).toBeNull();
    expect(said.code).toBe(0);
    expect(result).toMatchObject({ outcome: "held", reason: "repository_busy" });
    expect(result.detail).toContain("text.txt there is neither the old version nor the new one");
    expect(main.read("text.txt")).toBe("what the user has made of it\n");
    const command = /finish it with: git -C (\S+) (merge --ff-only [0-9a-f]{40})$/.exec(result.detail);
    main.git("checkout", "--", "text.txt");
    main.git(...(command?.[2]?.split(" ") ?? ["no command"]));
    expect(await recovery(scene)).toMatchObject({ found: "before the tags", did: "finished" });
    await allIsWell(scene);
  });

  test("a lock that is older than the landing is somebody else's", limit, async () => {
    const scene = await deathAt(checkedOut, "update-ref.1", /^unlink.*developer\.lock/);
    const lock = join(scene.slot.world.main.path, ".git/index.lock");
    writeFileSync(lock, "");
    utimesSync(lock, Date.now() / 1000 - 3600, Date.now() / 1000 - 3600);
    const { found, result } = await recovery(scene);
    expect(found).toBeNull();
    expect(result.detail).toContain("index.lock is in the way, and older than what we did there");
    expect(existsSync(lock)).toBe(true);
  });

  test("a lock in a repository where somebody's git is at work is left alone until that ends", limit, async () => {
    const scene = await deathAt(checkedOut, "merge.1", /^write.*large\.bin/);
    const { main } = scene.slot.world;
    const { spawn } = await import("node:child_process");
    const other = spawn("git", ["cat-file", "--batch"], { cwd: main.path, stdio: ["pipe", "ignore", "ignore"] });
    const { found, result } = await recovery(scene);
    expect(found).toBeNull();
    expect(result.detail).toContain(`git (process ${other.pid}) is at work there`);
    expect(existsSync(join(main.path, ".git/index.lock"))).toBe(true);
    other.stdin.end();
    await new Promise((resolve) => other.on("close", resolve));
    await waitsOver(scene.slot.world.db);
    await allIsWell(scene);
  });
});

describe.runIf(traceable)("processes of the dead", () => {
  test("one that stands still at a ref is ended before recovery looks", limit, async () => {
    const scene = await deathAt(checkedOut, "update-ref.1", /^write.*p1\.lock>, "\\n"/, "program");
    expect(scene.slot.processes().length).toBeGreaterThan(0);
    const { found } = await recovery(scene);
    expect(found).toBe("not begun");
    expect(scene.slot.processes()).toEqual([]);
    await allIsWell(scene);
  });

  test("a push that goes on behind a dead run is ended too", limit, async () => {
    const scene = await deathAt(withOrigin, "receive-pack.1", /^write/, "program");
    expect(scene.slot.processes().length).toBeGreaterThan(0);
    await recovery(scene);
    expect(scene.slot.processes()).toEqual([]);
    await allIsWell(scene);
  });

  test("those of others, and of other runs, live on", limit, async () => {
    const scene = await deathAt(checkedOut, "merge.1", /^write.*large\.bin/);
    const { spawn } = await import("node:child_process");
    const env = { PATH: process.env["PATH"], ORCHESTRATOR_MERGE_RUN: "01AAAAAAAAAAAAAAAAAAAAAAAA" };
    const others = [env, { PATH: process.env["PATH"] }].map((one) => spawn("sleep", ["60"], { env: one }));
    await recovery(scene);
    expect(others.map(({ exitCode, signalCode }) => exitCode ?? signalCode)).toEqual([null, null]);
    for (const { pid } of others) kill(pid ?? 0);
    expect(ambushed(scene.slot.path)).toBe(false);
    await allIsWell(scene);
  });
});

test("docs/recovery.md tells of each finding what the program does", () => {
  const text = readFileSync(new URL("../../docs/recovery.md", import.meta.url), "utf8");
  const rows = text.split("\n").flatMap((line) => /^\|.*\| `(.+)`: (\w+)/.exec(line)?.slice(1) ?? []);
  const told = new Map<string, string>();
  for (let index = 0; index < rows.length; index += 2) told.set(rows[index] ?? "", rows[index + 1] ?? "");
  expect(Object.fromEntries(told)).toEqual(findings);
});

/** What a killed git leaves, removed by hand: `rm -f .git/index.lock` is what its error message tells a person to do. */
function removeLocks({ slot: { world } }: Scene): void {
  world.main.git("-c", "alias.unlock=!find .git -name '*.lock' -delete", "unlock");
}
