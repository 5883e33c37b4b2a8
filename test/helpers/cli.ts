import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const executable = `${root}dist/orchestrator-merge`;
/** The program as one JavaScript file, for this Node or for Deno. */
export const bundle = `${root}dist/orchestrator-merge.mjs`;

export type CliResult = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/**
 * Runs the built program with `args` and gives what it said. The environment is cleared: only PATH, a HOME that does not
 * exist, and `env`. ORCHESTRATOR_MERGE_TEST_BIN names another build to try: an executable, or a .mjs file for this Node.
 */
export async function cli(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string; readonly stdin?: string } = {},
): Promise<CliResult> {
  const { file, args: first } = program();
  return run(file, [...first, ...args], options);
}

/** How the built program is started: what `cli` runs, for tests that start it in their own way. */
export function program(): { readonly file: string; readonly args: readonly string[] } {
  const built = process.env["ORCHESTRATOR_MERGE_TEST_BIN"] ?? (existsSync(executable) ? executable : bundle);
  if (!existsSync(built)) throw new Error(`${built} is not built: run node build.mjs`);
  return built.endsWith(".mjs") ? { file: process.execPath, args: [built] } : { file: built, args: [] };
}

/** Runs any program the same way. */
export async function run(
  file: string,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string; readonly stdin?: string } = {},
): Promise<CliResult> {
  const child = spawn(file, args, {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: "/nonexistent", ...options.env },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => {}); // the program may end before it has read everything
  child.stdin.end(options.stdin ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}
