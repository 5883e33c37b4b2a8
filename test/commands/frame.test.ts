import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Args, Positionals } from "../../src/commands/argv.ts";
import { count, countOrAll, duration, flag, list, oneOf, option, projectId, text } from "../../src/commands/argv.ts";
import type { Context, Host } from "../../src/commands/frame.ts";
import { command } from "../../src/commands/frame.ts";
import { temporaryDirectory } from "../helpers/directory.ts";

const colors = oneOf("red", "green");
const args = {
  dryRun: flag("nothing is written"),
  limit: option("N|all", "how many", countOrAll),
  max: option("N", "at most", count),
  only: list("ID", "these", projectId, ","),
  tag: list("T", "tags", text),
  within: option("D", "time", duration),
  paint: option("C", "colour", colors),
} as const satisfies Args;
const ids: Positionals<number> = { value: "ID", about: "projects", parse: projectId, min: 0, max: 3 };

/** Runs a command of these arguments and gives what it saw, and what it wrote. */
async function see(
  words: readonly string[],
  body?: (context: Context<typeof args, number>) => Promise<void>,
  isTTY = false,
) {
  const directory = temporaryDirectory();
  const written = { stdout: "", stderr: "", both: "" };
  const stream = (name: "stdout" | "stderr") => ({
    write(words: string) {
      written[name] += words;
      written.both += words;
    },
    isTTY,
    columns: 0, // as a terminal has it that was told no size
  });
  const host: Host = {
    env: { HOME: directory },
    cwd: directory,
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    now: () => new Date(0),
    interruption: () => new AbortController().signal,
  };
  let seen: { args: object; rest: readonly number[] } | undefined;
  const tried = command({
    name: "tried",
    about: "",
    args,
    positionals: ids,
    examples: [],
    async run(context) {
      seen = { args: context.args, rest: context.rest };
      await body?.(context);
    },
  });
  const code = await tried.execute(words, host, { json: false, verbose: false, printed: false });
  return { code, ...seen, ...written, directory };
}

describe("arguments", () => {
  test("nothing given", async () => {
    const { code, args, rest } = await see([]);
    expect(code).toBe(0);
    expect(args).toMatchObject({ dryRun: false, limit: undefined, only: [], tag: [], within: undefined });
    expect(rest).toEqual([]);
  });

  test("what is repeated adds up, what is not is last", async () => {
    const words =
      "3 --only 3,4 --only=5 --tag a,b --tag c --limit 2 --limit all 4 --dry-run --within 1h30m --paint red";
    const { args, rest } = await see(words.split(" "));
    expect(args).toMatchObject({
      dryRun: true,
      limit: "all",
      only: [3, 4, 5],
      tag: ["a,b", "c"],
      within: 5_400_000,
      paint: "red",
    });
    expect(rest).toEqual([3, 4]);
  });

  test("after -- everything is positional", async () => {
    expect((await see(["--dry-run", "--", "7"])).rest).toEqual([7]);
    await expect(see(["--", "--dry-run"])).rejects.toMatchObject({ code: 2 });
  });

  test.each([
    [["--limit", "0"], '--limit does not take "0". Give a whole number from 1 up, or "all".'],
    [["--limit", "x"], '--limit does not take "x". Give a whole number from 1 up, or "all".'],
    [["--limit", "-5"], '--limit does not take "-5". Give a whole number from 1 up, or "all".'],
    [["--limit", "1.5"], '--limit does not take "1.5". Give a whole number from 1 up, or "all".'],
    [["--limit", "1e3"], '--limit does not take "1e3". Give a whole number from 1 up, or "all".'],
    [["--limit", "99999999999999999999"], "--limit does not take"],
    [["--limit"], "--limit needs a value. Write --limit N|all."],
    [["--limit", "--dry-run"], "--limit needs a value. Write --limit N|all."],
    [["--limti", "3"], "unknown flag --limti. Did you mean --limit? orchestrator-merge tried --help lists the flags."],
    [["--dryRun"], "unknown flag --dryRun. Did you mean --dry-run?"],
    [["--dry-run=false"], '--dry-run takes no value. Leave out "false".'],
    [["--no-dry-run"], "unknown flag --no-dry-run. orchestrator-merge tried --help lists the flags."],
    [["--max", "0"], '--max does not take "0". Give a whole number from 1 up.'],
    [["--only", "3,,4"], '--only does not take "". Give the number of a project, as status shows it.'],
    [["--only", "a"], '--only does not take "a". Give the number of a project, as status shows it.'],
    [["--within", "90"], '--within does not take "90". Give a time such as 90s, 5m, 1h30m or 14d.'],
    [["--paint", "gren"], '--paint does not take "gren". Did you mean green? Give one of: red, green.'],
    [["--tag", ""], '--tag does not take "". Give a value that is not empty.'],
    [["x"], 'ID does not take "x". Give the number of a project, as status shows it.'],
    [["1", "2", "3", "4"], 'unexpected argument "4". orchestrator-merge tried --help shows the usage.'],
  ])("%j is refused with exit code 2", async (words, message) => {
    await expect(see(words)).rejects.toMatchObject({ code: 2, message: expect.stringContaining(message) });
  });
});

describe("what a command is given", () => {
  test("--quiet silences remarks, not the result", async () => {
    const speak = async ({ note, print }: Context<typeof args, number>) => {
      note("remark");
      print("result");
    };
    expect(await see([], speak)).toMatchObject({ stdout: "result\n", stderr: "remark\n" });
    expect(await see(["-q"], speak)).toMatchObject({ stdout: "result\n", stderr: "" });
  });

  test("what is in hand is shown at a terminal, and gone before anything else is said", async () => {
    const work = async ({ note, print, progress }: Context<typeof args, number>) => {
      progress("one\x07");
      note("remark");
      progress("two");
      print("result");
      progress("three");
      throw new Error("broken");
    };
    const { both } = await see([], async (context) => work(context).catch(() => {}), true);
    expect(both).toBe("… one\\x07\r\x1b[Kremark\n… two\r\x1b[Kresult\n… three\r\x1b[K");
    expect((await see(["-q"], async (context) => work(context).catch(() => {}), true)).both).toBe("result\n");
  });

  test("a terminal that was told no size has no width", async () => {
    const { stdout } = await see([], async ({ columns, print }) => print(`${columns}`), true);
    expect(stdout).toBe("undefined\n");
  });

  test("one JSON document, with the schema's number, and never a second", async () => {
    const { stdout } = await see(["--json"], async ({ json, printJson }) => printJson({ json }));
    expect(JSON.parse(stdout)).toEqual({ schema: 1, json: true });
    const twice = see(["--json"], async ({ printJson }) => {
      printJson({});
      printJson({});
    });
    await expect(twice).rejects.toThrow("already has a document");
  });

  test("-v says once which files are used", async () => {
    const { stderr, directory } = await see(["-v", "--db", "q.db"], async ({ config, database }) => {
      await Promise.all([config(), database(), database()]);
    });
    expect(stderr).toBe(`config    none, all defaults\ndatabase  ${directory}/q.db (--db)\n`);
  });

  test("the log is beside the database, and stderr hears it too", async () => {
    const { stderr, directory } = await see(["--db", "sub/q.db"], async ({ log }) => (await log()).info("event"));
    expect(readFileSync(join(directory, "sub/logs/auto_merge.log"), "utf8")).toBe(
      "1970-01-01T00:00:00.000Z INFO   event\n",
    );
    expect(stderr).toBe("[info] event\n");
  });
});
