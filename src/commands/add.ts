import { existsSync, realpathSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { projectName, visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { dbFlag } from "../queue/location.ts";
import { directoryPath, filePath, list, option, type Parse, projectId, text } from "./argv.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";

const whole: Parse<number> = (given, label) => {
  if (/^-?\d{1,9}$/.test(given)) return Number(given);
  throw new UserError(
    exitCode.usage,
    `${label} is a whole number, not ${JSON.stringify(given)}.`,
    "Higher numbers land first; 0 is ordinary.",
  );
};

export default command({
  name: "add",
  about: "Enqueues a finished project by hand: a worktree, a branch, or whatever agents' worktrees its spec leads to.",
  args: {
    project: option("DIR", "the main project, in a git repository", directoryPath),
    worktree: option("DIR", "the worktree or clone that holds the work", directoryPath),
    branch: option("B", "the branch that holds the work", text),
    spec: option("F", "the project's spec file; names it, and leads to its agents' worktrees", filePath),
    priority: option("N", "higher lands first (0)", whole),
    tag: list("T", "a tag, for rules to match", text, ","),
    dependsOn: list("ID", "lands only after that project", projectId, ","),
  },
  examples: [
    ["add --project ~/shop --branch feature/login", "Lands a branch at the next run."],
    ["add --project ~/shop --worktree ~/shop-fix --tag critical", "Lands a worktree, tagged for a rule."],
    ["add --project ~/shop --branch feature/cart --depends-on 7", "Lands after project 7 has."],
    ["add --project ~/shop --spec ~/specs/login.md", "Lands what the agents of that spec have done."],
  ],
  async run(context) {
    const { args, json } = context;
    const usage = (sentence: string, wayOut: string) => new UserError(exitCode.usage, sentence, wayOut);
    if (args.project === undefined) throw usage("--project is missing.", "Name the directory of the main project.");
    if (args.worktree !== undefined && args.branch !== undefined) {
      throw usage("--worktree and --branch exclude each other.", "Give the one that holds the work.");
    }
    if (args.worktree === undefined && args.branch === undefined && args.spec === undefined) {
      throw usage("nothing says where the work is.", "Give --branch, --worktree or --spec.");
    }
    const projectPath = directory("--project", resolve(context.cwd, args.project));
    const { locateRepository } = await import("../git/repository.ts");
    const repository = locateRepository(projectPath);
    if (repository === null)
      throw usage(`${visible(projectPath)} is not in a git repository.`, "Name the main project's directory.");
    const worktree = args.worktree === undefined ? null : directory("--worktree", resolve(context.cwd, args.worktree));
    if (worktree !== null && !existsSync(join(worktree, ".git"))) {
      throw usage(`${visible(worktree)} is no worktree: it has no .git.`, "Name the top of a worktree or clone.");
    }
    if (args.branch !== undefined) await demandBranch(context, repository.commonDir, args.branch);
    const spec = args.spec === undefined ? null : resolve(context.cwd, args.spec);
    if (spec !== null && !existsSync(spec))
      throw usage(`${visible(spec)} does not exist.`, "Name the spec file, or leave --spec out.");
    // Rows must have a spec; its stem is the project's name.
    const specPath = spec ?? (worktree === null ? `add/${args.branch}.branch` : `add${worktree}.worktree`);
    await withQueue(context, "write", async (queue) => {
      const { AlreadyQueued, enqueue, NoSuchProject } = await import("../queue/enqueue.ts");
      try {
        const id = await enqueue(queue, {
          specPath,
          projectPath,
          priority: args.priority ?? 0,
          completedAt: context.now().getTime(),
          tags: args.tag,
          dependsOn: args.dependsOn,
          source: worktree !== null ? { worktree } : args.branch !== undefined ? { branch: args.branch } : null,
        });
        if (json) {
          context.printJson({ id, name: projectName(id, specPath), specPath, projectPath });
          return;
        }
        context.print(`Added project ${id}: ${visible(projectName(id, specPath))}`);
        const { source } = await context.database();
        context.note(
          `It lands at the next run, or now: orchestrator-merge run --only ${id}${source === "--db" ? ` ${dbFlag(queue.location)}` : ""}`,
        );
      } catch (error) {
        if (error instanceof NoSuchProject) {
          const sentence = `there is no project ${error.id} to depend on.`;
          throw new UserError(exitCode.project, sentence, "orchestrator-merge status --all lists them.");
        }
        if (!(error instanceof AlreadyQueued)) throw error;
        throw new UserError(
          exitCode.project,
          `${visible(specPath)} is in the queue already, and this queue takes a spec once.`,
          "Give it another --spec, or retry the project that is there.",
        );
      }
    });
  },
});

function directory(flagName: string, path: string): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path);
  } catch {
    // said below
  }
  throw new UserError(exitCode.usage, `${flagName} ${visible(path)} is no directory.`, "Give one that exists.");
}

async function demandBranch(
  context: { readonly env: Readonly<Record<string, string | undefined>>; interruption(): AbortSignal },
  gitDir: string,
  branch: string,
): Promise<void> {
  const { git } = await import("../git/process.ts");
  const ref = branch.startsWith("refs/heads/") ? branch : `refs/heads/${branch}`;
  const result = await git(
    {
      env: context.env,
      runId: "add",
      timeoutMs: 60_000,
      signal: context.interruption(),
      cwd: tmpdir(),
      count: { processes: 0 },
    },
    { gitDir, args: ["rev-parse", "--verify", "-q", "--end-of-options", `${ref}^{commit}`] },
  );
  if (result.code !== 0) {
    throw new UserError(
      exitCode.usage,
      `there is no branch ${visible(branch)} in that repository.`,
      "git branch --list shows them.",
    );
  }
}
