import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { specDirectories } from "../core/worktreeNames.ts";
import { type GitContext, git } from "../git/process.ts";
import { temporaryDirectory } from "../git/temporary.ts";

/** A project of the demonstration: its spec, and where its agents worked. */
export type DemoProject = { readonly specPath: string; readonly projectPath: string; readonly about: string };

export type Sandbox = {
  readonly dir: string;
  readonly remote: string;
  readonly main: string;
  readonly projects: readonly DemoProject[];
};

/**
 * Makes a directory with a bare remote, a main project cloned from it, and agents' finished worktrees beside it, as the orchestrator
 * would have left them: clean, conflicting, dirty, of three agents. Throws when git fails: nothing here may.
 */
export async function makeSandbox(context: GitContext): Promise<Sandbox> {
  const dir = temporaryDirectory("orchestrator-merge-demo-");
  const remote = join(dir, "origin.git");
  const main = join(dir, "shop");
  const config = [
    ["user.name", "Demo User"],
    ["user.email", "demo@example.com"],
    ["init.defaultBranch", "main"],
  ] as const;
  const run = async (gitDir: string, workTree: string | null, args: string[]) => {
    const result = await git(context, {
      gitDir,
      args,
      config,
      cwd: workTree ?? dir,
      ...(workTree === null ? {} : { workTree }),
    });
    if (result.code !== 0) throw new Error(result.transcript);
  };
  const inMain = (args: string[]) => run(join(main, ".git"), main, args);
  const commit = async (gitDir: string, workTree: string, message: string, files: Record<string, string>) => {
    write(workTree, files);
    await run(gitDir, workTree, ["add", "--all", "--", ...Object.keys(files)]);
    await run(gitDir, workTree, ["commit", "-q", "-m", message]);
  };

  mkdirSync(main);
  await run(remote, null, ["init", "-q", "--bare"]);
  await inMain(["init", "-q"]);
  await inMain(["config", "user.name", "Demo User"]);
  await inMain(["config", "user.email", "demo@example.com"]);
  await commit(join(main, ".git"), main, "Start the shop", {
    "README.md": "# Shop\n",
    "src/cart.txt": "total = sum of prices\n",
    ".gitignore": ".env\n",
  });
  await inMain(["remote", "add", "origin", remote]);
  await inMain(["push", "-q", "-u", "origin", "main"]);
  // What a person has in hand: the tick must leave every byte of it alone.
  write(main, { "notes.txt": "my own notes\n", ".env": "SECRET=1\n" });

  const agent = async (
    spec: string,
    role: string,
    files: Record<string, string>,
    uncommitted: Record<string, string> = {},
  ) => {
    const specPath = join(dir, "specs", spec);
    const content = `# ${spec.replace(/\.md$/, "")}\n`;
    write(dirname(specPath), { [spec]: content });
    const [name = ""] = specDirectories("shop", specPath, Buffer.from(content));
    const worktree = join(dir, name, role);
    const branch = `${spec.replace(/\.md$/, "")}/${role}`;
    await inMain(["worktree", "add", "-q", "-b", branch, worktree, "main"]);
    write(worktree, { "CLAUDE.md": `You are the ${role}.\n` });
    await commit(join(main, ".git", "worktrees", await adminName(main, worktree)), worktree, `${role}: ${spec}`, files);
    write(worktree, uncommitted);
    return specPath;
  };
  const project = (specPath: string, about: string): DemoProject => ({ specPath, projectPath: main, about });

  const projects: DemoProject[] = [];
  projects.push(
    project(await agent("checkout_page.md", "developer", { "src/checkout.txt": "pay here\n" }), "one agent, clean"),
  );
  projects.push(
    project(
      await agent("discounts.md", "developer", { "src/cart.txt": "total = sum of prices - discount\n" }),
      "one agent, clean",
    ),
  );
  await agent("search.md", "developer", { "src/search.txt": "find by name\n" });
  await agent("search.md", "tester", { "test/search.txt": "finds by name\n" });
  projects.push(
    project(await agent("search.md", "project-manager", { "docs/search.md": "how to find things\n" }), "three agents"),
  );
  projects.push(
    project(
      await agent("taxes.md", "developer", { "src/cart.txt": "total = sum of prices + tax\n" }),
      "conflicts with discounts",
    ),
  );
  projects.push(
    project(
      await agent(
        "reviews.md",
        "developer",
        { "src/reviews.txt": "stars\n" },
        { "src/reviews.txt": "half a star\n", "todo.txt": "finish\n" },
      ),
      "uncommitted work",
    ),
  );
  return { dir, remote, main, projects };
}

function write(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = join(dir, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

async function adminName(main: string, worktree: string): Promise<string> {
  const { readFileSync, readdirSync } = await import("node:fs");
  const admin = join(main, ".git", "worktrees");
  const name = readdirSync(admin).find(
    (id) => readFileSync(join(admin, id, "gitdir"), "utf8").trim() === join(worktree, ".git"),
  );
  if (name === undefined) throw new Error(`${worktree} is not registered`);
  return name;
}
