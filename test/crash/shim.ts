import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/*
 * A `git` that comes first on PATH (and, through GIT_EXEC_PATH, before every git that git starts), so that one process out of all
 * that a run starts can be put under strace: strace's own count of calls is one a process, not one a run.
 */

/** One file-changing call: the n-th invocation of `call` in the `occurrence`-th process of its kind. */
export type Point = { readonly process: string; readonly call: string; readonly nth: number; readonly text: string };

/** The moment before a git process does anything, or after it has done everything and before we know. */
export type Gap = { readonly when: "before" | "after"; readonly process: string };

/**
 * What the next run's git processes meet. `stop` freezes one after a call, `kill` ends it before that call, `pause` freezes the run
 * between two of them.
 */
export type Ambush =
  | { readonly kind: "none" }
  | { readonly kind: "record" }
  | { readonly kind: "pause"; readonly gap: Gap }
  | { readonly kind: "kill" | "stop"; readonly point: Point }
  | { readonly kind: "fail"; readonly point: Point; readonly error: string };

/** System calls that change files, or hand something to another process. openat counts when it creates or truncates. */
const calls = [
  ...["openat", "open", "creat", "write", "pwrite64", "writev", "pwritev", "ftruncate", "truncate", "fallocate"],
  ...["rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "symlink", "symlinkat"],
  ...["mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utime", "utimensat", "copy_file_range", "sendfile"],
];
export const traced = calls.map((call) => `?${call}`).join(",");

const script = (git: string): string => `#!/bin/sh
here=\${0%/*}
state=\${here%/*}/world/shim
name=\${0##*/}
[ "$name" = git ] || set -- "\${name#git-}" "$@"
[ -d "$state" ] || exec ${git} "$@"
export GIT_EXEC_PATH="$here"
verb= skip=
for word do
  if [ -n "$skip" ]; then skip=; continue; fi
  case $word in
    -c | -C) skip=1 ;;
    -*) ;;
    *) verb=$word; break ;;
  esac
done
n=1
while ! mkdir "$state/$verb.$n" 2>/dev/null; do n=$((n + 1)); done
kind=none wanted= call= nth= what=
. "$state/ambush"
case $kind in
  wrong)
    if [ "$verb" = merge ]; then
      # The forbidden order: the ref first, then the files.
      for tip do :; done
      old=$(${git} rev-parse HEAD)
      ${git} update-index -q --refresh >/dev/null
      "$0" update-ref HEAD "$tip" && exec "$0" read-tree -m -u "$old" "$tip"
    fi ;;
esac
if [ "$record" = yes ]; then exec strace -y -o "$state/$verb.$n/trace" -e trace=${traced} ${git} "$@"; fi
if [ "$wanted" = "$verb.$n" ]; then
  case $what in
    before)
      echo "stopped by SIGSTOP" > "$state/hit"
      kill -STOP $$
      exec ${git} "$@" ;;
    after)
      ${git} "$@"
      code=$?
      echo "stopped by SIGSTOP" > "$state/hit"
      kill -STOP $$
      exit $code ;;
  esac
  exec strace -o "$state/hit" -e trace="$call" -e inject="$call:$what:when=$nth" ${git} "$@"
fi
exec ${git} "$@"
`;

/** Writes the directory of shims into `bin`. */
export function writeShim(bin: string): void {
  mkdirSync(bin, { recursive: true });
  const core = execFileSync("git", ["--exec-path"], { encoding: "utf8" }).trim();
  const git = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim();
  const own = ["git", "git-receive-pack", "git-upload-pack"];
  for (const name of own) writeFileSync(join(bin, name), script(git), { mode: 0o755 });
  for (const name of readdirSync(core)) if (!own.includes(name)) symlinkSync(join(core, name), join(bin, name));
}

/** Sets what the git processes of the next run in `world` meet. `wrongOrder` makes `git merge` move the ref before the files. */
export function setAmbush(world: string, ambush: Ambush, wrongOrder = false): void {
  const state = join(world, "shim");
  execFileSync("rm", ["-rf", state]);
  mkdirSync(state);
  const point = "point" in ambush ? ambush.point : null;
  const set = {
    kind: wrongOrder ? "wrong" : "right",
    record: ambush.kind === "record" ? "yes" : "no",
    wanted: point?.process ?? (ambush.kind === "pause" ? ambush.gap.process : ""),
    call: point?.call ?? "",
    nth: String(point?.nth ?? ""),
    what: whatHappens(ambush),
  };
  writeFileSync(
    join(state, "ambush"),
    Object.entries(set)
      .map(([name, value]) => `${name}='${value}'\n`)
      .join(""),
  );
}

function whatHappens(ambush: Ambush): string {
  switch (ambush.kind) {
    case "kill":
      return "signal=KILL";
    case "stop":
      return "signal=STOP";
    case "fail":
      return `error=${ambush.error}`;
    case "pause":
      return ambush.gap.when;
    default:
      return "";
  }
}

/** Whether the process under strace has come to its point. A frozen one says so; a killed one has nothing left to say. */
export function ambushed(world: string): boolean {
  const hit = join(world, "shim", "hit");
  if (!existsSync(hit)) return false;
  const text = readFileSync(hit, "utf8");
  return text.includes("stopped by SIGSTOP") || text.includes("killed by SIGKILL") || text.includes("(INJECTED)");
}

/** The git processes of a recorded run: "merge.1" is the first `git merge`. */
export function processesOf(world: string): string[] {
  const state = join(world, "shim");
  return readdirSync(state)
    .filter((name) => existsSync(join(state, name, "trace")))
    .sort();
}

/** All file-changing calls of all git processes of a recorded run. */
export function recorded(world: string): Point[] {
  const trace = (name: string) => readFileSync(join(world, "shim", name, "trace"), "latin1");
  return processesOf(world).flatMap((name) => pointsOf(name, trace(name)));
}

/** The file-changing calls in what strace wrote of one process (one thread of it: lines may begin with its number). */
export function pointsOf(process: string, trace: string): Point[] {
  const counts = new Map<string, number>();
  const points: Point[] = [];
  for (const line of trace.split("\n")) {
    const match = line.match(/^(?:\d+ +)?([a-z0-9_]+)\((.*)\) += (-?\d+|\?)/s);
    const [, call = "", args = "", result = ""] = match ?? [];
    if (call === "") continue;
    const nth = (counts.get(call) ?? 0) + 1;
    counts.set(call, nth);
    if (!result.startsWith("-") && changes(call, args)) points.push({ process, call, nth, text: line.slice(0, 160) });
  }
  return points;
}

function changes(call: string, args: string): boolean {
  if (args.includes("/dev/null")) return false;
  if (call === "openat" || call === "open") return /O_(WRONLY|RDWR|CREAT|TRUNC)/.test(args);
  return true;
}
