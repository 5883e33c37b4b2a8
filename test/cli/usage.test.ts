import { existsSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { bundle, cli, program, run } from "../helpers/cli.ts";
import { temporaryDirectory } from "../helpers/directory.ts";

const commands = [
  "run",
  "retry",
  "add",
  "status",
  "stats",
  "audit",
  "migrate",
  "config",
  "install",
  "uninstall",
  "doctor",
  "completion",
  "demo",
];
const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));

/** Words that are wrong, with what is said about them: the sentence and the way out. */
const wrong: readonly (readonly [readonly string[], string, string])[] = [
  [["rnu"], 'unknown command "rnu". Did you mean run?', "orchestrator-merge --help lists the commands."],
  [["frobnicate"], 'unknown command "frobnicate".', "orchestrator-merge --help lists the commands."],
  [["toString"], 'unknown command "toString".', "orchestrator-merge --help lists the commands."],
  [["--jsno"], "unknown flag --jsno. Did you mean --json?", "orchestrator-merge --help lists the flags."],
  [["-x", "status"], "unknown flag -x.", "orchestrator-merge --help lists the flags."],
  [
    ["config", "show", "--vebrose"],
    "unknown flag --vebrose. Did you mean --verbose?",
    "orchestrator-merge config --help lists the flags.",
  ],
  [
    ["config", "show", "--configFile", "x"],
    "unknown flag --configFile.",
    "orchestrator-merge config --help lists the flags.",
  ],
  [["config", "show", "--__proto__"], "unknown flag --__proto__.", "orchestrator-merge config --help lists the flags."],
  [["config", "show", "--_"], "unknown flag --_.", "orchestrator-merge config --help lists the flags."],
  [["--no-_", "config"], "unknown flag --no-_.", "orchestrator-merge --help lists the flags."],
  [["config", "show", "-z"], "unknown flag -z.", "orchestrator-merge config --help lists the flags."],
  [["config", "show", "--config"], "--config needs a value.", "Write --config FILE."],
  [["config", "show", "--config", "--quiet"], "--config needs a value.", "Write --config FILE."],
  [["--db"], "--db needs a value.", "Write --db PATH|URL."],
  [["config", "show", "--db="], '--db does not take "".', "Give a value that is not empty."],
  [["config", "show", "--color", "red"], '--color does not take "red".', "Give one of: auto, always, never."],
  [["config", "show", "--quiet=yes"], "--quiet takes no value.", 'Leave out "yes".'],
  [["config"], "show|check|schema is missing: what to do.", "orchestrator-merge config --help shows the usage."],
  [
    ["config", "shwo"],
    'show|check|schema does not take "shwo". Did you mean show?',
    "Give one of: show, check, schema.",
  ],
  [["config", "show", "me"], 'unexpected argument "me".', "orchestrator-merge config --help shows the usage."],
  [
    ["config", "show", "--", "--json"],
    'unexpected argument "--json".',
    "orchestrator-merge config --help shows the usage.",
  ],
];

describe("bad usage is exit code 2, one sentence, a way out, and nothing on stdout", () => {
  test.each(wrong)("%j", async (args, sentence, wayOut) => {
    expect(await cli(args)).toEqual({ code: 2, stdout: "", stderr: `error: ${sentence}\n       ${wayOut}\n` });
  });
});

test("with --json the error is the one document on stdout too", async () => {
  const { code, stdout, stderr } = await cli(["config", "shwo", "--json"]);
  expect(JSON.parse(stdout)).toEqual({
    schema: 1,
    error: {
      code: 2,
      message: 'show|check|schema does not take "shwo". Did you mean show?',
      hint: "Give one of: show, check, schema.",
    },
  });
  expect([code, stderr.split("\n")[0]]).toEqual([
    2,
    'error: show|check|schema does not take "shwo". Did you mean show?',
  ]);
});

test("the script, whose Node would not fit into the limits of the unit, is not installed", async () => {
  const { code, stderr } = await run(process.execPath, [bundle, "install"], { env: { HOME: temporaryDirectory() } });
  expect([code, stderr]).toEqual([2, expect.stringContaining("Run install with the executable")]);
});

test("--version, alone or after a command, is the name and the number", async () => {
  const said = { code: 0, stdout: `orchestrator-merge ${version}\n`, stderr: "" };
  expect(await cli(["--version"])).toEqual(said);
  expect(await cli(["status", "--version"])).toEqual(said);
  expect(await cli(["-v", "--version"])).toEqual(said);
});

describe("--help", () => {
  test("alone and without any words lists the commands, each with one line", async () => {
    const { code, stdout, stderr } = await cli(["--help"]);
    expect([code, stderr]).toEqual([0, ""]);
    for (const name of commands) expect(stdout).toMatch(new RegExp(`^ {2}${name} +[a-z]`, "m"));
    expect(stdout.match(/^Examples:$/m)).not.toBeNull();
    expect(await cli([])).toEqual({ code, stdout, stderr });
    expect(await cli(["help"])).toEqual({ code, stdout, stderr });
  });

  test.each(commands)("of %s shows its usage and examples, however it is asked for", async (name) => {
    const { code, stdout, stderr } = await cli([name, "--help"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`Usage: orchestrator-merge ${name}`);
    expect(stdout).toMatch(new RegExp(`^Examples:\\n {2}orchestrator-merge ${name}`, "m"));
    for (const args of [
      ["help", name],
      [name, "-h"],
      ["--help", name],
      [name, "-vh", "--unknown"],
    ]) {
      expect((await cli(args)).stdout).toBe(stdout);
    }
  });

  test.each([[], ...commands.map((name) => [name])])("%s fits into 80 columns", async (...words) => {
    const { stdout } = await cli([...words, "--help"]);
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test("wants nothing of the host: no configuration is read, no database looked for", async () => {
    expect((await cli(["run", "--help", "--config", "/nonexistent"])).code).toBe(0);
  });
});

test("options may stand before the command, and the last of a kind counts", async () => {
  const directory = temporaryDirectory({ "a.toml": "[run]\nbatch_size = 3\n", "b.toml": "[run]\nbatch_size = 4\n" });
  const args = ["--config", "a.toml", "--json", "config", "show", "--config=b.toml"];
  const { code, stdout } = await cli(args, { cwd: directory });
  expect(code).toBe(0);
  expect(JSON.parse(stdout).file).toBe(join(directory, "b.toml"));
});

test("called by the name qs it is status", async () => {
  const directory = temporaryDirectory();
  const { file, args } = program();
  symlinkSync(args[0] ?? file, join(directory, "qs"));
  const env = { PATH: `${directory}:${dirname(process.execPath)}:/usr/bin:/bin` };
  const { code, stdout } = await run(join(directory, "qs"), ["--help"], { env });
  expect([code, stdout]).toEqual([0, (await cli(["status", "--help"])).stdout]);
  // found in PATH, the name is all that the program is told
  const found = await run("/bin/sh", ["-c", "qs --help"], { env });
  expect(found.stdout).toBe(stdout);
});

describe("config", () => {
  const home = (text?: string) => {
    const directory = temporaryDirectory(text === undefined ? {} : { "orchestrator-merge/config.toml": text });
    return { cwd: directory, env: { HOME: directory, XDG_CONFIG_HOME: directory } };
  };

  test("show says what is in effect and who said so", async () => {
    const options = home('[run]\nbatch_size = 3\nmax_runtime = "8m"\n[[rule]]\nmatch = {name = "x"}\npush = "off"\n');
    const env = { ...options.env, ORCHESTRATOR_MERGE_RUN_MAX_RUNTIME: "7m" };
    const { code, stdout } = await cli(["config", "show", "--db", "q.db"], { ...options, env });
    expect(code).toBe(0);
    expect(stdout).toContain(`file      ${options.cwd}/orchestrator-merge/config.toml\n`);
    expect(stdout).toContain(`database  ${options.cwd}/q.db (--db)\n`);
    expect(stdout).toMatch(/^run.batch_size +3 +config file line 2$/m);
    expect(stdout).toMatch(/^run.max_runtime +"7m" +environment ORCHESTRATOR_MERGE_RUN_MAX_RUNTIME$/m);
    expect(stdout).toMatch(/^push.mode +"auto" +default$/m);
    expect(stdout).toMatch(/^rule +name = "x" -> push = "off" +config file line 4$/m);
    const { rules, settings } = JSON.parse((await cli(["config", "show", "--json"], { ...options, env })).stdout);
    expect(settings).toContainEqual({ key: "run.batch_size", value: 3, source: "config file line 2" });
    expect(rules).toEqual([{ match: { name: "x" }, set: { push: "off" }, source: "config file line 4" }]);
  });

  test("check is 0 without a file and with a right one", async () => {
    expect(await cli(["config", "check"], home())).toMatchObject({ code: 0, stderr: "" });
    expect(await cli(["config", "check"], home("[run]\nbatch_size = 3\n"))).toMatchObject({ code: 0, stderr: "" });
  });

  test("check lists everything that is wrong, and is 2", async () => {
    const options = home("[run]\nbatchsize = 3\n[resolver]\n[log]\nlevel = 5\n");
    const { code, stdout } = await cli(["config", "check"], options);
    const file = `${options.cwd}/orchestrator-merge/config.toml`;
    expect(code).toBe(2);
    expect(stdout.split("\n").filter((line) => line.startsWith(file))).toEqual([
      `${file}:2: unknown key "batchsize" in [run]. Did you mean batch_size?`,
      `${file}:3: [resolver] belongs to a feature that this version does not have yet.`,
      `${file}:5: [log] level does not take 5.`,
    ]);
    const json = await cli(["config", "check", "--json"], options);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout).problems.map(({ line }: { line: number }) => line)).toEqual([2, 3, 5]);
  });

  test("schema is a JSON Schema", async () => {
    const { code, stdout } = await cli(["config", "schema"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: "object", additionalProperties: false });
  });

  test("a wrong configuration stops every other command with exit code 2 and its line", async () => {
    const { code, stdout, stderr } = await cli(["status"], home("[run]\n\nbatch_size = 0\n"));
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^error: .*config\.toml:3: \[run\] batch_size does not take 0\.\n {7}Give a whole number/);
  });

  test("a variable that is no setting is a warning", async () => {
    const { env, cwd } = home();
    const { code, stderr } = await cli(["config", "check"], {
      cwd,
      env: { ...env, ORCHESTRATOR_MERGE_PUSH_MOD: "off" },
    });
    expect(code).toBe(0);
    expect(stderr).toContain("Did you mean ORCHESTRATOR_MERGE_PUSH_MODE?");
  });

  test("-v says which files are used", async () => {
    const { cwd, env } = home("");
    const { stderr } = await cli(["config", "show", "-v"], { cwd, env });
    expect(stderr).toContain(`database  ${cwd}/.local/state/orchestrator-merge/task_queue.db (default)\n`);
    expect(existsSync(join(cwd, ".local"))).toBe(false);
  });

  test("a token in the database URL is refused and shown nowhere", async () => {
    const { code, stdout, stderr } = await cli(["config", "show", "-v", "--json", "--db", "libsql://a:hunter2@host"]);
    expect(code).toBe(2);
    expect(`${stdout}${stderr}`).not.toContain("hunter2");
  });

  test.each([
    [{}, [], false],
    [{ FORCE_COLOR: "1" }, [], true],
    [{ FORCE_COLOR: "0" }, [], false],
    [{ FORCE_COLOR: "1", NO_COLOR: "1" }, [], false],
    [{ NO_COLOR: "1" }, ["--color", "always"], true],
    [{ FORCE_COLOR: "1" }, ["--color=never"], false],
  ])("colour with %j and %j: %s", async (variables, args, colored) => {
    const { cwd, env } = home();
    const { stdout } = await cli(["config", "show", ...args], { cwd, env: { ...env, ...variables } });
    expect(stdout.includes("\x1b[")).toBe(colored);
  });
});

test("in the journal every line of stderr carries its priority", async () => {
  const directory = temporaryDirectory({ stderr: "" });
  const stderr = join(directory, "stderr");
  const { dev, ino } = statSync(stderr, { bigint: true });
  const env = { HOME: directory, JOURNAL_STREAM: `${dev}:${ino}`, ORCHESTRATOR_MERGE_PUSH_MOD: "off", STDERR: stderr };
  const { file, args } = program();
  await run("/bin/sh", ["-c", 'exec 2>>"$STDERR"; "$0" "$@" config check; "$0" "$@" rnu', file, ...args], { env });
  expect(readFileSync(stderr, "utf8")).toMatch(
    /^<4>warning: .*\n<3>error: unknown command .*\n<3> {7}orchestrator-merge/,
  );
});

test("a reader that leaves is no error", async () => {
  const { file, args } = program();
  const script = 'set -o pipefail; "$@" config schema | true';
  const { code, stderr } = await run("bash", ["-c", script, "bash", file, ...args]);
  expect([code, stderr]).toEqual([0, ""]);
});

test("a full disk is an error, told once", async () => {
  const { file, args } = program();
  const { code, stderr } = await run("/bin/sh", ["-c", '"$0" "$@" config schema > /dev/full', file, ...args]);
  expect(code).toBe(1);
  expect(stderr.match(/^error: .*ENOSPC/gm)).toHaveLength(1);
  expect(stderr).not.toContain("    at ");
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
])("%s ends it with %d", async (signal, code) => {
  // a module that is loaded first sends the signal as soon as somebody listens, and keeps the process from ending otherwise
  const sender = `process.on("newListener", (name) => name === "${signal}" && setImmediate(() => process.kill(process.pid, name)));
    setInterval(() => {}, 1000);`;
  const args = ["--import", `data:text/javascript,${encodeURIComponent(sender)}`, bundle, "config", "schema"];
  expect((await run(process.execPath, args)).code).toBe(code);
});
