import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { userInfo } from "node:os";
import { exitCode, UserError } from "../core/errors.ts";
import type { Env } from "./config.ts";

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

/**
 * The user manager of this user. After `sudo -u` or `su`, XDG_RUNTIME_DIR is missing or another user's: then it is /run/user/<uid>,
 * which systemd makes with the manager. Throws UserError(2) when there is none.
 */
export function openServiceManager(env: Env): ServiceManager {
  const { uid, username } = currentUser();
  const given = env["XDG_RUNTIME_DIR"];
  const standard = `/run/user/${uid}`;
  const directory = [given, standard].find((path) => path !== undefined && isOwn(path, uid));
  if (directory === undefined) {
    throw new UserError(
      exitCode.usage,
      `no service manager of systemd runs for the user ${username}: ${given || standard} is not a directory of this user.`,
      `Log in as ${username}, or have root start it: loginctl enable-linger ${username}. Where it runs, set XDG_RUNTIME_DIR to its directory.`,
    );
  }
  // The bus of another user would refuse us; without the variable, systemctl finds the manager in XDG_RUNTIME_DIR.
  const { DBUS_SESSION_BUS_ADDRESS: bus, ...others } = env;
  const environment = { ...others, ...(directory === given ? { DBUS_SESSION_BUS_ADDRESS: bus } : {}) };
  const variables = { ...environment, XDG_RUNTIME_DIR: directory, LC_ALL: "C", SYSTEMD_PAGER: "", SYSTEMD_COLORS: "0" };

  const ask = ([file = "", ...args]: readonly string[]): Promise<Answer> =>
    new Promise((resolve) => {
      execFile(file, args, { env: variables, timeout: 120_000 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
        resolve({ code, stdout, stderr, missing: error?.code === "ENOENT" });
      });
    });
  return {
    user: username,
    ask,
    async tell(command) {
      const { code, stdout, stderr, missing } = await ask(command);
      if (code === 0) return stdout;
      const said = missing ? "it is not installed" : stderr.trim().split("\n").at(-1) || `exit ${code}`;
      throw new UserError(
        exitCode.usage,
        `${command.join(" ")} failed: ${said.replace(/\.$/, "")}.`,
        "See what systemctl --user status says, and run the same command again.",
      );
    },
    async property(unit, name) {
      const { stdout } = await ask(["systemctl", "--user", "show", unit, "-p", name, "--value"]);
      return stdout.trim();
    },
  };
}

/** Who runs this; a user that no list has (a container's) goes by the number, which loginctl takes too. */
export function currentUser(): { readonly uid: number; readonly username: string } {
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
