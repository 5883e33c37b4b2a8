import { isoTime, visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { shortName } from "../core/target.ts";
import type { PastAttempt } from "../queue/attempts.ts";
import { count, option, projectId } from "./argv.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";
import { viewWidth } from "./width.ts";

export default command({
  name: "logs",
  about:
    "Tells a project's story across runs, newest last: every attempt with its outcome, heads and push, from the queue, and what the log " +
    "files say of it beside, those that were put aside too. With -v also what failing commands said. Only reads.",
  args: { limit: option("N", "only the last N attempts", count) },
  positionals: { value: "ID", about: "the number of a project", parse: projectId, min: 1, max: 1 },
  examples: [
    ["logs 7", "What was tried with project 7, when, and what came of it."],
    ["logs 7 --limit 1 -v", "The last try in full."],
    ["logs 7 --json | jq '.attempts[-1].output'", "For scripts."],
  ],
  async run(context) {
    const [id = 0] = context.rest;
    const [{ readAttempts }, { readOne }, { storyOf }] = await Promise.all([
      import("../queue/attempts.ts"),
      import("../queue/overview.ts"),
      import("../app/story.ts"),
    ]);
    const { project, attempts } = await withQueue(context, "read", async (queue) => {
      const { project } = await readOne(queue, id);
      const attempts = await readAttempts(queue, id, context.args.limit ?? Number.MAX_SAFE_INTEGER);
      if (project !== undefined || attempts.length > 0) return { project, attempts };
      const sentence = `no project ${id} in ${visible(queue.location)}.`;
      throw new UserError(exitCode.project, sentence, "orchestrator-merge status --all lists all.");
    });
    const story = storyOf(id, attempts, await context.logFile(), context.args.limit !== undefined);
    for (const trouble of story.unread) context.warn(trouble);
    if (context.json) {
      context.printJson({
        id,
        name: project?.name ?? attempts.at(-1)?.name ?? null,
        mergedStatus: project?.mergedStatus ?? null,
        attempts: attempts.map(attemptJson),
        log: story.events.map(({ at, level, text, attempt, run }) => ({
          time: isoTime(at),
          level,
          text,
          attempt,
          run,
        })),
        files: story.files,
      });
      return;
    }
    const [{ storyText }, { painter }] = await Promise.all([import("./logs-text.ts"), import("./paint.ts")]);
    const view = {
      width: viewWidth(context),
      paint: painter(context.color),
      now: context.now().getTime(),
      options: "",
    };
    context.print(storyText(id, project, attempts, story, view, context.verbose).join("\n"));
  },
});

const attemptJson = ({ attemptId, runId, startedAt, finishedAt, target, name: _, ...rest }: PastAttempt): object => ({
  attempt: attemptId,
  run: runId,
  startedAt: isoTime(startedAt),
  finishedAt: isoTime(finishedAt),
  target: target === null ? null : shortName(target),
  ...rest,
});
