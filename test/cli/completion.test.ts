import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { cli, run } from "../helpers/cli.ts";
import { temporaryDirectory } from "../helpers/directory.ts";

type Shell = "bash" | "zsh" | "fish";

/**
 * Whether a shell can be tried here; Debian's package of it is installed where that is allowed. With CI set it throws instead of saying
 * no: a suite that is skipped must not look like one that passed.
 */
function haveShell(shell: Shell): boolean {
  const missing = (): boolean => spawnSync(shell, ["--version"]).status !== 0;
  if (missing() && process.getuid?.() === 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const install = () => spawnSync("apt-get", ["install", "-y", "-q", shell], { env }).status === 0;
    if (!install()) {
      spawnSync("apt-get", ["update", "-q"], { env });
      install();
    }
  }
  if (!missing()) return true;
  if (process.env["CI"]) throw new Error(`${shell} is missing: apt-get install ${shell}`);
  console.warn(`${shell} is missing: its completion is not tried (apt-get install ${shell}).`);
  return false;
}

async function script(shell: Shell): Promise<string> {
  const { code, stdout, stderr } = await cli(["completion", shell]);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

/** A directory with things to complete, and a program that only takes down, a line a call, what it was called with. */
function world() {
  const home = temporaryDirectory({
    "work/spec file.md": "",
    "work/it's:odd.toml": "",
    "work/sub/inner.db": "",
    "work/wonder/x": "",
  });
  const got = join(home, "got");
  const stand = join(home, "orchestrator-merge");
  writeFileSync(stand, `#!/bin/sh\n{ printf '<%s>' "$@"; echo; } >> '${got}'\n`);
  chmodSync(stand, 0o755);
  symlinkSync("orchestrator-merge", join(home, "qs"));
  const path = `${home}:/usr/local/bin:/usr/bin:/bin`;
  const env = { HOME: home, PATH: path, TERM: "dumb", LC_ALL: "C.UTF-8", PS1: "$ ", SHELL: "/bin/sh" };
  return { home, work: join(home, "work"), got, env };
}

/** A line that is typed, its last word apart, and what that word is completed to, in order; itself when that is nothing. */
type Line = readonly [before: string, word: string, completions: readonly string[]];

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * Types each line into an interactive shell on a terminal, then TAB, which is bound to insert everything that is offered, then Enter;
 * gives what the program was called with for each. `setup` is read first.
 */
async function typed(shell: "bash" | "zsh", setup: string, lines: readonly Line[]): Promise<readonly string[]> {
  const { home, work, got, env } = world();
  for (const name of ["script", "_orchestrator-merge"]) writeFileSync(join(home, name), await script(shell));
  writeFileSync(join(home, "setup"), setup);
  const interactive = shell === "bash" ? "bash --noprofile --norc -i" : "zsh -f -i";
  const input = [`. ${home}/setup`, ...lines.map(([before, word]) => `${before}${word}\t`), "exit", ""].join("\n");
  const { stdout } = await run("script", ["-qec", interactive, "/dev/null"], { cwd: work, env, stdin: input });
  if (!existsSync(got)) throw new Error(`${shell} called nothing:\n${stdout}`);
  return readFileSync(got, "utf8").trimEnd().split("\n");
}

/** What the program is called with when the completions of each line are written out. */
async function written(lines: readonly Line[]): Promise<readonly string[]> {
  const { work, got, env } = world();
  const whole = lines.map(
    ([before, word, found]) => before + (found.length > 0 ? found : [word]).map(quoted).join(" "),
  );
  await run("sh", ["-c", whole.map((line) => line.replace(/ ''$/, "")).join("\n")], { cwd: work, env });
  return readFileSync(got, "utf8").trimEnd().split("\n");
}

/** What fish offers at the end of each line: the word, and after a tab what is said of it. */
async function offered(lines: readonly Line[]): Promise<readonly (readonly string[])[]> {
  const { home, work, env } = world();
  writeFileSync(join(home, "script"), await script("fish"));
  const ask = "source ~/script; for line in $argv; complete -C $line; echo end; end";
  const words = lines.map(([before, word]) => before + word);
  const { stdout, stderr } = await run("fish", ["--no-config", "-c", ask, ...words], { cwd: work, env });
  expect(stderr).toBe("");
  return stdout.split(/^end\n/m).map((part) => part.split("\n").slice(0, -1).sort());
}

const insertAll = {
  bash: `bind '"\\t": insert-completions'\n`,
  zsh: `autoload -Uz compinit && compinit -u -D
    all() { _main_complete; compstate[insert]=all }
    zle -C all complete-word all; bindkey '^I' all\n`,
};
const setups: Readonly<Record<"bash" | "zsh", readonly (readonly [how: string, setup: string])[]>> = {
  bash: [
    ["source, set -u", `set -u; source <(cat ~/script); ${insertAll.bash}`],
    [
      "source, no : in COMP_WORDBREAKS",
      `source <(cat ~/script); COMP_WORDBREAKS=\${COMP_WORDBREAKS//:}; ${insertAll.bash}`,
    ],
  ],
  zsh: [
    ["source, setopt nounset", `setopt nounset; ${insertAll.zsh}source <(cat ~/script)\n`],
    ["a file of fpath", `fpath=(~ $fpath); ${insertAll.zsh}`],
  ],
};

const lines: readonly Line[] = [
  ["orchestrator-merge ", "stat", ["stats", "status"]],
  ["orchestrator-merge ", "unin", ["uninstall"]],
  ["orchestrator-merge --db 'a b' ", "unin", ["uninstall"]],
  ["orchestrator-merge --db libsql://h:8080 ", "unin", ["uninstall"]],
  ['orchestrator-merge --db "it\'s" -q ', "unin", ["uninstall"]],
  ["orchestrator-merge --db=status ", "unin", ["uninstall"]],
  ["orchestrator-merge status ", "--me", ["--merge-failed", "--merged"]],
  ["orchestrator-merge status ", "--verb", ["--verbose"]],
  ["orchestrator-merge retry ", "--merg", []],
  ["orchestrator-merge config ", "", ["check", "schema", "show"]],
  ["orchestrator-merge config ", "sc", ["schema"]],
  ["orchestrator-merge config show ", "sc", []],
  ["orchestrator-merge completion ", "f", ["fish"]],
  ["orchestrator-merge status --color ", "a", ["always", "auto"]],
  ["orchestrator-merge status ", "--color=ne", ["--color=never"]],
  ["orchestrator-merge stats --format ", "j", ["json"]],
  ["orchestrator-merge --color never migrate --baseline ", "", ["now"]],
  ["orchestrator-merge status --limit ", "", []],
  ["orchestrator-merge status --db ", "s", ["spec file.md", "sub"]],
  ["orchestrator-merge config check --config ", "it", ["it's:odd.toml"]],
  ["orchestrator-merge status ", "--db=sub/", ["--db=sub/inner.db"]],
  ["orchestrator-merge add --project ", "w", ["wonder"]],
  ["orchestrator-merge add --tag a:b --worktree ", "s", ["sub"]],
  ["orchestrator-merge add --spec ", "sp", ["spec file.md"]],
  ["orchestrator-merge ", "'unin", ["uninstall"]],
  ["orchestrator-merge --db ", '"spec f', ["spec file.md"]],
  ["qs ", "--me", ["--merge-failed", "--merged"]],
  ["qs --limit 3 ", "--hel", ["--held", "--help"]],
];

/** Each command and each option that the help names: what has been forgotten here would not be completed. */
async function linesOfHelp(): Promise<readonly Line[]> {
  const help = async (...words: readonly string[]) => (await cli([...words, "--help"])).stdout;
  const names = [...(await help()).matchAll(/^ {2}([a-z]+) {2}/gm)].map((match) => match[1] ?? "").sort();
  const ofCommand = names.map(async (name): Promise<Line> => {
    const options = [...(await help(name)).matchAll(/^ {2}(?:-\w,| {3}) (--[a-z-]+)/gm)].map((match) => match[1] ?? "");
    return [`orchestrator-merge ${name} `, "--", options.sort()];
  });
  return [["orchestrator-merge ", "", names], ...(await Promise.all(ofCommand))];
}

let all: readonly Line[] = [];
beforeAll(async () => {
  all = [...lines, ...(await linesOfHelp())];
  expect(all.length).toBeGreaterThan(lines.length + 10);
});

describe.each(["bash", "zsh"] as const)("%s", (shell) => {
  test.runIf(haveShell(shell)).each(setups[shell])("completes each line, by %s", async (_, setup) => {
    const [got, wanted] = [await typed(shell, setup, all), await written(all)];
    const shown = (called: readonly string[]) => all.map(([before, word], index) => [before + word, called[index]]);
    expect(shown(got)).toEqual(shown(wanted));
    expect(got).toHaveLength(all.length);
  });
});

describe.runIf(haveShell("fish"))("fish", () => {
  test("completes each line", async () => {
    const got = await offered(all);
    const words = (index: number) => got[index]?.map((line) => line.replace(/\/?(\t.*)?$/, ""));
    expect(all.map(([before, word], index) => [before, word, words(index)])).toEqual(all);
  });

  test("says what each is", async () => {
    const got = await offered([
      ["orchestrator-merge ", "aud", []],
      ["orchestrator-merge retry ", "--ro", []],
    ]);
    expect(got.slice(0, 2)).toEqual([
      ["audit\tprove from git what says merged"],
      ["--roles\tland only these agents' work"],
    ]);
  });
});

describe("completion", () => {
  test("of an unknown shell is bad usage, and names those that are known", async () => {
    expect(await cli(["completion", "powershell"])).toEqual({
      code: 2,
      stdout: "",
      stderr: 'error: bash|zsh|fish does not take "powershell".\n       Give one of: bash, zsh, fish.\n',
    });
    expect((await cli(["completion"])).stderr).toContain("bash|zsh|fish is missing: the shell.");
  });

  test("with --json is one document that has the script", async () => {
    const { stdout } = await cli(["completion", "zsh", "--json"]);
    expect(JSON.parse(stdout)).toEqual({ schema: 1, shell: "zsh", script: (await script("zsh")).trimEnd() });
  });
});
