import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A stand-in for systemd's programs in `<home>/bin`, and the environment of a user who has them first in PATH. It takes down what it is
 * told to do, answers questions from `answers` ("systemctl --user show X -p Y --value" -> text), and fails what `refuses` names. What
 * systemd itself makes of the units is tried in test/systemd.
 */
export function standIn(home: string) {
  const [bin, runtime, log] = [join(home, "bin"), join(home, "runtime"), join(home, "told")];
  for (const directory of [bin, runtime, join(home, "answers"), join(home, "refuses")]) mkdirSync(directory);
  for (const name of ["systemctl", "loginctl", "systemd-analyze"]) {
    const script = `#!/bin/sh
      key=$(echo "${name} $*" | tr '/ ' '__' | cut -c1-200)
      case "$*" in *" show "*|show*) ;; *) echo "${name} $*" >> '${log}' ;; esac
      if test -e '${home}/refuses/'"$key"; then cat '${home}/refuses/'"$key" >&2; exit 1; fi
      if test -e '${home}/answers/'"$key"; then cat '${home}/answers/'"$key"; fi\n`;
    writeFileSync(join(bin, name), script);
    chmodSync(join(bin, name), 0o755);
  }
  const file = (kind: string, command: string): string => join(home, kind, command.replaceAll(/[/ ]/g, "_"));
  return {
    env: { HOME: home, PATH: `${bin}:${process.env["PATH"]}`, XDG_RUNTIME_DIR: runtime },
    units: join(home, ".config", "systemd", "user"),
    state: join(home, ".local", "state", "orchestrator-merge"),
    /** What was asked of it beyond questions, since the last time. */
    told(): string[] {
      const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
      writeFileSync(log, "");
      return lines.filter((line) => line !== "");
    },
    answer: (command: string, text: string): void => writeFileSync(file("answers", command), text),
    refuse: (command: string, text: string): void => writeFileSync(file("refuses", command), text),
  };
}
