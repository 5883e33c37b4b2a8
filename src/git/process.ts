import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { $, type Options, type ProcessPromise } from "zx/core";
import { exitCode, UserError } from "../core/errors.ts";
import { gitEnvironment } from "./environment.ts";

/** How git is run in this tick: the caller's environment, the run's mark, its end. */
export type GitContext = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runId: string;
  /** Limit of one local git process, milliseconds. */
  readonly timeoutMs: number;
  /** Aborted when the program is told to end: running groups are ended too. */
  readonly signal: AbortSignal;
  /** Where git processes run: never a directory that an agent can write. */
  readonly cwd: string;
  /** Settings for every process, on top of the common ones. */
  readonly config?: ReadonlyArray<readonly [string, string]>;
  /** Counts the processes started; the cost of a tick is a promise, so it is measured. */
  readonly count: { processes: number };
};

export type GitCall = {
  readonly args: readonly string[];
  readonly gitDir: string;
  readonly workTree?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: ReadonlyArray<readonly [string, string]>;
  readonly input?: string | Buffer;
  readonly timeoutMs?: number;
  /** Instead of the context's: only for reading attributes beside a checkout, always with a GIT_DIR of our own. */
  readonly cwd?: string;
};

/** A finished git process. A non-zero exit is data; only a git that cannot be started throws. */
export type GitResult = {
  /** null when it was ended by a signal. */
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly timedOut: boolean;
  /** The command and all it said, for the attempt's record. */
  readonly transcript: string;
};

/** How long a git that was told to end may take to remove its lock files before it is killed. Milliseconds. */
const grace = 3000;

// zx ends a timed-out child through `ps`, which a bare host lacks (measured: it crashed us and the child lived on). Our children
// lead their own process group, so the group is signalled instead.
$.kill = async (pid, signal) => {
  signalGroup(Number(pid), signal === "SIGKILL" ? "SIGKILL" : "SIGTERM");
};

function signalGroup(pid: number | undefined, signal: "SIGTERM" | "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // already gone
  }
}

type Started = {
  readonly promise: ProcessPromise;
  readonly stdout: Buffer[];
  readonly stderr: Buffer[];
  readonly state: { timedOut: boolean };
  readonly cwd: string;
};

function start(context: GitContext, call: GitCall, program: readonly string[], keepStdin: boolean): Started {
  const [file = "git", ...argv] = [...program, ...call.args];
  const env = gitEnvironment(
    context.env,
    context.runId,
    { GIT_DIR: call.gitDir, ...(call.workTree === undefined ? {} : { GIT_WORK_TREE: call.workTree }), ...call.env },
    [...(context.config ?? []), ...(call.config ?? [])],
  );
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const state = { timedOut: false };
  context.count.processes++;
  const cwd = call.cwd ?? context.cwd;
  const options: Partial<Options> = {
    // Directly, with an argument array: no shell is needed on the host, one task and 2 ms less a process.
    spawn: new Proxy(spawn, { apply: (run, _this, [, , options]) => run(file, argv, { ...options, shell: false }) }),
    shell: "git",
    quote: String,
    prefix: "",
    postfix: "",
    env,
    cwd,
    detached: true,
    nothrow: true,
    quiet: true,
    stdio: [call.input === undefined && !keepStdin ? "ignore" : "pipe", "pipe", "pipe"],
    ...(call.input === undefined ? {} : { input: call.input }),
    store: { stdout, stderr, stdall: [] },
  };
  const promise = $(options)`git`;
  const pid = promise.child?.pid;
  promise.child?.stdin?.on("error", () => {}); // EPIPE: git left early, its exit code tells
  let killer: NodeJS.Timeout | undefined;
  const end = () => {
    signalGroup(pid, "SIGTERM");
    killer ??= setTimeout(() => signalGroup(pid, "SIGKILL"), grace);
  };
  const limit = setTimeout(() => {
    state.timedOut = true;
    end();
  }, call.timeoutMs ?? context.timeoutMs);
  if (context.signal.aborted) end();
  context.signal.addEventListener("abort", end);
  promise.finally(() => {
    clearTimeout(limit);
    clearTimeout(killer);
    context.signal.removeEventListener("abort", end);
    // A grandchild may outlive git (a hung ssh): nothing of the group stays behind.
    if (state.timedOut || context.signal.aborted) signalGroup(pid, "SIGKILL");
  });
  return { promise, stdout, stderr, state, cwd };
}

/** The error code with which a process could not even be started; null when it was. */
function spawnFailure(cause: unknown): string | null {
  return cause instanceof Error && "syscall" in cause && "code" in cause ? String(cause.code) : null;
}

async function finish(started: Started, call: GitCall): Promise<GitResult> {
  const output = await started.promise;
  const broken = spawnFailure(output.cause);
  // spawn(3) tells a missing directory and a missing program alike.
  const nowhere = broken !== null && !existsSync(started.cwd);
  if (!nowhere && (broken === "ENOENT" || broken === "EACCES")) {
    throw new UserError(
      exitCode.usage,
      "git is not on PATH, or may not be run.",
      "Install git 2.38 or newer, and see that PATH leads to it.",
    );
  }
  const stdout = Buffer.concat(started.stdout);
  // Out of processes or files: no git ran, which passes; the caller sees a git that failed.
  const stderr =
    broken === null
      ? Buffer.concat(started.stderr).toString()
      : `fatal: ${nowhere ? `${started.cwd} is gone` : `git could not be started: ${broken}`}\n`;
  const ended = started.state.timedOut
    ? "ended at its time limit"
    : output.signal === null
      ? `exit ${output.exitCode}`
      : `ended by ${output.signal}`;
  return {
    code: broken === null ? output.exitCode : -1,
    stdout,
    stderr,
    timedOut: started.state.timedOut,
    get transcript() {
      return `$ git ${call.args.join(" ")}\n${stdout.toString().slice(0, 20_000)}${stderr.slice(0, 20_000)}[${ended}]\n`;
    },
  };
}

/** Runs one git process to its end within its limit. Throws UserError only when git is not there. */
export async function git(context: GitContext, call: GitCall): Promise<GitResult> {
  return await finish(start(context, call, ["git"], false), call);
}

/** A git process that is spoken to: write, read answers as they come, end. */
export type GitSession = {
  /** Writes `text` and gives the output once `complete` finds it whole; null when git ended instead. */
  ask(text: string, complete: (output: Buffer) => boolean): Promise<Buffer | null>;
  /** Closes its input and waits for the exit. */
  end(): Promise<GitResult>;
};

/** Starts a git process for a conversation. `program` may put a wrapper such as stdbuf before git. */
export function gitSession(context: GitContext, call: GitCall, program: readonly string[] = ["git"]): GitSession {
  const started = start(context, call, program, true);
  const child = started.promise.child;
  let waiting: (() => void) | null = null;
  let ended = false;
  const wake = () => waiting?.();
  child?.stdout?.on("data", wake);
  started.promise.finally(() => {
    ended = true;
    wake();
  });
  return {
    async ask(text, complete) {
      const from = started.stdout.length;
      child?.stdin?.write(text);
      for (;;) {
        const output = Buffer.concat(started.stdout.slice(from));
        if (complete(output)) return output;
        if (ended) return null;
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      }
    },
    async end() {
      child?.stdin?.end();
      return await finish(started, call);
    },
  };
}
