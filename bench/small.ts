import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gitEnvironment } from "../src/git/environment.ts";
import { openQueue } from "../src/queue/database.ts";
import { enqueue } from "../src/queue/enqueue.ts";
import { migrate } from "../src/queue/migrate.ts";
import type { Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

/** Twenty small repositories, each with one project, one linked worktree and a bare remote, against the same safe git commands. */
export async function small(world: World, count: number, rounds: number): Promise<Scenario> {
  const dir = join(world.dir, "small");
  const [place, kept] = [join(dir, "work"), join(dir, "kept")];
  mkdirSync(place, { recursive: true });
  for (let n = 0; n < count; n++) makeProject(world, join(place, String(n)));
  const database = await withQueue(place, count);
  cpSync(place, kept, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  // Worktrees know each other by absolute paths, so the copy goes back to where it was made.
  const prepare = async () => {
    rmSync(place, { recursive: true });
    cpSync(kept, place, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    for (let n = 0; n < count; n++) refreshed(world, join(place, String(n)));
  };
  const check = async () => {
    for (let n = 0; n < count; n++) landed(world, join(place, String(n)));
  };
  return {
    name: `${count} small repositories`,
    rounds,
    bound: { atMost: 1.25 },
    ours: { name: "run", command: world.program(["run", "--limit", "all", "--db", database]), prepare, check },
    peer: {
      name: "the same safe steps in sh",
      command: world.script("safe-steps.sh", [place], gitEnvironment(world.env, "bench", {})),
      prepare,
      check,
    },
  };
}

/** A queue in `place` with one completed project for each of `<place>/0` to `<place>/<count - 1>`. Gives its path. */
export async function withQueue(place: string, count: number): Promise<string> {
  const database = join(place, "task_queue.db");
  await migrate({ location: database, dryRun: false, baseline: null, now: Date.now() });
  const queue = await openQueue({ location: database, mode: "write" });
  for (let n = 0; n < count; n++) {
    const projectPath = join(place, String(n), "project");
    const source = { worktree: join(place, String(n), "agent") };
    await enqueue(queue, {
      specPath: `/specs/work_${n}.md`,
      projectPath,
      priority: 0,
      completedAt: Date.now(),
      tags: [],
      dependsOn: [],
      source,
    });
  }
  await queue.close();
  return database;
}

/** After a copy, git knows the files of no index again: it is told, as any status before would have. */
export function refreshed(world: World, dir: string): void {
  for (const tree of ["project", "agent"]) world.git(join(dir, tree), ["update-index", "-q", "--refresh"]);
}

/** Throws unless the project in `dir` has landed, files and remote included. */
export function landed(world: World, dir: string): void {
  const [here, there] = [join(dir, "project"), join(dir, "origin.git")].map((each) =>
    world.git(each, ["rev-parse", "main^{tree}"]),
  );
  const tags = world.git(join(dir, "origin.git"), ["tag"]);
  if (here !== there || !tags.startsWith("integration-") || !existsSync(join(dir, "project", "new.txt")))
    throw new Error(`${dir} did not land`);
}

/** A remote, a project cloned from it, a worktree with one finished commit. */
export function makeProject(world: World, dir: string): void {
  const [origin, project, agent] = ["origin.git", "project", "agent"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(project, { recursive: true });
  world.git(dir, ["init", "-q", "--bare", origin]);
  world.git(project, ["init", "-q"]);
  for (let n = 0; n < 30; n++) write(project, `src/part${n}.txt`, n);
  world.git(project, ["add", "."]);
  world.git(project, ["commit", "-q", "-m", "start"]);
  world.git(project, ["remote", "add", "origin", origin]);
  world.git(project, ["push", "-q", "-u", "origin", "main"]);
  world.git(project, ["worktree", "add", "-q", "-b", "work", agent]);
  for (const n of [3, 7]) write(agent, `src/part${n}.txt`, n + 100);
  write(agent, "new.txt", 1);
  world.git(agent, ["add", "."]);
  world.git(agent, ["commit", "-q", "-m", "work"]);
}

function write(dir: string, path: string, seed: number): void {
  const file = join(dir, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, Array.from({ length: 20 }, (_, line) => `line ${line} of ${seed}\n`).join(""));
}
