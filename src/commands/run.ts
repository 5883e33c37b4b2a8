import type { Report, Result } from "../app/report.ts";
import { count as counted, span, visible } from "../core/describe.ts";
import { type ExitCode, exitCode, UserError } from "../core/errors.ts";
import { curable } from "../core/reasons.ts";
import { shortName } from "../core/target.ts";
import type { Queue } from "../queue/database.ts";
import { readProjects } from "../queue/projects.ts";
import { countOrAll, duration, flag, list, option, projectId } from "./argv.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";
import { type Paint, painter } from "./paint.ts";
import { silent } from "./silent.ts";

export default command({
  name: "run",
  about:
    "Lands finished projects: recovers what a killed run left, merges, tags, backs up, pushes and records. One tick; a timer calls it.",
  args: {
    limit: option("N|all", "at most so many projects (5, or [run] batch_size)", countOrAll),
    only: list("ID", "only these projects, whatever their backoff", projectId, ","),
    dryRun: flag("print what would land; write nothing anywhere"),
    maxRuntime: option("D", "take no new project after this long (9m)", duration),
  },
  positionals: {
    value: "ID",
    about: "more projects after --only",
    parse: projectId,
    min: 0,
    max: Number.POSITIVE_INFINITY,
  },
  examples: [
    ["run", "One tick, as the timer does it."],
    ["run --dry-run", "What would land, and what would not and why."],
    ["run --only 7 --limit all", "Project 7 now, whatever its backoff."],
  ],
  async run(context) {
    const { args, rest, json } = context;
    if (rest.length > 0 && args.only.length === 0) {
      throw new UserError(exitCode.usage, `unexpected argument "${rest[0]}".`, "Projects are named with --only.");
    }
    const config = await context.config();
    const maxRuntimeMs = args.maxRuntime ?? config.run.maxRuntimeMs;
    const log = args.dryRun ? silent : await context.log();
    const only = args.only.length === 0 ? null : new Set([...args.only, ...rest]);
    // Named projects are all wanted.
    const ordinary = only === null ? config.run.batchSize : Number.POSITIVE_INFINITY;
    const limit = args.limit === "all" ? Number.POSITIVE_INFINITY : (args.limit ?? ordinary);
    return await withQueue(context, args.dryRun ? "read" : "write", async (queue): Promise<ExitCode> => {
      if (only !== null) await demandProjects(queue, only, context.note);
      const { startTick } = await import("../app/start.ts");
      const report = await startTick(
        {
          queue,
          config: { ...config, run: { ...config.run, maxRuntimeMs } },
          log,
          env: context.env,
          signal: context.interruption(),
          dryRun: args.dryRun,
          now: () => context.now().getTime(),
          progress: context.progress,
        },
        { limit, only },
      );
      if (report.results.length > 0) context.progress(summary(report));
      if (json) {
        const { reportJson } = await import("../app/report.ts");
        context.printJson(reportJson(report));
      } else context.print(describe(report, painter(context.color)));
      if (report.newlyFailed > 0) return exitCode.failed;
      return report.allLeased ? exitCode.busy : exitCode.ok;
    });
  },
});

/** Throws UserError(5) for a number that no project has, and for a project that a run can do nothing for; of one that waits for retry it only says so. */
async function demandProjects(queue: Queue, ids: ReadonlySet<number>, note: (text: string) => void): Promise<void> {
  const projects = new Map((await readProjects(queue, [...ids])).map((project) => [project.id, project]));
  for (const id of ids) {
    const project = projects.get(id);
    if (project === undefined) {
      throw new UserError(
        exitCode.project,
        `there is no project ${id}.`,
        "orchestrator-merge status --all lists them.",
      );
    }
    const { standing, reason, mergedStatus, attempt } = project;
    const status = visible(project.status ?? "NULL");
    if (standing === "not_completed") {
      const sentence = `project ${id} is ${status}, not completed: there is nothing to land yet.`;
      throw new UserError(exitCode.project, sentence, "Wait until its agents have finished.");
    }
    const owed = attempt?.push === "pending" || attempt?.push === "withheld" || attempt?.push === "refused";
    if (standing === "pending" || standing === "held" || owed) continue;
    if (standing === "failed") {
      // Where either side may have moved it is looked at again.
      if (!curable.has(reason ?? "")) note(`Project ${id} has failed and waits for: orchestrator-merge retry ${id}`);
      continue;
    }
    const sentence = `project ${id} is ${visible(mergedStatus ?? standing)}: there is nothing left to land.`;
    throw new UserError(exitCode.project, sentence, `orchestrator-merge status --id ${id} says more.`);
  }
}

/** The report for a person: a line a project, then the sum. */
function describe(report: Report, paint: Paint): string {
  const lines = report.recovered.map(({ did, projects }) => {
    const names = projects.map(({ id, name }) => `${id} ${visible(name)}`).join(", ");
    return `↻ a killed run's landing was ${did}${names === "" ? "" : `: ${names}`}`;
  });
  lines.push(...report.results.map((result) => line(result, report.dryRun, paint)));
  for (const push of report.pushes) {
    const where = paint("faint", visible(push.repository));
    if (push.state !== "pushed") lines.push(`   push ${push.state}: ${visible(push.detail ?? "")} ${where}`);
    else if (report.results.length === 0) lines.push(`   pushed ${visible(shortName(push.target))} ${where}`);
  }
  if (report.cutShort) lines.push("   ended before everything was done: the rest waits for the next run");
  if (lines.length === 0) return report.dryRun ? "Nothing would land." : "Nothing to do.";
  const cost = `${span(report.finishedAt - report.startedAt)}, ${counted(report.processes, "git process", "git processes")}`;
  return [...lines, "", `${summary(report)} ${paint("faint", `(${cost})`)}`].join("\n");
}

function summary({ results, dryRun }: Report): string {
  const of = (outcome: Result["outcome"]) => results.filter((result) => result.outcome === outcome).length;
  const merged = of("merged") + of("already_merged");
  return `${merged} ${dryRun ? "would merge" : "merged"}, ${of("merge_failed")} failed, ${of("held")} held`;
}

function line(result: Result, dryRun: boolean, paint: Paint): string {
  const who = `${result.id} ${visible(result.name)}`;
  switch (result.outcome) {
    case "merged": {
      const to = `→ ${visible(result.target ?? "")}${result.mergeCommit === null ? "" : ` ${result.mergeCommit.slice(0, 10)}`}`;
      const more = [result.tag, result.push === null || dryRun ? null : `push ${result.push}`].filter(
        (word) => word !== null,
      );
      return `🔀 ${who} ${to} ${paint("faint", more.join(", "))}${notes(result, paint)}`.trimEnd();
    }
    case "already_merged":
      return `🔀 ${who} ${paint("faint", "was in the target already")}${notes(result, paint)}`;
    case "merge_failed":
      return `❌ ${who} ${paint("bad", result.reason ?? "")}: ${result.detail}`;
    case "held":
      return `⏸  ${who} ${result.reason === null ? "" : `${paint("hold", result.reason)}: `}${result.detail}`;
  }
}

function notes(result: Result, paint: Paint): string {
  return result.warnings.map((warning) => `\n     ${paint("faint", visible(warning))}`).join("");
}
