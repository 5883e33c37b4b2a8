import type { Look } from "../app/look.ts";
import { isoTime, visible } from "../core/describe.ts";
import { formatDuration } from "../core/durations.ts";
import { exitCode, UserError } from "../core/errors.ts";
import type { RuleSettings } from "../core/rules.ts";
import { shortName } from "../core/target.ts";
import type { Config } from "../host/config.ts";
import type { PastAttempt } from "../queue/attempts.ts";
import { dbFlag } from "../queue/location.ts";
import { projectId } from "./argv.ts";
import { type Explained, explanation, type Setting } from "./explain-text.ts";
import { command } from "./frame.ts";
import { hasLinks, linker } from "./links.ts";
import { withQueue } from "./open-queue.ts";
import { painter } from "./paint.ts";
import { silent } from "./silent.ts";
import { viewWidth } from "./width.ts";

export default command({
  name: "explain",
  about:
    "Says why a project is where it is: what git and the rules say of it now, every attempt, and the next command. Changes nothing.",
  args: {},
  positionals: { value: "ID", about: "the number of a project", parse: projectId, min: 1, max: 1 },
  examples: [["explain 12", "Why project 12 has not landed, and what to do."]],
  async run(context) {
    const [id = 0] = context.rest;
    const config = await context.config();
    await withQueue(context, "read", async (queue) => {
      const [{ readCandidate }, { readProjects }, { readAttempts }] = await Promise.all([
        import("../queue/candidates.ts"),
        import("../queue/projects.ts"),
        import("../queue/attempts.ts"),
      ]);
      const found = await readCandidate(queue, id);
      const [project] = await readProjects(queue, [id]);
      const { location, source } = await context.database();
      const options = source === "--db" ? ` ${dbFlag(location)}` : "";
      const now = context.now().getTime();
      const link = linker(context.color && hasLinks(context.env, context.columns !== undefined));
      const batch = config.run.batchSize;
      const view = { width: viewWidth(context), paint: painter(context.color), link, now, batch, options };
      if (found === null || project === undefined) {
        const wayOut = `orchestrator-merge status${view.options} --all lists all.`;
        throw new UserError(exitCode.project, `no project ${id} in ${visible(queue.location)}.`, wayOut);
      }
      // What has landed, or is not finished, has nothing to be looked at for.
      const waits = ["pending", "held", "failed"].includes(found.standing);
      const { startLook } = await import("../app/start.ts");
      const look = waits
        ? await startLook(
            {
              queue,
              config,
              log: silent,
              env: context.env,
              signal: context.interruption(),
              now: () => context.now().getTime(),
              progress: context.progress,
            },
            found.candidate,
          )
        : null;
      const attempts = await readAttempts(queue, id, attemptsShown);
      const settings = look === null ? [] : settingsOf(look, config);
      const explained: Explained = { project, look, settings, attempts };
      if (context.json) context.printJson(explainJson(explained));
      else context.print(explanation(explained, view, context.verbose).join("\n"));
    });
  },
});

/** So many attempts are told, the newest. */
const attemptsShown = 20;

/** Every effective value with who set it, in the words of the file. */
function settingsOf({ decided }: Look, { push, gate, notify }: Config): Setting[] {
  const { settings, by } = decided;
  const shown: Record<keyof RuleSettings, string> = {
    action: settings.action,
    approval: String(settings.approval),
    window: settings.window === null ? "any time" : windowText(settings.window),
    freeze:
      settings.freeze === null
        ? "none"
        : `${settings.freeze.from ?? "now"} to ${settings.freeze.until} ${settings.freeze.zone}`,
    after: settings.after.length === 0 ? "nothing" : settings.after.join(", "),
    strategy: settings.strategy,
    target: settings.target,
    gate:
      settings.gate.length === 0
        ? "none"
        : `${settings.gate.map(({ name, timeoutMs }) => `${name} (${formatDuration(timeoutMs)})`).join(", ")}, ${gate.mode}`,
    push: settings.push === "off" ? "off" : `${settings.push} (${push.remote})`,
    trust: String(settings.trust),
    notify: (settings.notify ?? notify.on).join(", ") || "of nothing",
  };
  return Object.entries(shown).map(([key, value]) => ({
    key,
    value,
    source: [...by].find(([name]) => name === key)?.[1] ?? "no rule",
  }));
}

const dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

function windowText({ days, from, to, zone }: NonNullable<RuleSettings["window"]>): string {
  const named = days.length === 7 ? "every day" : days.map((day) => dayNames[day - 1]).join(" ");
  return `${named} ${from}-${to} ${zone}`;
}

const explainJson = ({ project, look, settings, attempts }: Explained): object => ({
  id: project.id,
  name: project.name,
  mergedStatus: project.mergedStatus,
  standing: project.standing,
  reason: project.reason,
  detail: project.detail,
  now:
    look === null
      ? null
      : {
          target: look.target === null ? null : shortName(look.target),
          heads: look.heads?.map(({ role, oid }) => ({ role, oid })) ?? null,
          obstacles: look.troubles.map(({ outcome, reason, detail }) => ({ outcome, reason, detail })),
          opens: look.closed?.until ?? null,
          dependencies: look.dependencies,
          approval: look.word === null ? null : { ...look.word, at: isoTime(look.word.at) },
        },
  settings,
  attempts: attempts.map(attemptJson),
});

const attemptJson = ({ startedAt, finishedAt, target, ...attempt }: PastAttempt): object => ({
  ...attempt,
  startedAt: isoTime(startedAt),
  finishedAt: isoTime(finishedAt),
  target: target === null ? null : shortName(target),
});
