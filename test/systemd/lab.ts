import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { CliResult } from "../helpers/cli.ts";

/** A user with a systemd of their own, in namespaces: see lab.sh. */
export type Lab = {
  /** Runs a script of sh as that user, at home; throws what it said when it fails. */
  sh(script: string): Promise<string>;
  /** As sh, whatever its end. */
  attempt(script: string): Promise<CliResult>;
  /** Tries a script until it succeeds, at most 30 s. */
  until(script: string): Promise<void>;
  /** Puts a file of this host into the user's home. */
  put(file: string, name: string, mode: "644" | "755"): Promise<void>;
  close(): Promise<void>;
};

const needed = [
  "/lib/systemd/systemd",
  "/lib/systemd/systemd-journald",
  "/lib/systemd/systemd-logind",
  "/usr/bin/dbus-daemon",
  "/usr/lib/polkit-1/polkitd",
  "/usr/bin/nsenter",
  "/usr/bin/setpriv",
];

/**
 * Whether a lab can be opened here; installs Debian's systemd for it where that is allowed. With CI set it throws instead of saying no:
 * a suite that is skipped must not look like one that passed.
 */
export function canOpenLab(): boolean {
  const isRoot = process.getuid?.() === 0;
  if (isRoot && isMissing()) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const install = () =>
      spawnSync("apt-get", ["install", "-y", "-q", "systemd", "dbus", "polkitd", "util-linux"], { env }).status === 0;
    if (!install()) {
      spawnSync("apt-get", ["update", "-q"], { env });
      install();
    }
  }
  const why = !isRoot
    ? "only root can give it a user and control groups of its own (in there everything runs as that user)"
    : isMissing()
      ? "Debian's systemd is not installed: apt-get install systemd dbus polkitd"
      : !mayUnshare()
        ? "this container may make no namespaces, or no control groups"
        : null;
  if (why === null) return true;
  if (process.env["CI"]) throw new Error(`the tests with a real systemd cannot run: ${why}`);
  console.warn(`The tests with a real systemd are skipped: ${why}.`);
  return false;
}

const isMissing = (): boolean => needed.some((file) => !existsSync(file));

function mayUnshare(): boolean {
  const groups = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].find((directory) => existsSync(directory));
  const script = `mount --make-rprivate / && mount -t tmpfs tmpfs /home && test -w ${groups}`;
  return spawnSync("unshare", ["--mount", "--pid", "--fork", "sh", "-c", script]).status === 0;
}

/** Starts a lab. Throws when it does not come up. */
export async function openLab(): Promise<Lab> {
  const child = spawn("bash", [join(import.meta.dirname, "lab.sh")], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  let unshare = "";
  let ready = false;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("unshare ")) unshare = line.slice("unshare ".length);
    ready = line === "ready";
    if (ready) break;
  }
  const [pid] = ready ? readFileSync(`/proc/${unshare}/task/${unshare}/children`, "utf8").split(" ") : [];
  if (pid === undefined) throw new Error(`the lab did not come up: ${said}`);
  return labAt(pid, child);
}

function labAt(pid: string, child: ChildProcess): Lab {
  const enter = ["-t", pid, "-m", "-p", "setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups"];
  const environment = [
    "HOME=/home/labuser",
    "USER=labuser",
    "LOGNAME=labuser",
    "LANG=C.UTF-8",
    "PATH=/home/labuser/.local/bin:/usr/local/bin:/usr/bin:/bin",
    "XDG_RUNTIME_DIR=/run/user/4242",
  ];
  const inside = ["env", "-i", ...environment, "sh", "-euc"];
  const attempt = async (script: string, stdin: "ignore" | number = "ignore"): Promise<CliResult> => {
    const running = spawn("nsenter", [...enter, ...inside, `cd ~\n${script}`], { stdio: [stdin, "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    running.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    running.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const [code] = await once(running, "close");
    return { code, stdout, stderr };
  };
  const sh = async (script: string, stdin: "ignore" | number = "ignore"): Promise<string> => {
    const { code, stdout, stderr } = await attempt(script, stdin);
    if (code !== 0) throw new Error(`exit ${code} of:\n${script}\n${stdout}${stderr}`);
    return stdout;
  };
  return {
    sh: (script) => sh(script),
    attempt: (script) => attempt(script),
    async until(script) {
      const deadline = Date.now() + 30_000;
      for (;;) {
        const { code, stdout, stderr } = await attempt(script);
        if (code === 0) return;
        if (Date.now() > deadline) throw new Error(`not within 30 s:\n${script}\n${stdout}${stderr}`);
        await sleep(100);
      }
    },
    async put(file, name, mode) {
      const fd = openSync(file, "r");
      try {
        await sh(`mkdir -p "$(dirname '${name}')"\ncat > '${name}'\nchmod ${mode} '${name}'`, fd);
      } finally {
        closeSync(fd);
      }
    },
    async close() {
      const closed = once(child, "close");
      child.stdin?.end();
      await closed;
    },
  };
}
