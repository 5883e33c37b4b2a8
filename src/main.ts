import { basename } from "node:path";
import type { Output } from "./commands/frame.ts";
import type { Listed } from "./commands/help.ts";

declare const __VERSION__: string;

/** Filled in by the build; sources run as they are have none. */
const version = typeof __VERSION__ === "string" ? __VERSION__ : "0.0.0";

type Entry = Listed & { readonly load: () => Promise<{ readonly default: import("./commands/frame.ts").Command }> };

/** The commands that work. Each module is loaded when its command is called, and not before. */
const commands: readonly Entry[] = [
  {
    name: "run",
    group: "Landing",
    summary: "land finished projects: one tick",
    load: () => import("./commands/run.ts"),
  },
  {
    name: "retry",
    group: "Landing",
    summary: "put failed projects back in line",
    load: () => import("./commands/retry.ts"),
  },
  {
    name: "add",
    group: "Landing",
    summary: "enqueue a finished project by hand",
    load: () => import("./commands/add.ts"),
  },
  {
    name: "status",
    group: "Looking",
    summary: "the queue: what waits, is held, failed, landed",
    load: () => import("./commands/status.ts"),
  },
  {
    name: "stats",
    group: "Looking",
    summary: "success rate, time to land, history",
    load: () => import("./commands/stats.ts"),
  },
  {
    name: "migrate",
    group: "Setting up",
    summary: "make or update the queue database",
    load: () => import("./commands/migrate.ts"),
  },
  {
    name: "config",
    group: "Setting up",
    summary: "show or check the configuration",
    load: () => import("./commands/config.ts"),
  },
  {
    name: "demo",
    group: "Setting up",
    summary: "try everything on a sandbox",
    load: () => import("./commands/demo.ts"),
  },
];

const output: Output = { json: false, verbose: false, printed: false };
const stop = new AbortController();
let interruptible = false;

async function main(argv: readonly string[]): Promise<number> {
  const { commandIndex, readArgs, commonArgs } = await import("./commands/argv.ts");
  const { exitCode, UserError } = await import("./core/errors.ts");
  const index = commandIndex(argv);
  if (index === -1) {
    const { values, positionals } = readArgs(argv, commonArgs, "orchestrator-merge --help");
    if (values["version"] === true) return printVersion();
    const extra = positionals[0];
    if (extra !== undefined)
      throw new UserError(
        exitCode.usage,
        `unexpected argument ${JSON.stringify(extra)}.`,
        "orchestrator-merge --help shows the usage.",
      );
    const { programHelp } = await import("./commands/help.ts");
    process.stdout.write(`${programHelp(commands)}\n`);
    return exitCode.ok;
  }
  const name = argv[index] ?? "";
  const rest = argv.toSpliced(index, 1);
  const end = rest.indexOf("--");
  const flags = end === -1 ? rest : rest.slice(0, end);
  if (name === "help") return main([...rest, "--help"]);
  const entry = commands.find((c) => c.name === name);
  if (entry === undefined) {
    const { didYouMean } = await import("./host/nearest.ts");
    const hint = didYouMean(
      name,
      commands.map((c) => c.name),
    );
    throw new UserError(
      exitCode.usage,
      `unknown command ${JSON.stringify(name)}.${hint}`,
      "orchestrator-merge --help lists the commands.",
    );
  }
  if (flags.includes("--version")) return printVersion();
  const command = (await entry.load()).default;
  if (flags.some((word) => word === "--help" || /^-[qv]*h[qvh]*$/.test(word))) {
    const { commandHelp } = await import("./commands/help.ts");
    process.stdout.write(`${commandHelp(command)}\n`);
    return exitCode.ok;
  }
  return command.execute(
    rest,
    {
      env: process.env,
      cwd: process.cwd(),
      stdout: process.stdout,
      stderr: process.stderr,
      now: () => new Date(),
      interruption() {
        interruptible = true;
        return stop.signal;
      },
    },
    output,
  );
}

function printVersion(): number {
  process.stdout.write(`orchestrator-merge ${version}\n`);
  return 0;
}

/** Says what went wrong, on stderr and, with --json, as the one document on stdout. The only place that makes an exit code of an error. */
async function report(error: unknown): Promise<number> {
  const { exitCode, UserError } = await import("./core/errors.ts");
  let code: number = exitCode.bug;
  let message = `unexpected: ${error instanceof Error ? error.message : String(error)}`;
  let hint = `This is a bug in orchestrator-merge ${version}: please report it with the output of the same command and -v.`;
  if (error instanceof UserError) ({ code, sentence: message, wayOut: hint } = error);
  else if (stop.signal.aborted) {
    code = Number(process.exitCode);
    message = `ended by ${stop.signal.reason}.`;
    hint = "The next run goes on from here.";
  }
  process.stderr.write(`error: ${message}\n       ${hint}\n`);
  if (output.verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (output.json && !output.printed) {
    process.stdout.write(`${JSON.stringify({ schema: 1, error: { code, message, hint } }, null, 2)}\n`);
  }
  return code;
}

/** The words after the program's name; called through a link named `qs`, the program is its own `status`. */
function words(): string[] {
  const given = process.argv.slice(2);
  const calledAs = [process.argv[1] ?? "", process.argv0].map((path) => basename(path));
  return calledAs.includes("qs") ? ["status", ...given] : given;
}

/** A reader that left (`| head`) is no error, and what the command is doing goes on to its end; a full disk is one. */
function watchOutput(): void {
  process.stderr.on("error", () => {}); // there is nowhere left to say it
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    output.printed = true;
    if (error.code !== "EPIPE") fail(error);
  });
}

function watchSignals(): void {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.on(signal, () => {
      process.exitCode = code;
      if (!interruptible || stop.signal.aborted) process.exit();
      stop.abort(signal);
    });
  }
}

/** What no promise waited for: told like every other error, then the process ends, for its state is unknown. */
const fail = (error: unknown): void => void report(error).then((code) => process.exit(code));

function start(): void {
  const argv = words();
  if (argv[0] === "--version" && argv.length === 1) {
    printVersion();
    return;
  }
  output.json = argv.includes("--json");
  output.verbose = argv.includes("-v") || argv.includes("--verbose");
  watchOutput();
  watchSignals();
  process.on("uncaughtException", fail);
  main(argv)
    .catch(report)
    .then((code) => {
      if (!stop.signal.aborted) process.exitCode = code;
    });
}

start();
