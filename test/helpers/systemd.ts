import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { Command, Host } from "../../src/commands/frame.ts";
import { temporaryDirectory } from "./directory.ts";

export const service = "tmux-orchestrator-auto-merge.service";
export const timer = "tmux-orchestrator-auto-merge.timer";
export const user = userInfo().username;

/**
 * A user's home to type commands in, with a stand-in for systemd's programs first in PATH. It takes down what it is told to do, answers
 * questions from what `answer` was given, and fails what `refuse` was given. What systemd itself makes of the units: test/systemd.
 */
export function userHost() {
  const home = temporaryDirectory();
  const [bin, runtime, log] = [join(home, "bin"), join(home, "runtime"), join(home, "told")];
  for (const directory of [bin, runtime, join(home, "answers"), join(home, "refuses")]) mkdirSync(directory);
  const program = (name: string, script: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}`);
    chmodSync(join(bin, name), 0o755);
  };
  for (const name of ["systemctl", "loginctl", "systemd-analyze"]) {
    program(
      name,
      `key=$(echo "${name} $*" | tr '/ ' '__' | cut -c1-200)
      case "$*" in *" show "*|show*) ;; *) echo "${name} $*" >> '${log}' ;; esac
      if test -e '${home}/refuses/'"$key"; then cat '${home}/refuses/'"$key" >&2; exit 1; fi
      if test -e '${home}/answers/'"$key"; then cat '${home}/answers/'"$key"; fi\n`,
    );
  }
  const file = (kind: string, command: string): string => join(home, kind, command.replaceAll(/[/ ]/g, "_"));
  const answer = (command: string, text: string): void => writeFileSync(file("answers", command), text);
  const property = (unit: string, name: string, value: string): void =>
    answer(`systemctl --user show ${unit} -p ${name} --value`, value);
  return {
    home,
    program,
    units: join(home, ".config", "systemd", "user"),
    state: join(home, ".local", "state", "orchestrator-merge"),
    unit: (name: string): string => readFileSync(join(home, ".config", "systemd", "user", name), "utf8"),
    /** Runs a command with these words, seen from the home directory. Throws UserError as the command does. */
    async type(command: Command, words = "", more: { env?: Record<string, string>; now?: number } = {}) {
      const written = { stdout: "", stderr: "" };
      const stream = (name: "stdout" | "stderr") => ({
        write(text: string) {
          written[name] += text;
        },
      });
      const env = { HOME: home, PATH: `${bin}:${process.env["PATH"]}`, XDG_RUNTIME_DIR: runtime, ...more.env };
      const here: Host = {
        env,
        cwd: home,
        stdout: stream("stdout"),
        stderr: stream("stderr"),
        now: () => new Date(more.now ?? Date.UTC(2026, 4, 4, 10)),
        interruption: () => new AbortController().signal,
      };
      const argv = words.split(" ").filter((word) => word !== "");
      const code = await command.execute(argv, here, { json: false, verbose: false, printed: false });
      return { code, ...written };
    },
    /** What systemd was asked to do since the last time; questions are left out. */
    told(): string[] {
      const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
      writeFileSync(log, "");
      return lines.filter((line) => line !== "");
    },
    answer,
    property,
    refuse: (command: string, text: string): void => writeFileSync(file("refuses", command), text),
    /** From now on systemd answers as it does when the timer is on. */
    switchOn(): void {
      const answers = { UnitFileState: "enabled", ActiveState: "active", NeedDaemonReload: "no" };
      for (const [name, value] of Object.entries(answers)) property(timer, name, value);
    },
    linger: (): void => answer(`loginctl show-user ${user} -p Linger --value`, "yes"),
  };
}
