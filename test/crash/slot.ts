import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  utimesSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { program } from "../helpers/cli.ts";
import { keepAs, type Scenario, type World } from "./scenarios.ts";
import { writeShim } from "./shim.ts";

/** What a run of the program said when it was over. */
export type Run = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type Running = { readonly child: ChildProcess; readonly over: Promise<Run> };

/** A directory in which one world after the other stands at the same path: repositories hold absolute paths. */
export type Slot = {
  readonly dir: string;
  readonly path: string;
  readonly world: World;
  /** Puts a fresh copy of the world there, ends what still runs in the old one. */
  reset(): Promise<void>;
  /** Starts the program; `before` is what it is started under. */
  start(args?: readonly string[], before?: readonly string[]): Running;
  run(args?: readonly string[]): Promise<Run>;
  /** The processes that belong to this world, strace's included. */
  processes(): number[];
  /** Kills them, again and again until there are none. */
  killAll(): void;
  /** Lets everything that stands still or still runs come to its end. */
  goOn(): Promise<void>;
  /** Makes the temporary directories two hours older. */
  age(): void;
  remove(): void;
};

/** Memory where there is some: a sweep is thousands of small repositories, and none of them outlives it. */
const place = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Builds the scenario once, in a slot of its own. */
export async function makeSlot(scenario: Scenario): Promise<Slot> {
  const dir = realpathSync(mkdtempSync(join(place, "orchestrator-merge-crash-")));
  const path = join(dir, "world");
  const template = join(dir, "template");
  const bin = join(dir, "bin");
  writeShim(bin);
  mkdirSync(path);
  const world = await scenario.build(path);
  for (const name of ["home", "tmp", "shim"]) mkdirSync(join(path, name));
  keepAs(path, template);
  const { file, args: first } = program();
  const env = {
    PATH: `${bin}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
    HOME: join(path, "home"),
    TMPDIR: join(path, "tmp"),
  };

  const config = world.config === undefined ? [] : ["--config", world.config];
  const start: Slot["start"] = (args = ["run", "--json"], before = []) => {
    const [command = "", ...rest] = [...before, file, ...first, ...args, "--db", world.db, ...config];
    const child = spawn(command, rest, { cwd: path, env, stdio: ["ignore", "pipe", "pipe"] });
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        said[name] += text;
      });
    }
    const over = new Promise<Run>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => resolve({ code, signal, ...said }));
    });
    return { child, over };
  };
  const processes = () => processesWith(`TMPDIR=${env.TMPDIR}`);
  const killAll = () => {
    for (let left = processes(); left.length > 0; left = processes()) for (const pid of left) kill(pid);
  };
  return {
    dir,
    path,
    world,
    start,
    run: (args) => start(args).over,
    processes,
    killAll,
    async reset() {
      killAll();
      await promisify(execFile)("rm", ["-rf", path]);
      await promisify(execFile)("cp", ["-a", template, path]);
    },
    async goOn() {
      for (let left = processes(); left.length > 0; left = processes()) {
        for (const pid of left) kill(pid, "SIGCONT");
        await sleep(5);
      }
    },
    age() {
      const then = Date.now() / 1000 - 7200;
      for (const name of readdirSync(env.TMPDIR)) utimesSync(join(env.TMPDIR, name), then, then);
    },
    remove() {
      killAll();
      execFileSync("rm", ["-rf", dir]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Living processes with that entry in their environment. Zombies have none. */
function processesWith(entry: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(entry);
      } catch {
        return false;
      }
    })
    .map(Number);
}

export function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}
