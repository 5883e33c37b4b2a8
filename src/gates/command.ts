import { spawn } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { formatDuration } from "../core/durations.ts";
import type { Output } from "./output.ts";
import { asUnit, stopUnit, type Units } from "./unit.ts";

/** One run of a gate's command. */
export type GateRun = {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** aborted when the program is told to end: so is the gate */
  readonly signal: AbortSignal;
  readonly output: Output;
  /** Ends what the command has left behind in sessions of its own. */
  endStrays(): Promise<unknown>;
  /** Where it is to be a unit of systemd: how, its name, and a file for its exit code. */
  readonly unit: { readonly units: Units; readonly name: string; readonly statusFile: string } | null;
};

/** What came of it (CONTRACT, "Protocols of external commands"). `how` goes on after "the gate": for a person. */
export type GateEnd = {
  readonly verdict: "pass" | "fail" | "timeout" | "unsure";
  readonly exitCode: number | null;
  readonly how: string;
  readonly durationMs: number;
};

/** How long a gate that was told to end may take before it is killed, and its output to end after it. Milliseconds. */
const grace = 3000;

/** A longer setTimeout of Node fires at once. Milliseconds, almost 25 days. */
const longestTimer = 2 ** 31 - 1;

/** A shell's word for a child that was killed: who runs out of memory dies so. */
const killed = 128 + 9;

/** Runs a gate to its end, within its limit. Whatever happens is a value; nothing of it goes on afterwards. */
export async function runGate(run: GateRun): Promise<GateEnd> {
  const began = performance.now();
  const end = (verdict: GateEnd["verdict"], exitCode: number | null, how: string): GateEnd => ({
    verdict,
    exitCode,
    how,
    durationMs: Math.round(performance.now() - began),
  });
  const { unit } = run;
  const [program = ""] = run.command;
  if (!isThere(program, run)) return end("unsure", null, `cannot be run: there is no program ${program}`);
  const [file = "", ...args] =
    unit === null ? run.command : asUnit(unit.units, { ...run, name: unit.name, statusFile: unit.statusFile });
  // The variables of the gate are taken from systemd-run's own, see asUnit.
  const env = unit === null ? run.env : { ...run.env, ...unit.units.env, PATH: run.env["PATH"] ?? "" };
  const child = spawn(file, args, { cwd: run.cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => run.output.take(chunk));
  const closed = new Promise((done) => child.on("close", done));
  const state = { timedOut: false, stopping: false };
  let killer: NodeJS.Timeout | undefined;
  const stop = () => {
    if (state.stopping) return;
    state.stopping = true;
    if (unit !== null) stopUnit(unit.units, unit.name);
    else signalGroup(child.pid, "SIGTERM");
    killer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), unit === null ? grace : 2 * grace);
  };
  const limit = setTimeout(
    () => {
      state.timedOut = true;
      stop();
    },
    Math.min(run.timeoutMs, longestTimer),
  );
  run.signal.addEventListener("abort", stop);
  if (run.signal.aborted) stop();
  const ended = await new Promise<{ code: number | null; signal: string | null; error: Error | null }>((done) => {
    child.on("exit", (code, signal) => done({ code, signal, error: null }));
    child.on("error", (error) => done({ code: null, signal: null, error }));
  });
  clearTimeout(limit);
  clearTimeout(killer);
  run.signal.removeEventListener("abort", stop);
  const code = unit === null ? ended.code : readStatus(unit.statusFile);
  if (unit !== null && code === null) await stopUnit(unit.units, unit.name);
  signalGroup(child.pid, "SIGKILL");
  await run.endStrays();
  await Promise.race([closed, sleep(grace, undefined, { ref: false })]);
  for (const stream of [child.stdout, child.stderr]) stream.destroy();

  if (ended.error !== null) return end("unsure", null, `cannot be run: ${ended.error.message}`);
  if (state.timedOut) return end("timeout", null, `is over its limit of ${formatDuration(run.timeoutMs)}`);
  if (state.stopping) return end("unsure", null, "was ended with this run");
  if (code === 0) return end("pass", 0, "passes");
  if (code === 125) return end("unsure", 125, "cannot tell (exit 125)");
  if (code === killed || ended.signal === "SIGKILL")
    return end("unsure", code, "was killed, as happens where memory runs out");
  if (code !== null) return end("fail", code, `fails (exit ${code})`);
  if (unit !== null) return end("unsure", null, "was refused or ended by systemd, as happens at its memory limit");
  return end("fail", null, `fails (ended by ${ended.signal})`);
}

/** Whether the program that a command names can be run: seen from where the command runs, or on its PATH. */
function isThere(program: string, { cwd, env }: GateRun): boolean {
  const places = program.includes("/")
    ? [resolve(cwd, program)]
    : (env["PATH"] ?? "").split(delimiter).map((dir) => join(dir, program));
  return places.some((place) => {
    try {
      accessSync(place, constants.X_OK);
      return statSync(place).isFile();
    } catch {
      return false;
    }
  });
}

function readStatus(file: string): number | null {
  try {
    const text = readFileSync(file, "utf8").trim();
    return /^\d+$/.test(text) ? Number(text) : null;
  } catch {
    return null;
  }
}

function signalGroup(pid: number | undefined, signal: "SIGTERM" | "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // gone
  }
}
