import { count, projectName, visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { dbFlag } from "../queue/location.ts";
import { flag, list, projectId, text } from "./argv.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";

export default command({
  name: "retry",
  about:
    "Puts projects back in line: the failure, its backoff, an approval or rejection are forgotten, and the next run tries them again.",
  args: {
    allFailed: flag("every project that failed"),
    noDependencies: flag("forget what add --depends-on said"),
    roles: list("ROLE", "land only these agents' work", text, ","),
  },
  positionals: { value: "ID", about: "numbers of projects", parse: projectId, min: 0, max: Number.POSITIVE_INFINITY },
  examples: [
    ["retry 3 4", "Tries projects 3 and 4 again at the next run."],
    ["retry --all-failed", "Everything that failed, once the cause is mended."],
    ["retry 3 --roles developer,tester", "Project 3 without the work of its other agents."],
  ],
  async run(context) {
    const { args, rest, json } = context;
    if (rest.length === 0 && !args.allFailed) {
      throw new UserError(exitCode.usage, "no project is named.", "Give their numbers, or --all-failed.");
    }
    if (rest.length > 0 && args.allFailed) {
      throw new UserError(exitCode.usage, "numbers and --all-failed exclude each other.", "Give one of them.");
    }
    const ids = args.allFailed ? null : [...new Set(rest)];
    const roles = args.roles.length === 0 ? null : args.roles;
    await withQueue(context, "write", async (queue) => {
      const { retry } = await import("../queue/retry.ts");
      const retried = await retry(queue, ids, roles, args.noDependencies, context.now().getTime());
      const { source } = await context.database();
      const where = source === "--db" ? ` ${dbFlag(queue.location)}` : "";
      for (const one of retried) {
        if (one.kind === "missing") {
          throw new UserError(
            exitCode.project,
            `there is no project ${one.id}.`,
            `See orchestrator-merge status --all${where}.`,
          );
        }
        if (one.kind === "not_completed") {
          throw new UserError(
            exitCode.project,
            `project ${one.id} is ${visible(one.status)}, not completed: there is nothing to land yet.`,
            "Wait until its agents have finished.",
          );
        }
      }
      const waiting = retried.flatMap((one) => (one.kind === "waiting" ? [one] : []));
      if (json) {
        context.printJson({ retried: waiting.map(({ id }) => id), roles });
        return;
      }
      if (waiting.length === 0) {
        context.print("Nothing has failed.");
        return;
      }
      const names = waiting.map(({ id, specPath }) => `  ${id} ${visible(projectName(id, specPath))}`);
      context.print([`${count(waiting.length, "project")} back in line:`, ...names].join("\n"));
      context.note(
        `They are tried at the next run, or now: orchestrator-merge run --only ${waiting.map(({ id }) => id).join(",")}${where}`,
      );
    });
  },
});
