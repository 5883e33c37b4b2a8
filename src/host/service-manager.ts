import { execFile } from "node:child_process";
import { realpathSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { exitCode, UserError } from "../core/errors.ts";
import type { Env } from "./config.ts";
import { home, unitDirectory } from "./paths.ts";

/** What a program of systemd answered; `code` null: it was ended, or is not there at all (`missing`). */
export type Answer = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly missing: boolean;
};

/** Runs programs of systemd for one user. */
export type ServiceManager = {
  readonly user: string;
  /** One command, at most two minutes: stopping a run may take as long as systemd allows it. Never throws. */
  ask(command: readonly string[]): Promise<Answer>;
  /** As ask, for what must succeed: throws UserError(2) with what it said. */
  tell(command: readonly string[]): Promise<string>;
  /** A property of a unit; "" when nobody knows it. */
  property(unit: string, name: string): Promise<string>;
};

/** For a command, and for the first question of all, which a manager in order answers at once; in milliseconds. */
const [patience, firstPatience] = [120_000, 10_000];

/**
 * The user manager of this user, when it answers and reads the units of `unitDirectory(env)`. After `sudo -u` or `su`, XDG_RUNTIME_DIR is
 * missing or another user's: then it is /run/user/<uid>, which systemd makes with the manager. Throws UserError(2) when there is none.
 */
export async function openServiceManager(env: Env): Promise<ServiceManager> {
  const { uid, username } = currentUser();
  demandOwnHome(env, uid, username);
  const given = env["XDG_RUNTIME_DIR"];
  const standard = `/run/user/${uid}`;
  const directory = [given, standard].find((path) => path !== undefined && isOwn(path, uid));
  if (directory === undefined) {
    throw new UserError(
      exitCode.usage,
      `no service manager of systemd runs for the user ${username}: ${given || standard} is not a directory of this user.`,
      `Log in as ${username}, or have root start it: loginctl enable-linger ${username}. Where it runs, set XDG_RUNTIME_DIR to its directory; where there is no systemd, let cron start orchestrator-merge run.`,
    );
  }
  // The bus of another user would refuse us; without the variable, systemctl finds the manager in XDG_RUNTIME_DIR.
  const { DBUS_SESSION_BUS_ADDRESS: bus, ...others } = env;
  const environment = { ...others, ...(directory === given ? { DBUS_SESSION_BUS_ADDRESS: bus } : {}) };
  const variables = { ...environment, XDG_RUNTIME_DIR: directory, LC_ALL: "C", SYSTEMD_PAGER: "", SYSTEMD_COLORS: "0" };

  const ask = ([file = "", ...args]: readonly string[], timeout = patience): Promise<Answer> =>
    new Promise((resolve) => {
      execFile(file, args, { env: variables, timeout }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
        resolve({ code, stdout, stderr, missing: error?.code === "ENOENT" });
      });
    });
  const tell = async (command: readonly string[], timeout = patience): Promise<string> => {
    const { code, stdout, stderr, missing } = await ask(command, timeout);
    if (code === 0) return stdout;
    const late = code === null ? `no answer within ${timeout / 1000} s` : `exit ${code}`;
    const said = missing ? "it is not installed" : stderr.trim().split("\n").at(-1) || late;
    throw new UserError(
      exitCode.usage,
      `${command.join(" ")} failed: ${said.replace(/\.$/, "")}.`,
      "See what systemctl --user status says, and run the same command again.",
    );
  };
  const unitPath = await tell(["systemctl", "--user", "show", "-p", "UnitPath", "--value"], firstPatience);
  demandReads(unitDirectory(env), unitPath);
  return {
    user: username,
    ask: (command) => ask(command),
    tell: (command) => tell(command),
    async property(unit, name) {
      const { stdout } = await ask(["systemctl", "--user", "show", unit, "-p", name, "--value"]);
      return stdout.trim();
    },
  };
}

/** The words of a property that is a list: systemctl quotes those that a shell would read in another way. */
export function listed(value: string): string[] {
  const words = value.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g);
  return [...words].map(([, quoted, plain = ""]) => quoted?.replace(/\\(.)/g, "$1") ?? plain);
}

/** Throws UserError(2) where the manager has another XDG_CONFIG_HOME. One that does not say where it looks is believed. */
function demandReads(directory: string, unitPath: string): void {
  const read = listed(unitPath);
  if (read.length === 0 || read.map(real).includes(real(directory))) return;
  throw new UserError(
    exitCode.usage,
    `the service manager does not read ${directory}, which is where your XDG_CONFIG_HOME and HOME lead.`,
    "Run this with the XDG_CONFIG_HOME that the manager was started with, or none: env -u XDG_CONFIG_HOME orchestrator-merge ...",
  );
}

/** Where a path leads, the part of it too that is not there yet. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === dirname(path) ? path : join(real(dirname(path)), basename(path));
  }
}

/** After `sudo` without -H the home may be another user's, where our files would be in the way. Throws UserError(2). */
function demandOwnHome(env: Env, uid: number, username: string): void {
  const directory = home(env);
  const owner = statSync(directory, { throwIfNoEntry: false })?.uid;
  if (owner === uid) return;
  const what = owner === undefined ? "is not there" : "belongs to another user";
  throw new UserError(
    exitCode.usage,
    `the home directory ${directory} ${what}, and this is ${username}.`,
    `Set HOME to that of ${username}; sudo does it with -H.`,
  );
}

/** Who runs this; a user that no list has (a container's) goes by the number, which loginctl takes too. */
function currentUser(): { readonly uid: number; readonly username: string } {
  try {
    return userInfo();
  } catch {
    const uid = process.getuid?.() ?? 0;
    return { uid, username: String(uid) };
  }
}

function isOwn(path: string, uid: number): boolean {
  try {
    const found = statSync(path);
    return found.isDirectory() && found.uid === uid;
  } catch {
    return false;
  }
}
