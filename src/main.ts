import { basename } from "node:path";
import type { Output } from "./commands/frame.ts";
import type { ExitCode } from "./core/errors.ts";
import { version } from "./host/version.ts";

const output: Output = { json: false, verbose: false, printed: false };
const stop = new AbortController();
let interruptible = false;

/** The current directory; the root when that is gone, as under a person who stands in a worktree that was removed. */
function whereWeAre(): string {
  try {
    return process.cwd();
  } catch {
    return "/";
  }
}

async function main(argv: readonly string[]): Promise<ExitCode> {
  const { runProgram } = await import("./commands/program.ts");
  const { env, stdout, stderr } = process;
  const interruption = (): AbortSignal => {
    interruptible = true;
    return stop.signal;
  };
  return await runProgram(
    argv,
    { env, cwd: whereWeAre(), stdout, stderr, now: () => new Date(), interruption },
    output,
  );
}

/** Says what went wrong, on stderr and, with --json, as the one document on stdout. The only place that makes an exit code of an error. */
async function report(error: unknown): Promise<number> {
  const [{ exitCode, UserError }, { openVoice }] = await Promise.all([
    import("./core/errors.ts"),
    import("./host/voice.ts"),
  ]);
  let code: number = exitCode.bug;
  let message = `unexpected: ${error instanceof Error ? error.message : String(error)}`;
  let hint = `This is a bug in orchestrator-merge ${version}: please report it with the output of the same command and -v.`;
  if (error instanceof UserError) ({ code, sentence: message, wayOut: hint } = error);
  else if (stop.signal.aborted) {
    code = Number(process.exitCode);
    message = `ended by ${stop.signal.reason}.`;
    hint = "The next run goes on from here.";
  }
  const { env, stderr } = process;
  const voice = openVoice({ stderr, env, quiet: false, verbose: output.verbose });
  voice.error(`${message}\n       ${hint}`);
  if (error instanceof Error) voice.debug(error.stack);
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
    ["SIGHUP", 129],
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
  const terminator = argv.indexOf("--");
  const flags = terminator === -1 ? argv : argv.slice(0, terminator); // words after `--` cannot be flags
  if (flags.includes("--version")) {
    process.stdout.write(`orchestrator-merge ${version}\n`);
    return;
  }
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
