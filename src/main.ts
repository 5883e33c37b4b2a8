import { basename } from "node:path";
import type { Output } from "./commands/frame.ts";

declare const __VERSION__: string;

/** Filled in by the build; sources run as they are have none. */
const version = typeof __VERSION__ === "string" ? __VERSION__ : "0.0.0";

const output: Output = { json: false, verbose: false, printed: false };
const stop = new AbortController();
let interruptible = false;

async function main(argv: readonly string[]): Promise<number> {
  const [{ commandIndex, readArgs, commonArgs }, { commands }, { exitCode, UserError }] = await Promise.all([
    import("./commands/argv.ts"),
    import("./commands/list.ts"),
    import("./core/errors.ts"),
  ]);
  const index = commandIndex(argv);
  if (index === -1) {
    const { values } = readArgs(argv, commonArgs, "orchestrator-merge --help");
    if (values["version"] === true) return printVersion();
    const { programHelp } = await import("./commands/help.ts");
    return print(programHelp(commands));
  }
  const name = argv[index] ?? "";
  const rest = argv.toSpliced(index, 1);
  if (name === "help") return main([...rest, "--help"]);
  const entry = commands.find((command) => command.name === name);
  if (entry === undefined) {
    const { didYouMean } = await import("./host/nearest.ts");
    const names = commands.map((command) => command.name);
    throw new UserError(
      exitCode.usage,
      `unknown command ${JSON.stringify(name)}.${didYouMean(name, names)}`,
      "orchestrator-merge --help lists the commands.",
    );
  }
  const flags = beforeTerminator(rest);
  if (flags.includes("--version")) return printVersion();
  const command = (await entry.load()).default;
  if (flags.some((word) => word === "--help" || /^-[qv]*h[qvh]*$/.test(word))) {
    const { commandHelp } = await import("./commands/help.ts");
    return print(commandHelp(command));
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

/** The words that can be flags: those after `--` cannot. */
function beforeTerminator(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return end === -1 ? argv : argv.slice(0, end);
}

function print(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

const printVersion = (): number => print(`orchestrator-merge ${version}`);

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

/** A reader that left (`| head`) is no error, a full disk is one; in either case what the command is doing goes on to its end. */
function watchOutput(): void {
  let told = false;
  process.stderr.on("error", () => {}); // there is nowhere left to say it
  process.stdout.on("error", async (error: NodeJS.ErrnoException) => {
    output.printed = true;
    if (error.code === "EPIPE" || told) return;
    told = true;
    const { exitCode, UserError } = await import("./core/errors.ts");
    const sentence = `the result could not be written: ${error.message}.`;
    end(await report(new UserError(exitCode.bug, sentence, "Give stdout a place that can take it.", { cause: error })));
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
  const flags = beforeTerminator(argv);
  output.json = flags.includes("--json");
  output.verbose = flags.includes("-v") || flags.includes("--verbose");
  watchOutput();
  watchSignals();
  process.on("uncaughtException", fail);
  main(argv).catch(report).then(end);
}

/** The process ends by itself when nothing is left to do; the first failure, or the signal, decides its code. */
function end(code: number): void {
  process.exitCode ||= code;
}

start();
