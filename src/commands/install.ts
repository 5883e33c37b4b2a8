import { existsSync } from "node:fs";
import { visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { loadConfig } from "../host/config.ts";
import { ownExecutable } from "../host/executable.ts";
import { type InstallPlan, planInstall } from "../host/install.ts";
import type { DatabaseChoice } from "../host/paths.ts";
import { openServiceManager } from "../host/service-manager.ts";
import { carryOut, describeStep, type Step } from "../host/steps.ts";
import { findUnits } from "../host/unit-files.ts";
import { calendarOf, defaultCalendar, everyOf, readUnits, serviceUnit, timerUnit } from "../host/units.ts";
import { version } from "../host/version.ts";
import { flag, option } from "./argv.ts";
import { type Context, command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";

export default command({
  name: "install",
  about:
    "Writes the user units of systemd and switches on the timer, so that finished projects land by themselves. Doing it again " +
    "brings the units up to date; what you changed in them is left alone. A timer of the original with the same name is stopped, " +
    "kept as a copy and replaced. Then see what doctor says.",
  args: {
    every: option("D", "how often to run: 5m, unless it is installed with another time", calendarOf),
    dryRun: flag("print what would be written and run; change nothing"),
  },
  examples: [
    ["install", "Every five minutes, with the queue that status shows."],
    ["install --every 15m --db ~/queue/task_queue.db", "Every quarter of an hour, with that queue."],
    ["install --dry-run", "Shows the unit files, and the commands."],
  ],
  async run(context) {
    const { args, env, json, warn } = context;
    const program = ownExecutable(env);
    const manager = await openServiceManager(env);
    // A timer with a wrong one would fail every time.
    const { file: config, sources } = await loadConfig({ flag: context.configFlag, env, cwd: context.cwd });
    const database = await context.database();
    await demandToken(database, context);
    const found = findUnits(env);
    const before = readUnits(found.get(serviceUnit)?.text ?? "", found.get(timerUnit)?.text ?? "");
    const former = found.get(timerUnit)?.origin.by === "us" ? before.calendar : null;
    const calendar = args.every ?? former ?? defaultCalendar;
    const settings = { version, program, database: database.location, configFile: config?.path ?? null, calendar };
    const plan = await planInstall(settings, env, manager);
    const made = await makeSureOfQueue(database, context, args.dryRun);
    const warnings = [...plan.warnings];
    const isEdited = (unit: string): boolean => found.get(unit)?.origin.by === "us, edited";
    if (before.database !== null && before.database !== database.location && !isEdited(serviceUnit)) {
      warnings.push(`the timer used ${before.database} so far.`);
    }
    const unseen = [...sources].filter(
      ([key, source]) => source.startsWith("environment ") && key !== "queue.database",
    );
    for (const [key, source] of unseen) warnings.push(`${key} is set by ${source}, which the timer does not see.`);
    if (!args.dryRun) warnings.push(...(await carryOut(plan.steps, manager)));
    if (json) {
      const { source } = database;
      const steps = plan.steps.map(stepJson);
      const { units } = plan;
      context.printJson({ dryRun: args.dryRun, ...settings, databaseSource: source, made, units, steps, warnings });
      return;
    }
    for (const warning of warnings) warn(visible(warning));
    if (args.dryRun) context.print(foreseen(plan, made ? database : null));
    else {
      const shown = `${database.location} (${database.source}${made ? ", made just now" : ""})`;
      // What is in force: a unit that was changed by hand goes by what it says.
      const service = isEdited(serviceUnit) ? before : { ...settings, database: shown };
      const timer = isEdited(timerUnit) ? before : settings;
      context.print(installed(plan, { ...service, calendar: timer.calendar }));
    }
  },
});

function foreseen({ steps }: InstallPlan, made: DatabaseChoice | null): string {
  const lines = [...(made === null ? [] : [`make    ${made.location}`]), ...steps.map(describeStep)].map(visible);
  const files = steps.flatMap((step) =>
    step.do === "write" ? [`\n# ${visible(step.path)}\n${step.text.trimEnd()}`] : [],
  );
  return lines.length === 0 ? "Nothing would change." : [...lines, ...files].join("\n");
}

function installed({ steps, units }: InstallPlan, settings: ReturnType<typeof readUnits>): string {
  const unknown = "as the unit says";
  const copies = units.flatMap(({ path, backup }) =>
    backup === null ? [] : [`  replaced  ${path}, which was not ours; a copy: ${backup}`],
  );
  // Linger is asked for each time, where it is refused.
  const nothing = steps.every((step) => step.do === "run" && step.command[0] === "loginctl");
  return [
    nothing
      ? "Everything is in place."
      : `Installed: a run ${settings.calendar === null ? unknown : everyOf(settings.calendar)}, from now on.`,
    `  program   ${settings.program ?? unknown}`,
    `  database  ${settings.database ?? unknown}`,
    `  config    ${settings.configFile ?? "none, all defaults"}`,
    ...copies,
    "Is all well?  orchestrator-merge doctor",
    `Run it now:   systemctl --user start ${serviceUnit}`,
  ]
    .map(visible)
    .join("\n");
}

const stepJson = (step: Step): object => (step.do === "verify" ? { do: step.do, files: [...step.files.keys()] } : step);

type Here = Pick<Context<Record<never, never>, never>, "config" | "database" | "env" | "now">;

/** The timer does not see the variables of this shell. Throws UserError(2) for a token that is only in one of them. */
async function demandToken({ kind }: DatabaseChoice, { env, config }: Here): Promise<void> {
  if (kind === "file" || !env["ORCHESTRATOR_MERGE_AUTH_TOKEN"] || (await config()).queue.authTokenFile !== null) return;
  throw new UserError(
    exitCode.usage,
    "the token of the database server is in ORCHESTRATOR_MERGE_AUTH_TOKEN, which the timer does not see.",
    "Put it into a file that only you can read, and name that in the configuration: [queue] auth_token_file.",
  );
}

/**
 * The queue must be there and migrated; on a host that has none, and where nobody has named one, it is made. One that exists is never
 * migrated here: that says which of years of completed projects will land, and wants to be read. Whether one is made. Throws UserError(3).
 */
async function makeSureOfQueue(database: DatabaseChoice, context: Here, dryRun: boolean): Promise<boolean> {
  const { location, source } = database;
  if (source !== "default" || existsSync(location)) {
    await withQueue(context, dryRun ? "read" : "write", async () => {});
    return false;
  }
  const { migrate } = await import("../queue/migrate.ts");
  await migrate({ location, dryRun, baseline: null, now: context.now().getTime(), makeDirectory: true });
  return true;
}
