import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openQueue } from "../src/queue/database.ts";
import { enqueue } from "../src/queue/enqueue.ts";
import { migrate } from "../src/queue/migrate.ts";
import type { Contender, Scenario } from "./scenario.ts";
import { onlyGit, type World } from "./world.ts";

/** How large the large repository is. */
export type Size = { readonly files: number; readonly branches: number; readonly rounds: number };

/** The large repository, and everything in it that a round changes put back. */
type Large = { readonly main: string; readonly trees: string; restore(): void; landed(): void };

/**
 * A hundred branches into one repository of 20,000 files, against a loop of git merge --no-ff; the same on a host without stdbuf; the same
 * with a worktree for every branch that must be looked at for uncommitted work.
 */
export async function* large(world: World, size: Size, progress: (text: string) => void): AsyncGenerator<Scenario> {
  const repository = makeRepository(world, size);
  const byBranch = await queueOf(world, repository, size, (n) => ({ branch: `work-${n}` }));
  const ours = (name: string, database: Database, path?: string): Contender => ({
    name,
    command: world.program(["run", "--limit", "all", "--db", database.file], path),
    prepare: async () => {
      repository.restore();
      database.restore();
    },
    check: async () => repository.landed(),
  });
  const peer = (...worktrees: string[]): Contender => ({
    name: worktrees.length === 0 ? "git merge --no-ff, one by one" : "git status, git merge --no-ff, one by one",
    command: world.script("merge-loop.sh", [repository.main, String(size.branches), ...worktrees]),
    prepare: async () => repository.restore(),
    check: async () => repository.landed(),
  });
  const what = `${size.branches} branches, ${size.files.toLocaleString("en")} files`;
  const { rounds } = size;
  yield { name: what, rounds, bound: { atLeast: 8 }, ours: ours("run", byBranch), peer: peer() };
  const without = onlyGit(world);
  yield {
    name: `${what}, no stdbuf`,
    rounds,
    bound: null,
    ours: ours("run", byBranch, without),
    peer: ours("run with stdbuf", byBranch),
  };
  for (let n = 1; n <= size.branches; n++) {
    progress(`making worktree ${n} of ${size.branches}`);
    world.git(repository.main, ["worktree", "add", "-q", join(repository.trees, `work-${n}`), `work-${n}`]);
  }
  const byTree = await queueOf(world, repository, size, (n) => ({ worktree: join(repository.trees, `work-${n}`) }));
  const name = `${what}, ${size.branches} worktrees`;
  yield { name, rounds, bound: { atLeast: 2.5 }, ours: ours("run", byTree), peer: peer(repository.trees) };
}

function makeRepository(world: World, { files, branches }: Size): Large {
  const main = join(world.dir, "large");
  mkdirSync(main);
  world.git(main, ["init", "-q"]);
  const file = (n: number) => `area${n % 40}/part${Math.floor(n / 40) % 25}/file${n}.txt`;
  const text = (seed: string) => Array.from({ length: 12 }, (_, line) => `line ${line} of ${seed}\n`).join("");
  const put = (path: string, content: string) => `M 100644 inline ${path}\ndata ${content.length}\n${content}\n`;
  const commit = (ref: string, message: string, mark = "") =>
    `commit ${ref}\n${mark}committer Bench <bench@example.com> 1600000000 +0000\ndata ${message.length}\n${message}\n`;
  const stream = [commit("refs/heads/main", "start", "mark :1\n")];
  for (let n = 0; n < files; n++) stream.push(put(file(n), text(String(n))));
  for (let n = 1; n <= branches; n++) {
    stream.push(commit(`refs/heads/work-${n}`, `work ${n}`), "from :1\n");
    for (const each of [n, n + 5000]) stream.push(put(file(each % files), text(`${each} changed`)));
    stream.push(put(`added/new${n}.txt`, text(`new ${n}`)));
  }
  world.git(main, ["fast-import", "--quiet"], stream.join(""));
  world.git(main, ["reset", "-q", "--hard", "main"]);
  const start = world.git(main, ["rev-parse", "main"]);
  const objects = join(main, ".git", "objects");
  const pristine = new Set(["info", "pack", ...readdirSync(join(objects, "pack"))]);
  return {
    main,
    trees: join(world.dir, "large-trees"),
    restore() {
      world.git(main, ["reset", "-q", "--hard", start]);
      const refs = world.git(main, [
        "for-each-ref",
        "--format=delete %(refname)",
        "refs/tags",
        "refs/orchestrator",
        "refs/heads/backup-*",
      ]);
      if (refs !== "") world.git(main, ["update-ref", "--stdin"], `${refs}\n`);
      for (const dir of [objects, join(objects, "pack")]) {
        for (const name of readdirSync(dir)) if (!pristine.has(name)) rmSync(join(dir, name), { recursive: true });
      }
      world.git(main, ["update-index", "-q", "--refresh"]);
    },
    landed() {
      const merges = world.git(main, ["rev-list", "--count", "--merges", "--first-parent", `${start}..main`]);
      const added = world.git(main, ["ls-files", "added"]).split("\n").length;
      const dirt = world.git(main, ["status", "--porcelain"]);
      if (merges !== String(branches) || added !== branches || dirt !== "")
        throw new Error(`${merges} merges, ${added} files; ${dirt}`);
    },
  };
}

type Database = { readonly file: string; restore(): void };
type Source = { readonly branch: string } | { readonly worktree: string };

/** A queue with one project a branch. */
async function queueOf(world: World, { main }: Large, size: Size, source: (n: number) => Source): Promise<Database> {
  const dir = join(world.dir, `queue-${Object.keys(source(1))[0]}`);
  mkdirSync(dir);
  const [file, kept] = [join(dir, "task_queue.db"), join(dir, "kept.db")];
  await migrate({ location: kept, dryRun: false, baseline: null, now: Date.now() });
  const queue = await openQueue({ location: kept, mode: "write" });
  for (let n = 1; n <= size.branches; n++) {
    const completedAt = Date.now() - (size.branches - n) * 1000;
    await enqueue(queue, {
      specPath: `/specs/work_${n}.md`,
      projectPath: main,
      priority: 0,
      completedAt,
      tags: [],
      dependsOn: [],
      source: source(n),
    });
  }
  await queue.close();
  return {
    file,
    restore() {
      for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
      copyFileSync(kept, file);
    },
  };
}
