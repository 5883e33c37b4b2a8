import type { ExitCode } from "../core/errors.ts";
import { exitCode } from "../core/errors.ts";
import { inspectConfig, loadConfig } from "../host/config.ts";
import { oneOf } from "./argv.ts";
import type { Context } from "./frame.ts";
import { command } from "./frame.ts";

const verb = oneOf("show", "check", "schema");

export default command({
  name: "config",
  about:
    "show: every setting, its value, and where that comes from. check: everything that is wrong with the configuration; " +
    "exit code 0 when nothing is. schema: a JSON Schema of the file, for editors.",
  args: {},
  positionals: {
    value: "show|check|schema",
    about: "what to do",
    parse: verb,
    min: 1,
    max: 1,
  },
  examples: [
    ["config show", "Shows the settings that are in effect here."],
    ["config check --config new.toml", "Checks a file before it is put in place."],
  ],
  async run(context) {
    const [what] = context.rest;
    if (what === "show") return show(context);
    if (what === "check") return check(context);
    const { configJsonSchema } = await import("../host/config-schema.ts");
    if (context.json) context.printJson(configJsonSchema());
    else context.print(JSON.stringify(configJsonSchema(), null, 2));
    return exitCode.ok;
  },
});

type Here = Context<Record<never, never>, "show" | "check" | "schema">;

async function show(context: Here): Promise<ExitCode> {
  const { color, columns: width = null } = context;
  const loaded = await loadConfig({ flag: context.configFlag, env: context.env, cwd: context.cwd });
  const database = await context.database();
  const { listSettings } = await import("../host/config-show.ts");
  const settings = listSettings(loaded);
  const rules = loaded.config.rules.map(({ match, set, source }) => ({ match, set, source }));
  if (context.json) {
    context.printJson({ file: loaded.file?.path ?? null, database, settings, rules });
    return exitCode.ok;
  }
  const [{ painter }, { table }] = await Promise.all([import("./paint.ts"), import("./table.ts")]);
  const paint = painter(color);
  const rows = [
    ...settings.map(({ key, value, source }) => ({ key, value: value === null ? "" : shown(value), source })),
    ...rules.map(({ match, set, source }) => ({ key: "rule", value: `${shown(match)} -> ${shown(set)}`, source })),
  ];
  context.print(`${paint("faint", "file")}      ${loaded.file?.path ?? "none"}`);
  context.print(`${paint("faint", "database")}  ${database.location} (${database.source})`);
  context.print("");
  const lines = table(
    [{ title: "setting" }, { title: "value", least: 12 }, { title: "from", worth: 1 }],
    rows.map(({ key, value, source }) => [
      { text: key },
      { text: value },
      { text: source, style: source === "default" ? "faint" : "strong" },
    ]),
    { width, paint },
  );
  context.print(lines.join("\n"));
  return exitCode.ok;
}

async function check(context: Here): Promise<ExitCode> {
  const { file, loaded, problems } = await inspectConfig({
    flag: context.configFlag,
    env: context.env,
    cwd: context.cwd,
  });
  const code = problems.length === 0 ? exitCode.ok : exitCode.usage;
  const warnings = loaded?.warnings ?? [];
  if (context.json) {
    const told = problems.map(({ line, key, sentence, wayOut }) => ({ line, key, message: sentence, hint: wayOut }));
    context.printJson({ file: file?.path ?? null, problems: told, warnings });
    return code;
  }
  for (const { sentence, wayOut } of problems) context.print(`${sentence}\n  ${wayOut}`);
  for (const warning of warnings) context.warn(warning);
  if (code === exitCode.ok)
    context.print(file === undefined ? "No configuration file, and none is needed." : `${file.path} is right.`);
  return code;
}

/** As TOML has it. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return Object.entries(value)
    .map(([key, inner]) => `${key} = ${shown(inner)}`)
    .join(", ");
}
