import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { queueOf } from "../helpers/landing.ts";
import type { QueueRow } from "../helpers/queueDb.ts";
import {
  type Agent,
  type Files,
  makeRepo,
  type Repo,
  type Tree,
  withProject,
  withRemote,
  withWorktree,
  writeFiles,
  writeSpec,
} from "../helpers/repo.ts";

/** A small world to be killed in: repositories, a queue, and what must have become of them in the end. */
export type World = {
  readonly main: Repo;
  readonly remote: Tree | null;
  readonly db: string;
  /** A configuration file; without it there is none. */
  readonly config?: string;
  /** The branch that receives, where it stood, and where it is checked out. */
  readonly base: string;
  readonly checkout: string | null;
  /** Project -> the commits that must each come in by one merge of their own (or squash, or rebase of one commit), and by no other. */
  readonly lands: ReadonlyMap<number, readonly string[]>;
  /** Project -> what merged_status must say when it does not land, and its heads, which must stay out. */
  readonly stays: ReadonlyMap<number, { readonly status: string; readonly heads: readonly string[] }>;
  /** Directories below the world whose every byte must be as it was: other checkouts, agents' worktrees. */
  readonly untouched: readonly string[];
};

export type Scenario = { readonly name: string; build(dir: string): Promise<World> };

const lines = (word: string, count: number): string =>
  Array.from({ length: count }, (_, index) => `${word} ${index}\n`).join("");

/** Bytes that no text is, the same every time. */
const bytes = (length: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, index) => (index * index + seed * 31 + (index >> 3)) & 255));

const baseFiles: Files = {
  "README.md": "# Shop\n",
  ".gitignore": ".env\nout/\n",
  ".gitattributes": "*.dos text eol=crlf\n",
  "text.txt": lines("text", 40),
  "gone.txt": "goes away\n",
  "dir/only.txt": "the directory goes too\n",
  "old-name.txt": lines("renamed", 30),
  "run.sh": "#!/bin/sh\necho run\n",
  "both.sh": "#!/bin/sh\necho both\n",
  pointer: { to: "text.txt" },
  "binary.bin": bytes(3000, 1),
  "large.bin": bytes(120_000, 2),
  "lines.dos": "one\ntwo\n",
  "file-to-dir": "a file that becomes a directory\n",
  "dir-to-file/inner.txt": "a directory that becomes a file\n",
  shape: "a file that becomes a link\n",
  // The user's own, which no project changes.
  "edited.txt": lines("edited", 5),
  "staged.txt": lines("staged", 5),
  "half.txt": lines("half", 5),
  "removed.txt": "removed by the user\n",
  "tool.sh": "#!/bin/sh\n",
  "new/there.txt": "a file beside the ones to come\n",
};

/** Everything that a merge can do to a working tree. */
function reshape(agent: Agent): string {
  agent.commit({
    "text.txt": `first\n${lines("text", 40)}`,
    "binary.bin": bytes(3100, 3),
    "large.bin": bytes(140_000, 4),
  });
  agent.git("rm", "-q", "gone.txt", "dir/only.txt");
  agent.git("mv", "old-name.txt", "new-name.txt");
  for (const path of ["file-to-dir", "dir-to-file", "shape", "pointer"]) {
    rmSync(join(agent.path, path), { recursive: true });
  }
  writeFiles(agent.path, {
    "file-to-dir/inner.txt": "inside\n",
    "dir-to-file": "a file now\n",
    "both.sh": "#!/bin/sh\necho both, and executable\n",
    "lines.dos": "one\r\ntwo\r\nthree\r\n",
    "deep/er/and/deeper.txt": "new directories\n",
    "new/from-agent.txt": "beside the user's\n",
    "nämë with space.txt": "not ASCII\n",
    "empty.txt": "",
  });
  symlinkSync("README.md", join(agent.path, "pointer"));
  symlinkSync("deep", join(agent.path, "shape"));
  symlinkSync("nowhere/at all", join(agent.path, "fresh-link"));
  chmodSync(join(agent.path, "run.sh"), 0o755);
  chmodSync(join(agent.path, "both.sh"), 0o755);
  agent.git("add", "-A");
  return agent.commit({}, "Everything else");
}

/** What a person has in hand in a checkout: edits, staged work, deletions, untracked and ignored files, a stash. */
function usersWork(tree: Tree): void {
  tree.write({ "README.md": "# Shop\nfor the stash\n" });
  tree.git("stash", "push", "-q");
  tree.write({
    "edited.txt": "edited, not staged\n",
    "staged.txt": "staged\n",
    "staged-new.txt": "staged and new\n",
    "half.txt": "staged half\n",
    "untracked.txt": "untracked\n",
    "new/mine.txt": "untracked, beside a file to come\n",
    ".env": "SECRET=1\n",
    "out/built.o": bytes(500, 9),
  });
  tree.git("add", "staged.txt", "staged-new.txt", "half.txt");
  tree.write({ "half.txt": "the other half\n" });
  unlinkSync(join(tree.path, "removed.txt"));
  chmodSync(join(tree.path, "tool.sh"), 0o755);
}

/** git's sample hooks only make copies slower. */
function trim(gitDir: string): void {
  rmSync(join(gitDir, "hooks"), { recursive: true, force: true });
  mkdirSync(join(gitDir, "hooks"));
}

function start(dir: string): Repo {
  const main = makeRepo({ dir, files: baseFiles });
  trim(join(main.path, ".git"));
  return main;
}

const stays = (...some: (readonly [number, string, ...string[]])[]) =>
  new Map(some.map(([id, status, ...heads]) => [id, { status, heads }]));

/** The target is checked out, dirty, and every kind of change comes in. No remote. */
const checkedOut: Scenario = {
  name: "checked out",
  async build(dir) {
    const main = start(dir);
    const { spec, agent } = withProject(main, "reshape", { files: null });
    const head = reshape(agent);
    main.commit({ "since.txt": "the target has moved on\n" });
    usersWork(main);
    const untouched = [agent.path];
    const base = main.head();
    const db = await queueOf(main, spec);
    return {
      main,
      remote: null,
      db,
      base,
      checkout: main.path,
      lands: new Map([[1, [head]]]),
      stays: new Map(),
      untouched,
    };
  },
};

/** The target is checked out nowhere; two agents worked on one project. */
const elsewhere: Scenario = {
  name: "checked out nowhere",
  async build(dir) {
    const main = start(dir);
    const spec = writeSpec(main, "pair.md");
    const first = withWorktree(main, spec, { role: "developer" });
    const second = withWorktree(main, spec, { role: "tester", detach: true });
    const base = main.head();
    main.git("checkout", "-q", "-b", "side");
    main.commit({ "side.txt": "somewhere else\n" });
    usersWork(main);
    const db = await queueOf(main, spec);
    const lands = new Map([[1, [first.head(), second.head()]]]);
    const untouched = [main.path, first.path, second.path];
    return { main, remote: null, db, base, checkout: null, lands, stays: new Map(), untouched };
  },
};

/** Two projects in one chain, a third that conflicts, a fourth with uncommitted work; the target is in a linked worktree. */
const chained: Scenario = {
  name: "two in a chain, a conflict beside",
  async build(dir) {
    const main = start(dir);
    const one = withProject(main, "first", {
      files: { "text.txt": `first\n${lines("text", 40)}`, "one/a.txt": "a\n" },
    });
    const two = withProject(main, "second", {
      files: { "text.txt": `${lines("text", 40)}last\n`, "two/b.txt": "b\n" },
    });
    const three = withProject(main, "third", { files: { "text.txt": `other\n${lines("text", 40)}` } });
    const four = withProject(main, "fourth");
    four.agent.write({ "unfinished.txt": "not committed\n" });
    main.git("checkout", "-q", "-b", "side");
    const checkout = join(dir, "integration");
    main.git("worktree", "add", "-q", checkout, "main");
    usersWork({ ...main, ...inside(main, checkout) });
    const agents = [one, two, three, four].map(({ agent }) => agent);
    const base = main.git("rev-parse", "main");
    const db = await queueOf(main, ...[one, two, three, four].map(({ spec }) => spec));
    const [a = "", b = "", c = "", d = ""] = agents.map((agent) => agent.head());
    const lands = new Map([
      [1, [a]],
      [2, [b]],
    ]);
    const others = stays([3, "merge_failed", c], [4, "pending_merge", d]);
    const untouched = [main.path, ...agents.map(({ path }) => path)];
    return { main, remote: null, db, base, checkout, lands, stays: others, untouched };
  },
};

/** A bare remote to push to, and packed refs. */
const withOrigin: Scenario = {
  name: "with a bare remote",
  async build(dir) {
    const main = start(dir);
    const remote = withRemote(main);
    trim(remote.path);
    const { spec, agent } = withProject(main, "work", { files: { "text.txt": `first\n${lines("text", 40)}` } });
    usersWork(main);
    main.git("pack-refs", "--all");
    const row: QueueRow = { spec_path: spec };
    const base = main.head();
    const db = await queueOf(main, row);
    const lands = new Map([[1, [agent.head()]]]);
    return { main, remote, db, base, checkout: main.path, lands, stays: new Map(), untouched: [agent.path] };
  },
};

/** One project is squashed, another rebased onto it, where the target is checked out. */
const retold: Scenario = {
  name: "squashed and rebased",
  async build(dir) {
    const main = start(dir);
    const one = withProject(main, "first", {
      files: { "text.txt": `first\n${lines("text", 40)}`, "one/a.txt": "a\n" },
    });
    one.agent.git("rm", "-q", "gone.txt");
    const first = one.agent.commit({ "one/a.txt": "again\n" });
    const two = withProject(main, "second", {
      files: { "text.txt": `${lines("text", 40)}last\n`, "new/b.txt": "b\n" },
    });
    main.commit({ "since.txt": "the target has moved on\n" });
    usersWork(main);
    const config = join(dir, "config.toml");
    const rule = `[[rule]]\nmatch = {name = "second"}\nstrategy = "rebase"\n`;
    writeFiles(dir, { "config.toml": `[merge]\nstrategy = "squash"\n${rule}` });
    const base = main.head();
    const db = await queueOf(main, one.spec, two.spec);
    const lands = new Map([
      [1, [first]],
      [2, [two.agent.head()]],
    ]);
    const untouched = [one.agent.path, two.agent.path];
    return { main, remote: null, db, config, base, checkout: main.path, lands, stays: new Map(), untouched };
  },
};

export const scenarios: readonly Scenario[] = [checkedOut, elsewhere, chained, withOrigin];

/** Those, and what differs from a merge in its commits alone: once through the kills is enough for it. */
export const allScenarios: readonly Scenario[] = [...scenarios, retold];

/** The same commands, in another working tree of the same repository. */
function inside(repo: Repo, path: string): Pick<Tree, "path" | "git" | "write"> {
  return { path, git: (...args) => repo.git("-C", path, ...args), write: (files) => writeFiles(path, files) };
}

/** Moves a world out of the way, as the template of those to come. */
export function keepAs(world: string, template: string): void {
  renameSync(world, template);
}
