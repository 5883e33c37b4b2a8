import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";

/** A program to start: its file, its arguments, all of its environment. */
export type Command = {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
};

/** What a run of it came to. Wall time in milliseconds. */
export type Run = { readonly ms: number; readonly stdout: string };

/** What a run needed at its worst. Memory in MB of 2^20 bytes. */
export type Peak = {
  /** Of the program itself (VmHWM). */
  readonly own: number;
  /** Of the program and all its children at one moment: what is resident, a page that several share counted once (Pss). */
  readonly all: number;
  /** Threads and processes at one moment, as TasksMax counts them. */
  readonly tasks: number;
  /** How the tasks were counted: by the kernel, or by looking again and again (which may miss a short-lived one). */
  readonly by: "cgroup" | "sampling";
};

/** Runs a command to its end. Throws what it said when it exits with anything but 0. */
export async function timed(command: Command): Promise<Run> {
  const began = performance.now();
  const child = start(command);
  const stdout = await finished(child, command);
  return { ms: performance.now() - began, stdout };
}

/** Runs a command to its end, whatever that is. */
export async function bareRun(command: Command): Promise<void> {
  await finished(start(command), command).catch(() => {});
}

/**
 * Runs a command and watches it: never timed, because watching takes a processor of its own. The kernel counts the tasks where a pids
 * cgroup can be made (root, cgroup v1 or a delegated v2); memory is read from proc(5) as often as it can be.
 */
export async function watched(command: Command): Promise<Peak> {
  const group = makeGroup();
  const inGroup: Command =
    group === null
      ? command
      : {
          ...command,
          file: "/bin/sh",
          args: ["-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group, command.file, ...command.args],
        };
  const child = start(inGroup);
  const end = finished(child, command);
  const peak = { own: 0, all: 0, tasks: 0 };
  let running = true;
  const stop = () => {
    running = false;
  };
  end.then(stop, stop);
  try {
    while (running) {
      const pids = group === null ? family(child.pid ?? 0) : membersOf(group);
      let [all, tasks] = [0, 0];
      for (const pid of pids) {
        const status = statusOf(pid);
        all += proportional(pid);
        tasks += status.threads;
        if (pid === child.pid && status.name !== "sh") peak.own = Math.max(peak.own, status.highest);
      }
      peak.all = Math.max(peak.all, all);
      peak.tasks = Math.max(peak.tasks, tasks);
      await nextTurn();
    }
    await end;
    if (group !== null) peak.tasks = Number(readFileSync(join(group, "pids.peak"), "utf8"));
  } finally {
    if (group !== null) rmdirSync(group);
  }
  return { ...peak, by: group === null ? "sampling" : "cgroup" };
}

/** The middle one, or the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.ceil((sorted.length - 1) / 2)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

function start(command: Command): ChildProcess {
  return spawn(command.file, command.args, { cwd: command.cwd, env: command.env, stdio: ["ignore", "pipe", "pipe"] });
}

async function finished(child: ChildProcess, command: Command): Promise<string> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) {
    throw new Error(
      `${[command.file, ...command.args].join(" ")}: exit ${code}\n${stdout.slice(-2000)}${stderr.slice(-2000)}`,
    );
  }
  return stdout;
}

/** A cgroup that counts tasks, in the place where this process is; null where that may not be or the kernel keeps no peak. */
function makeGroup(): string | null {
  const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  const own = (controller: string) => lines.find((line) => line.split(":")[1] === controller)?.split(":")[2];
  const [v1, v2] = [own("pids"), own("")];
  for (const parent of [
    v1 === undefined ? null : `/sys/fs/cgroup/pids${v1}`,
    v2 === undefined ? null : `/sys/fs/cgroup${v2}`,
  ]) {
    if (parent === null) continue;
    const group = join(parent, `bench-${process.pid}-${performance.now().toFixed()}`);
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    if (readdirSync(group).includes("pids.peak")) return group;
    rmdirSync(group);
  }
  return null;
}

function membersOf(group: string): number[] {
  return readFileSync(join(group, "cgroup.procs"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map(Number);
}

/** A process and all that descend from it, by the parents that proc(5) names. */
function family(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc"))
    if (/^\d+$/.test(name)) parents.set(Number(name), statusOf(Number(name)).parent);
  const found = [root];
  for (const pid of found) for (const [child, parent] of parents) if (parent === pid) found.push(child);
  return found;
}

/** Resident memory of a process in MB, its part of the pages it shares (proc(5), smaps_rollup); 0 when it has ended. */
function proportional(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").match(/^Pss:\s*(\d+) kB$/m)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

function statusOf(pid: number): { name: string; parent: number; highest: number; threads: number } {
  let text = "";
  try {
    text = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    // it has ended
  }
  const value = (key: string) => text.match(new RegExp(`^${key}:\\s*(.*?)( kB)?$`, "m"))?.[1] ?? "0";
  const megabytes = (key: string) => Number(value(key)) / 1024;
  return {
    name: value("Name"),
    parent: Number(value("PPid")),
    highest: megabytes("VmHWM"),
    threads: Number(value("Threads")),
  };
}
