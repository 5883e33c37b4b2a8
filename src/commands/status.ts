import { exactTime, isoTime } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import type { Queue } from "../queue/database.ts";
import type { Counts, Filter } from "../queue/overview.ts";
import { readOne, readOverview } from "../queue/overview.ts";
import type { Project } from "../queue/projects.ts";
import type { Standing } from "../queue/standing.ts";
import { count, flag, option, projectId } from "./argv.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";
import { listing } from "./status-list.ts";
import { painter } from "./table.ts";
import { viewWidth } from "./width.ts";

export default command({
  name: "status",
  about:
    "Shows the queue: everything that waits, is held or failed and why, the last five merged, and how many there are of the rest. Only reads.",
  args: {
    merged: flag("only merged projects"),
    pendingMerge: flag("only projects that wait to be merged"),
    mergeFailed: flag("only projects that failed"),
    held: flag("only projects that are held"),
    all: flag("every project of the queue"),
    id: option("N", "one project in full", projectId),
    limit: option("N", "at most so many projects", count),
    watch: flag("keep showing it, every two seconds; q ends"),
  },
  examples: [
    ["status", "What waits, what is stuck and why, what landed last."],
    ["status --id 7", "Everything about project 7, and what to do about it."],
    ["status --held --merge-failed", "Only what needs a person."],
    ["status --json | jq '.counts'", "For scripts: the same as one JSON document."],
  ],
  async run(context) {
    const { args, json } = context;
    const filter = filterOf(args);
    if (args.id !== undefined && filter !== "default") {
      throw new UserError(
        exitCode.usage,
        "--id shows one project, whatever its state.",
        "Leave out the other filters, or --id.",
      );
    }
    if (args.watch && (json || process.stdout.isTTY !== true)) {
      const what = json
        ? "--watch repaints a terminal, and --json is one document."
        : "--watch needs a terminal to repaint.";
      throw new UserError(exitCode.usage, what, "Leave out --watch; a script can call status again.");
    }
    const limit = args.limit ?? null;
    const { paint, width } = { paint: painter(context.color), width: viewWidth(context) };

    const draw = async (queue: Queue, width: number | null): Promise<string[]> => {
      const view = { width, paint, now: context.now().getTime() };
      if (args.id === undefined) return listing(await readOverview(queue, filter, limit), filter, queue.location, view);
      const [{ readAttemptFacts }, { story }] = await Promise.all([
        import("../queue/attempts.ts"),
        import("./status-one.ts"),
      ]);
      const { project } = await readExisting(queue, args.id);
      const facts = project.attempt === null ? undefined : await readAttemptFacts(queue, project.attempt.attemptId);
      return story(project, facts, view, context.verbose);
    };

    return withQueue(context, "read", async (queue) => {
      if (json) {
        const read =
          args.id === undefined ? await readOverview(queue, filter, limit) : await readExisting(queue, args.id);
        const projects = "project" in read ? [read.project] : read.projects;
        context.printJson({
          database: queue.location,
          projects: projects.map(projectJson),
          counts: countsJson(read.counts),
        });
        return exitCode.ok;
      }
      if (!args.watch) {
        context.print((await draw(queue, width)).join("\n"));
        return exitCode.ok;
      }
      const { watch, cutMiddle } = await import("./watch.ts");
      await watch(async ({ columns, rows }) => {
        const head = paint("faint", `${exactTime(context.now().getTime())} · every 2 s · q ends`);
        return [head, "", ...cutMiddle(await draw(queue, columns), rows - 2, columns, 3)];
      }, context.interruption());
      return exitCode.ok;
    });
  },
});

function filterOf(args: {
  merged: boolean;
  pendingMerge: boolean;
  mergeFailed: boolean;
  held: boolean;
  all: boolean;
}): Filter {
  if (args.all) return "all";
  const wanted = new Set<Standing>();
  if (args.merged) wanted.add("merged");
  if (args.pendingMerge) wanted.add("pending");
  if (args.mergeFailed) wanted.add("failed");
  if (args.held) wanted.add("held");
  return wanted.size === 0 ? "default" : wanted;
}

async function readExisting(queue: Queue, id: number): Promise<{ project: Project; counts: Counts }> {
  const { project, counts } = await readOne(queue, id);
  if (project !== undefined) return { project, counts };
  throw new UserError(
    exitCode.project,
    `no project ${id} in ${queue.location}.`,
    "orchestrator-merge status --all lists all.",
  );
}

/** CONTRACT 6. What is held is still `pending_merge` to everybody else, and has a reason. */
const projectJson = (project: Project): object => ({
  id: project.id,
  name: project.name,
  specPath: project.specPath,
  projectPath: project.projectPath,
  status: project.status,
  mergedStatus: project.mergedStatus,
  mergedAt: isoTime(project.mergedAt),
  completedAt: isoTime(project.completedAt),
  priority: project.priority,
  tags: project.tags,
  reason: project.reason,
  detail: project.detail,
  push: project.attempt?.push ?? null,
  target: project.attempt?.target ?? null,
  mergeCommit: project.attempt?.mergeCommit ?? null,
  backupRef: project.attempt?.backupRef ?? null,
  tag: project.attempt?.tag ?? null,
  attempts: project.attempts,
  nextAttemptAt: isoTime(project.nextAttemptAt),
});

const countsJson = (counts: Counts): object => ({
  pendingMerge: counts.pending,
  held: counts.held,
  merged: counts.merged,
  mergeFailed: counts.failed,
  rolledBack: counts.rolled_back,
  skipped: counts.skipped,
  notCompleted: counts.not_completed,
});
