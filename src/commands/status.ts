import { advice } from "../core/advice.ts";
import { exactTime, isoTime, visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { shortName } from "../core/target.ts";
import type { AttemptFacts } from "../queue/attempts.ts";
import { readAttemptFacts } from "../queue/attempts.ts";
import type { Queue } from "../queue/database.ts";
import { dbFlag } from "../queue/location.ts";
import type { Counts, Filter, Overview } from "../queue/overview.ts";
import { readOne, readOverview } from "../queue/overview.ts";
import type { Project } from "../queue/projects.ts";
import type { Standing } from "../queue/standing.ts";
import { count, flag, option, projectId } from "./argv.ts";
import { command } from "./frame.ts";
import { hasLinks, linker } from "./links.ts";
import { withQueue } from "./open-queue.ts";
import { painter } from "./paint.ts";
import { listing, mostOfAGroup } from "./status-list.ts";
import { story } from "./status-one.ts";
import { shorten } from "./table.ts";
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
      const sentence = "--id shows one project, whatever its state.";
      throw new UserError(exitCode.usage, sentence, "Leave out the other filters, or --id.");
    }
    if (args.watch && json) {
      throw new UserError(exitCode.usage, "--watch repaints, and --json is one document.", "Leave out one of them.");
    }
    if (args.watch && process.stdout.isTTY !== true) {
      const wayOut = "Leave out --watch: a script can call status again.";
      throw new UserError(exitCode.usage, "--watch needs a terminal to repaint.", wayOut);
    }
    const { location, source } = await context.database();
    const options = source === "--db" ? ` ${dbFlag(location)}` : "";
    const paint = painter(context.color);
    // Who wants no colour wants no other sequences either.
    const link = linker(context.color && hasLinks(context.env, context.columns !== undefined));
    const batch = (await context.config()).run.batchSize;

    await withQueue(context, "read", async (queue) => {
      // Who reads on a terminal and has named nothing gets what fits a glance; a script gets all.
      const each = filter === "default" && args.limit === undefined && !json && viewWidth(context) !== null;
      const limits = { all: args.limit ?? null, each: each ? mostOfAGroup : null };
      const look = (): Promise<Seen> =>
        args.id === undefined ? readOverview(queue, filter, limits) : lookAtOne(queue, args.id, options);
      const lines = (seen: Seen, width: number | null): string[] => {
        const view = { width, paint, link, now: context.now().getTime(), batch, options };
        if ("project" in seen) return story(seen.project, seen.facts, view, context.verbose);
        return listing(seen, filter, queue.location, view);
      };
      if (args.watch) {
        const { cutMiddle, watch } = await import("./watch.ts");
        let last: readonly string[] = [];
        await watch(async ({ columns, rows }) => {
          const time = exactTime(context.now().getTime());
          // A queue that is locked or being moved is there again in a moment: what was seen last stays.
          const trouble = await look().then(
            (seen) => {
              last = lines(seen, columns);
              return null;
            },
            (error: unknown) => {
              if (error instanceof UserError && last.length > 0) return error.sentence;
              throw error;
            },
          );
          const head = paint("faint", shorten(`${time} · every 2 s · q ends`, columns));
          const below =
            trouble === null ? "" : paint("bad", shorten(`not read just now: ${visible(trouble)}`, columns));
          return [head, below, ...cutMiddle(last, rows - 2, columns)];
        }, context.interruption());
      } else if (json) context.printJson(statusJson(queue.location, await look()));
      else context.print(lines(await look(), viewWidth(context)).join("\n"));
    });
  },
});

function filterOf(args: Record<"merged" | "pendingMerge" | "mergeFailed" | "held" | "all", boolean>): Filter {
  if (args.all) return "all";
  const wanted = new Set<Standing>();
  if (args.merged) wanted.add("merged");
  if (args.pendingMerge) wanted.add("pending");
  if (args.mergeFailed) wanted.add("failed");
  if (args.held) wanted.add("held");
  return wanted.size === 0 ? "default" : wanted;
}

/** A list, or one project with its facts. */
type Seen = Overview | One;
type One = { readonly project: Project; readonly facts: AttemptFacts | undefined; readonly counts: Counts };

async function lookAtOne(queue: Queue, id: number, options: string): Promise<One> {
  const { project, counts } = await readOne(queue, id);
  if (project === undefined) {
    const wayOut = `orchestrator-merge status${options} --all lists all.`;
    throw new UserError(exitCode.project, `no project ${id} in ${visible(queue.location)}.`, wayOut);
  }
  const { attempt } = project;
  return { project, counts, facts: attempt === null ? undefined : await readAttemptFacts(queue, attempt.attemptId) };
}

const statusJson = (database: string, seen: Seen): object => ({
  database,
  projects: ("project" in seen ? [seen.project] : seen.projects).map(projectJson),
  counts: countsJson(seen.counts),
  ...("project" in seen ? {} : { lastRunAt: isoTime(seen.lastRunAt), runningSince: isoTime(seen.runningSince) }),
});

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
  target: project.attempt?.target == null ? null : shortName(project.attempt.target),
  mergeCommit: project.attempt?.mergeCommit ?? null,
  backupRef: project.attempt?.backupRef ?? null,
  tag: project.attempt?.tag ?? null,
  attempts: project.attempts,
  nextAttemptAt: isoTime(project.nextAttemptAt),
  since: isoTime(project.since),
  nextStep:
    project.standing === "failed" || project.standing === "held"
      ? advice(project.standing, project.reason, project.id, "")
      : null,
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
