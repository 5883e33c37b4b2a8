import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { runMarker } from "./environment.ts";

/** What is known of processes on this host, from proc(5). */

/** When a process started, in clock ticks since boot (field 22 of its stat); null when there is none of that number. */
export function processStart(pid: number): string | null {
  return statOf(pid)?.start ?? null;
}

function statOf(pid: number): { state: string; start: string } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything, so count from the last one: field 3 follows it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", start: fields[19] ?? "" };
  } catch {
    return null;
  }
}

/** This host, this boot, this process: what a lease says of its owner. */
export function self(): { host: string; bootId: string; pid: number; pidStart: string } {
  let bootId = "";
  try {
    bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    // no proc: leases then end by their expiry alone
  }
  return { host: hostname(), bootId, pid: process.pid, pidStart: processStart(process.pid) ?? "" };
}

/**
 * Whether the process of that number that started then still runs. Only what is proved dead is dead: a process that proc(5) hides from us
 * (hidepid) is asked for by signal 0. A zombie is dead, though it keeps its number until somebody collects it.
 */
export function isAlive(pid: number, pidStart: string): boolean {
  const stat = statOf(pid);
  if (stat !== null) return !"ZX".includes(stat.state) && (pidStart === "" || stat.start === pidStart);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** How long a killed process may take to be gone: one that waits for a disk that does not answer cannot be killed. Milliseconds. */
const patience = 5000;

/**
 * Ends the processes that dead runs have left: they bear the run's mark in their environment, and so do their own children (a receive-pack
 * behind our push). One of them, even one that stands still now, could move a ref while we look. Gives those that would not end.
 * `<run>/<part>` marks those of one part of a run; they are the run's too.
 * Ours to end and nobody else's: the caller holds the lease that the dead run held, so no living run bears such a mark here.
 */
export async function endOrphans(runIds: ReadonlySet<string>): Promise<number[]> {
  const deadline = Date.now() + patience;
  for (;;) {
    const left = orphansOf(runIds);
    if (left.length === 0 || Date.now() >= deadline) return left;
    for (const pid of left) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // gone by itself
      }
    }
    await sleep(5);
  }
}

function orphansOf(runIds: ReadonlySet<string>): number[] {
  if (runIds.size === 0) return [];
  return processes().filter((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
      const mark = environment.split("\0").find((entry) => entry.startsWith(`${runMarker}=`));
      const id = mark?.slice(runMarker.length + 1);
      return id !== undefined && (runIds.has(id) || runIds.has(id.replace(/\/.*/s, "")));
    } catch {
      return false; // gone, a zombie, or another user's
    }
  });
}

/**
 * Who may be using lock files: a process that has one of `files` open, or a git that runs in one of `dirs` or works on one of them
 * (git closes a lock before it renames it, and holds it closed while an editor is open). Null when nobody is.
 */
export function userOf(files: readonly string[], dirs: readonly string[]): { pid: number; command: string } | null {
  const locks = new Set(files);
  for (const pid of processes()) {
    const command = commandOf(pid);
    const isGit = command === "git" || command.startsWith("git-");
    if ((isGit && worksIn(pid, dirs)) || hasOpen(pid, locks)) return { pid, command };
  }
  return null;
}

function worksIn(pid: number, dirs: readonly string[]): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    const named = environment.flatMap((entry) => entry.match(/^GIT_(?:DIR|WORK_TREE|COMMON_DIR)=(\/.*)$/s)?.[1] ?? []);
    const places = [readlinkSync(`/proc/${pid}/cwd`), ...named];
    return places.some((place) => dirs.some((dir) => place === dir || place.startsWith(`${dir}/`)));
  } catch {
    return false;
  }
}

function hasOpen(pid: number, files: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return files.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

/** The numbers of all processes but this one; none on a host that does not show them. */
function processes(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => pid !== process.pid);
  } catch {
    return [];
  }
}
