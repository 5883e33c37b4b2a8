import { spawnSync } from "node:child_process";

/**
 * Whether system calls can be intercepted here. strace is installed when it is missing and we may (Debian's package). Where it must be
 * there (as root, or where CI is set) its absence throws: a crash suite that does nothing must not look like one that passed.
 */
export function haveStrace(): boolean {
  if (works()) return true;
  const root = process.getuid?.() === 0;
  if (root && !installed()) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const install = () => spawnSync("apt-get", ["install", "-y", "-q", "strace"], { env }).status === 0;
    if (!install()) {
      spawnSync("apt-get", ["update", "-q"], { env });
      install();
    }
  }
  if (works()) return true;
  if (root || process.env["CI"]) throw new Error("strace is missing or may not trace: apt-get install strace");
  console.warn("strace is missing or may not trace here: the crash sweeps are skipped (apt-get install strace).");
  return false;
}

const installed = (): boolean => spawnSync("strace", ["--version"]).status === 0;
const works = (): boolean => spawnSync("strace", ["-o", "/dev/null", "-e", "trace=none", "true"]).status === 0;
