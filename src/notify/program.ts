import { spawn } from "node:child_process";
import { codeOf, later, type Outcome, refused, sent } from "./outcome.ts";

/**
 * Runs a program without a shell, gives it `input` and waits for its end. When `signal` says so, its whole process group is killed. What it
 * says is nobody's: it may hold its own secrets.
 */
export async function runProgram(
  [file = "", ...args]: readonly string[],
  input: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<Outcome> {
  if (signal.aborted) return later("no time was left");
  const child = spawn(file, args, { env: { ...env }, stdio: ["pipe", "ignore", "ignore"], detached: true });
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // already gone
    }
  };
  signal.addEventListener("abort", kill, { once: true });
  child.stdin.on("error", () => {}); // it need not read
  child.stdin.end(input);
  try {
    return await new Promise<Outcome>((resolve) => {
      child.on("error", (error) => resolve(refused(`it cannot be started (${codeOf(error) ?? "no reason given"})`)));
      child.on("exit", (code, killed) => {
        if (code === 0) resolve(sent);
        else if (signal.aborted) resolve(later("it did not end in time"));
        else resolve(later(code === null ? `it was ended by ${killed}` : `it ended with exit code ${code}`));
      });
    });
  } finally {
    signal.removeEventListener("abort", kill);
  }
}
