import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "./measure.ts";

/** Where a bench works, and how its programs are started: one home, one environment, nothing of the caller's. */
export type World = {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
  /** The built executable with these arguments. */
  program(args: readonly string[], path?: string): Command;
  /** A shell script of this directory's peers/. */
  script(name: string, args: readonly string[], env?: Readonly<Record<string, string>>): Command;
  /** Several commands, one after the other, until one fails. */
  inTurn(commands: readonly Command[]): Command;
  /** Runs git for preparations; throws when it fails. */
  git(cwd: string, args: readonly string[], input?: string | Buffer): string;
};

const root = fileURLToPath(new URL("..", import.meta.url));

export function makeWorld(dir: string): World {
  const home = join(dir, "home");
  mkdirSync(home, { recursive: true });
  writeFileSync(
    join(home, ".gitconfig"),
    "[user]\n\tname = Bench\n\temail = bench@example.com\n[init]\n\tdefaultBranch = main\n",
  );
  const path = (process.env["PATH"] ?? "/usr/bin:/bin")
    .split(delimiter)
    .filter((entry) => !entry.includes("node_modules"));
  const env = { PATH: path.join(delimiter), HOME: home, LC_ALL: "C" };
  return {
    dir,
    env,
    program: (args, without) => ({
      file: join(root, "dist", "orchestrator-merge"),
      args,
      env: without === undefined ? env : { ...env, PATH: without },
      cwd: dir,
    }),
    script: (name, args, more = {}) => ({
      file: "/bin/sh",
      args: [join(root, "bench", "peers", name), ...args],
      env: { ...env, ...more },
      cwd: dir,
    }),
    inTurn: (commands) => ({
      file: "/bin/sh",
      args: ["-ec", commands.map(({ file, args }) => [file, ...args].map((word) => `'${word}'`).join(" ")).join("\n")],
      env,
      cwd: dir,
    }),
    git(cwd, args, input) {
      const done = spawnSync("git", args, { cwd, env, maxBuffer: 1 << 28, ...(input === undefined ? {} : { input }) });
      if (done.status !== 0) throw new Error(`git ${args.join(" ")}: ${done.stderr}`);
      return done.stdout.toString().trimEnd();
    },
  };
}

/** The Node that is built into the executable, as it comes. */
export const bareNode = join(root, "node_modules", `node-linux-${process.arch}`, "bin", "node");

/** An environment whose git kills the program that starts it, and itself, at that command. */
export function killingGit(world: World, command: string): Readonly<Record<string, string>> {
  const bin = join(world.dir, `killed-at-${command}`);
  mkdirSync(bin, { recursive: true });
  const script = `#!/bin/sh\n[ "$1" = ${command} ] && kill -9 $PPID $$\nexec '${gitFile(world)}' "$@"\n`;
  writeFileSync(join(bin, "git"), script, { mode: 0o755 });
  return { ...world.env, PATH: `${bin}${delimiter}${world.env["PATH"]}` };
}

/** A PATH on which there is git and nothing else: a host without coreutils' stdbuf. */
export function onlyGit(world: World): string {
  const bin = join(world.dir, "only-git");
  mkdirSync(bin, { recursive: true });
  symlinkSync(gitFile(world), join(bin, "git"));
  return bin;
}

function gitFile(world: World): string {
  const file = (world.env["PATH"] ?? "")
    .split(delimiter)
    .map((entry) => join(entry, "git"))
    .find((each) => {
      try {
        accessSync(each, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  if (file === undefined) throw new Error("no git on PATH");
  return file;
}
