import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gitEnvironment } from "../../src/git/environment.ts";

/** What a git of the tests came to. */
export type Done = { readonly code: number | null; readonly stdout: Buffer; readonly stderr: string };

/**
 * A home directory of its own, whose .gitconfig holds `config` beside a name: what the user has set for all repositories. There is a
 * file `attributes` in it that nothing points at.
 */
export function makeHome(dir: string, config: readonly (readonly [key: string, value: string])[] = []): string {
  const home = join(dir, "home");
  mkdirSync(home, { recursive: true });
  const entries = [
    ["user.name", "A User"],
    ["user.email", "user@example.com"],
    ["protocol.file.allow", "always"],
    ...config,
  ];
  const text = entries.map(([key = "", value = ""]) => {
    const cut = key.lastIndexOf(".");
    return `[${key.slice(0, cut)}]\n\t${key.slice(cut + 1)} = ${value}\n`;
  });
  writeFileSync(join(home, ".gitconfig"), text.join(""));
  writeFileSync(join(home, "attributes"), "*.c merge=union\n*.md merge=union\nvendor/** -merge\n");
  return home;
}

/**
 * Runs git in `cwd` as the engine would, with the same overrides (hooks, threads, replaced environment), for the user of `home`.
 * Nothing is synced to disk: the answers are the same and the tests are faster.
 */
export function gitIn(home: string, cwd: string, args: readonly string[], input?: Buffer | string): Promise<Done> {
  const env = gitEnvironment({ PATH: process.env["PATH"], HOME: home }, "differential", {}, [["core.fsync", "none"]]);
  const child = spawn("git", args, { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
  const [out, complaint]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => complaint.push(chunk));
  child.stdin.on("error", () => {}); // git may end before it has read everything
  child.stdin.end(input ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      resolve({ code, stdout: Buffer.concat(out), stderr: Buffer.concat(complaint).toString() }),
    );
  });
}

/** The same where nothing may fail; gives the output without its last newline. */
export async function mustGit(
  home: string,
  cwd: string,
  args: readonly string[],
  input?: Buffer | string,
): Promise<string> {
  const done = await gitIn(home, cwd, args, input);
  if (done.code !== 0) throw new Error(`git ${args.join(" ")}: ${done.code}\n${done.stderr}`);
  return done.stdout.toString().replace(/\n$/, "");
}

/** A repository with a working tree, that reads the objects of `history` too; `config` is its own. */
export async function repositoryOn(
  home: string,
  dir: string,
  history: string,
  config: readonly (readonly [key: string, value: string])[] = [],
): Promise<string> {
  mkdirSync(dir, { recursive: true });
  await mustGit(home, dir, ["init", "-q", "-b", "elsewhere"]);
  writeFileSync(join(dir, ".git", "objects", "info", "alternates"), `${join(history, "objects")}\n`);
  for (const [key, value] of config) await mustGit(home, dir, ["config", key, value]);
  return dir;
}
