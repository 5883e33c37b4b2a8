import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { runMarker } from "./environment.ts";

/** What is known of processes on this host, from proc(5). */

/** When a process started, in clock ticks since boot (field 22 of its stat); null when there is none of that number. */
export function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything, so count from the last one: field 3 follows it.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
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

/** The process of that number that started then still runs. */
export function isAlive(pid: number, pidStart: string): boolean {
  return processStart(pid) === pidStart && pidStart !== "";
}

/** The git processes that a dead run has left: they bear its mark in their environment. Ours to end, nobody else's. */
export function orphansOf(runIds: ReadonlySet<string>): number[] {
  if (runIds.size === 0) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
        const mark = environment.split("\0").find((entry) => entry.startsWith(`${runMarker}=`));
        return mark !== undefined && runIds.has(mark.slice(runMarker.length + 1));
      } catch {
        return false; // gone, or another user's
      }
    })
    .map(Number);
}

/** Whether a git process, anybody's, runs in this directory now: then its lock files are in use. */
export function gitAtWorkIn(dir: string): boolean {
  return readdirSync("/proc").some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      return readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("git") && (cwd === dir || cwd.startsWith(`${dir}/`));
    } catch {
      return false;
    }
  });
}
