import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectName } from "../core/describe.ts";
import type { GitContext } from "../git/process.ts";
import { enqueue } from "../queue/enqueue.ts";
import { flag } from "./argv.ts";
import { command, type Host } from "./frame.ts";
import { painter } from "./paint.ts";

/** What the remote has now: the proof that it was all for real. */
async function remoteHistory(context: GitContext, remote: string): Promise<string> {
  const { git } = await import("../git/process.ts");
  const args = ["log", "--graph", "--oneline", "--decorate", "--color=never", "main"];
  return (await git(context, { gitDir: remote, args })).stdout.toString().trimEnd();
}

export default command({
  name: "demo",
  about:
    "Makes a sandbox (a bare remote, a project, agents' finished worktrees: clean, conflicting, dirty, of three agents), runs a real tick on it, and shows what came of it.",
  args: { keep: flag("leave the sandbox there to look at") },
  examples: [
    ["demo", "See it work, without touching anything of yours."],
    ["demo --json", "The document of its run alone."],
    ["demo --keep", "The same, and look around in the sandbox afterwards."],
  ],
  async run(context) {
    const paint = painter(context.color);
    const say = (text: string) => context.note(paint("strong", text));
    const { makeSandbox } = await import("../app/sandbox.ts");
    const { migrate } = await import("../queue/migrate.ts");
    const { openQueue } = await import("../queue/database.ts");
    say("Making a sandbox …");
    const git: GitContext = {
      env: context.env,
      runId: "demo",
      timeoutMs: 60_000,
      signal: context.interruption(),
      cwd: tmpdir(),
      count: { processes: 0 },
    };
    const sandbox = await makeSandbox(git);
    const names = sandbox.projects.map(({ specPath }, index) => projectName(index + 1, specPath));
    const width = Math.max(...names.map((name) => name.length));
    const listed = sandbox.projects.map(({ about }, index) => `  ${(names[index] ?? "").padEnd(width)}  ${about}`);
    if (!context.json)
      context.print(["A project with a bare remote, and five finished projects of its agents:", ...listed].join("\n"));
    try {
      const location = join(sandbox.dir, "task_queue.db");
      const now = context.now().getTime();
      await migrate({ location, dryRun: false, baseline: null, now });
      const queue = await openQueue({ location, mode: "write" });
      for (const [index, { specPath, projectPath }] of sandbox.projects.entries()) {
        const completedAt = now - (sandbox.projects.length - index) * 60_000;
        await enqueue(queue, {
          specPath,
          projectPath,
          priority: 0,
          completedAt,
          tags: [],
          dependsOn: [],
          source: null,
        });
      }
      await queue.close();
      const env = { ...context.env, ORCHESTRATOR_MERGE_DB: location, ORCHESTRATOR_MERGE_CONFIG: "" };
      const host: Host = { ...context, env, stdout: process.stdout, stderr: process.stderr };
      if (context.json) {
        const { default: run } = await import("./run.ts");
        await run.execute(["--quiet", "--json"], host, { json: true, verbose: false, printed: false });
      }
      const commands = context.json ? [] : [import("./run.ts"), import("./status.ts"), import("./stats.ts")];
      for (const { default: called } of await Promise.all(commands)) {
        if (called.name === "status") {
          say("\n$ git -C origin.git log --graph --oneline --decorate main");
          context.print(await remoteHistory(git, sandbox.remote));
        }
        const argv = called.name === "run" ? ["--quiet"] : [];
        say(`\n$ orchestrator-merge ${[called.name, ...argv].join(" ")}`);
        await called.execute([...argv, "--color", context.color ? "always" : "never"], host, {
          json: false,
          verbose: false,
          printed: false,
        });
      }
      if (context.args.keep) context.note(`\nThe sandbox is ${sandbox.dir}; its queue: --db ${location}`);
    } finally {
      if (!context.args.keep) rmSync(sandbox.dir, { recursive: true, force: true });
    }
  },
});
