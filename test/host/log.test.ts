import { execFile } from "node:child_process";
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { logAbout, openLog } from "../../src/host/log.ts";
import { logFiles, readEvents } from "../../src/host/log-read.ts";
import { run } from "../helpers/cli.ts";
import { temporaryDirectory } from "../helpers/directory.ts";

type Options = Parameters<typeof openLog>[0];

/** A log in a new directory, with what it wrote to stderr. The clock goes on by a second a line. */
function open(change: Partial<Options> = {}) {
  const file = join(temporaryDirectory(), "logs", "auto_merge.log");
  const said: string[] = [];
  let seconds = 0;
  const log = openLog({
    file,
    maxBytes: 10_000_000,
    level: "info",
    format: "text",
    quiet: false,
    verbose: false,
    color: false,
    env: {},
    stderr: { write: (text: string) => said.push(text), isTTY: false },
    now: () => new Date(Date.UTC(2030, 0, 1, 0, 0, seconds++)),
    ...change,
  });
  return { log, file, said };
}

const files = (file: string): string[] => readdirSync(join(file, "..")).sort();

test("nothing is made before the first line, nor by a line that is dropped", () => {
  const { log, file } = open();
  log.debug("not this");
  expect(existsSync(join(file, ".."))).toBe(false);
  log.info("this");
  expect(files(file)).toEqual(["auto_merge.log"]);
});

test("one line an event: UTC time, level, text; what cannot be seen is escaped", () => {
  const { log, file, said } = open();
  log.notice("Successfully merged project 1: a\nb");
  log.error("\x1b[31mred\x07");
  expect(readFileSync(file, "utf8")).toBe(
    "2030-01-01T00:00:00.000Z NOTICE Successfully merged project 1: a\\nb\n" +
      "2030-01-01T00:00:01.000Z ERROR  \\x1b[31mred\\x07\n",
  );
  expect(said).toEqual(["[notice] Successfully merged project 1: a\\nb\n", "[error] \\x1b[31mred\\x07\n"]);
});

const attempt = "01M82C658EY99Y57AT4NTHQPQY";
const run_ = "01M82C651PW04EZCH5ZVTD337T";

test("what an event is about stands at its end, after whatever the text makes itself look like", () => {
  const { log, file, said } = open();
  const inRun = logAbout(log, { run: run_ });
  inRun.notice("Successfully merged project 4: a run=01M00000000000000000000000", { project: 4, attempt });
  inRun.info("Merge summary: 1 succeeded, 0 failed");
  expect(readFileSync(file, "utf8").split("\n")).toEqual([
    `2030-01-01T00:00:00.000Z NOTICE Successfully merged project 4: a run=01M00000000000000000000000 project=4 attempt=${attempt} run=${run_}`,
    `2030-01-01T00:00:01.000Z INFO   Merge summary: 1 succeeded, 0 failed run=${run_}`,
    "",
  ]);
  // A person at a terminal has no use for them.
  expect(said.join("")).not.toContain("attempt=");
  expect([...readEvents(file, () => true)]).toMatchObject([
    {
      level: "notice",
      text: "Successfully merged project 4: a run=01M00000000000000000000000",
      project: 4,
      attempt,
      run: run_,
    },
    { level: "info", text: "Merge summary: 1 succeeded, 0 failed", project: null, attempt: null, run: run_ },
  ]);
});

test("JSON on request: one object a line, the ids as keys, the phrases as they are", () => {
  const { log, file } = open({ format: "json" });
  log.error('Failed to merge project 4: conflict: "a"\n\x1b[2J', { project: 4, attempt, run: run_ });
  log.info("No projects pending merge");
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
    {
      ...{ time: "2030-01-01T00:00:00.000Z", level: "error", project: 4, attempt, run: run_ },
      text: 'Failed to merge project 4: conflict: "a"\\n\\x1b[2J',
    },
    { time: "2030-01-01T00:00:01.000Z", level: "info", text: "No projects pending merge" },
  ]);
  expect([...readEvents(file, (line) => line.includes("4:"))]).toMatchObject([{ project: 4, attempt, run: run_ }]);
});

test("reading: files put aside come first, foreign lines and files are passed over, long lines and a last one without an end are read", () => {
  const { log, file } = open({ maxBytes: 100 });
  for (let n = 1; n <= 5; n++) log.info(`event ${n}`);
  writeFileSync(
    `${file}.20300101T000000`,
    `2029-12-31T00:00:00.000Z INFO   ${"x".repeat(3_000_000)}\nnot ours\n{"time":1}\n{\n`,
  );
  writeFileSync(`${file}.bak`, "2029-12-31T00:00:00.000Z INFO   no\n");
  appendFileSync(file, "2030-01-02T00:00:00.000Z INFO   cut short");
  const texts = logFiles(file).flatMap((path) => [...readEvents(path, () => true)].map(({ text }) => text));
  expect(texts.map((text) => text.slice(0, 9))).toEqual([
    ...["xxxxxxxxx", "event 1", "event 2", "event 3", "event 4", "event 5", "cut short"],
  ]);
  expect(texts[0]).toHaveLength(3_000_000);
  expect(logFiles("/dev/null")).toEqual([]); // reading a device or a pipe would wait for ever
  expect(logFiles("/nonexistent/x.log")).toEqual([]);
});

test.each([
  [{}, ["error", "warn", "notice", "info"], ["error", "warn", "notice", "info"]],
  [{ quiet: true }, ["error", "warn", "notice", "info"], ["error", "warn"]],
  [{ verbose: true }, ["error", "warn", "notice", "info"], ["error", "warn", "notice", "info", "debug"]],
  [
    { level: "debug" as const },
    ["error", "warn", "notice", "info", "debug"],
    ["error", "warn", "notice", "info", "debug"],
  ],
  [{ level: "warn" as const }, ["error", "warn"], ["error", "warn"]],
  [{ level: "error" as const }, ["error"], ["error"]],
])("with %j the file keeps %j and stderr shows %j", (change, inFile, onStderr) => {
  const { log, file, said } = open(change);
  for (const level of ["error", "warn", "notice", "info", "debug"] as const) log[level](level);
  expect(
    readFileSync(file, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ").at(-1)),
  ).toEqual(inFile);
  expect(said.map((line) => line.trim().split(" ").at(-1))).toEqual(onStderr);
});

test("a terminal gets signs, coloured only when colour is wanted", () => {
  const look = (color: boolean) => {
    const said: string[] = [];
    const { log } = open({ color, stderr: { write: (text: string) => said.push(text), isTTY: true } });
    log.notice("landed");
    log.warn("careful");
    return said.join("");
  };
  expect(look(false)).toBe("✔ landed\n⚠ careful\n");
  expect(look(true)).toBe("\x1b[32m✔\x1b[39m landed\n\x1b[33m⚠\x1b[39m careful\n");
});

test("lines that are equal are all kept, at once", () => {
  const { log, file, said } = open();
  for (let n = 0; n < 20; n++) log.info("again");
  expect(readFileSync(file, "utf8").match(/again\n/g)).toHaveLength(20);
  expect(said).toHaveLength(20);
});

test("a full file is put aside whole, and ten of them are kept", () => {
  const { log, file } = open({ maxBytes: 100 });
  for (let n = 1; n <= 40; n++) log.info(`event ${n}`); // 40 bytes each: two a file
  const names = files(file);
  expect(names).toHaveLength(11);
  const kept = names
    .toSorted((a, b) => (a === "auto_merge.log" ? 1 : b === "auto_merge.log" ? -1 : a < b ? -1 : 1))
    .flatMap((name) => readFileSync(join(file, "..", name), "utf8").match(/event \d+/g) ?? []);
  expect(kept).toEqual(Array.from({ length: 22 }, (_, i) => `event ${i + 19}`));
  for (const name of names) expect(statSync(join(file, "..", name)).size).toBeLessThanOrEqual(100);
});

test("files that other programs keep beside it are not touched", () => {
  const { log, file } = open({ maxBytes: 50 });
  log.info("first");
  for (const name of ["auto_merge.log.1", "auto_merge.log.gz", "other.log"])
    writeFileSync(join(file, "..", name), name);
  for (let n = 0; n < 30; n++) log.info(`event ${n}`);
  expect(files(file)).toEqual(expect.arrayContaining(["auto_merge.log.1", "auto_merge.log.gz", "other.log"]));
});

test("a directory that cannot be made is one warning, and no failure", () => {
  const blocked = join(temporaryDirectory({ file: "" }), "file", "logs", "auto_merge.log");
  const { log, said } = open({ file: blocked });
  log.info("one");
  log.info("two");
  expect(said).toHaveLength(3);
  expect(said[0]).toMatch(/^\[warn\] no log is kept: ENOTDIR.*\n$/);
  expect(said.slice(1)).toEqual(["[info] one\n", "[info] two\n"]);
});

test("a device is written to and never put aside", () => {
  const { log, said } = open({ file: "/dev/null", maxBytes: 10 });
  for (let n = 0; n < 5; n++) log.info("a line that is longer than that");
  expect(said.filter((line) => line.startsWith("[warn]"))).toEqual([]);
  expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
});

/** A program that logs, to be run in a process of its own. */
const writer = (file: string, body: string, maxBytes: number): string[] => [
  "--input-type=module",
  "--eval",
  `import { openLog } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, "../../src/host/log.ts")))};
   const log = openLog({ file: ${JSON.stringify(file)}, maxBytes: ${maxBytes}, level: "debug", format: "text", quiet: true, verbose: false,
     color: false, env: process.env, stderr: process.stderr, now: () => new Date() });
   ${body}`,
];

test("three processes that write and put aside at once lose no line and tear none", async () => {
  const file = join(temporaryDirectory(), "logs", "auto_merge.log");
  const each = 400;
  // 46 bytes a line and 9,000 a file: six or seven files, so that none is old enough to be dropped
  const processes = ["a", "b", "c"].map((name) =>
    run(
      process.execPath,
      writer(file, `for (let n = 0; n < ${each}; n++) log.info(\`\${"${name}"} \${n} end\`);`, 9_000),
    ),
  );
  for (const { code, stderr } of await Promise.all(processes)) expect([code, stderr]).toEqual([0, ""]);
  const lines = files(file).flatMap((name) =>
    readFileSync(join(file, "..", name), "utf8")
      .trimEnd()
      .split("\n"),
  );
  const events = lines.map((line) => /^\d{4}-\S+Z INFO {3}([abc] \d+) end$/.exec(line)?.[1] ?? `torn: ${line}`);
  const wanted = ["a", "b", "c"].flatMap((name) => Array.from({ length: each }, (_, n) => `${name} ${n}`));
  expect(events.toSorted()).toEqual(wanted.toSorted());
  expect(files(file).length).toBeGreaterThan(4);
});

test("under systemd stderr carries priorities, and only when it is the journal's own stream", async () => {
  const directory = temporaryDirectory();
  const stderr = join(directory, "stderr");
  writeFileSync(stderr, "");
  const { dev, ino } = statSync(stderr, { bigint: true });
  const body = 'for (const level of ["error", "warn", "notice", "info", "debug"]) log[level]("x");';
  const said = async (stream: string, how: string) => {
    const args = writer(join(directory, "log"), body, 1000).map((word) =>
      word.replace("quiet: true, verbose: false", how),
    );
    writeFileSync(stderr, "");
    const shell = ["-c", 'exec "$0" "$@" 2>>"$OUT"', process.execPath, ...args];
    await promisify(execFile)("/bin/sh", shell, { env: { JOURNAL_STREAM: stream, OUT: stderr } });
    return readFileSync(stderr, "utf8");
  };
  expect(await said(`${dev}:${ino}`, "quiet: false, verbose: true")).toBe("<3>x\n<4>x\n<5>x\n<6>x\n<7>x\n");
  expect(await said(`${dev}:${ino}`, "quiet: true, verbose: false")).toBe("<3>x\n<4>x\n");
  expect(await said(`${dev}:1`, "quiet: true, verbose: false")).toBe("[error] x\n[warn] x\n");
});
