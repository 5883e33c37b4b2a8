import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../helpers/cli.ts";

const root = join(import.meta.dirname, "..", "..");
const names = ["orchestrator-merge", "orchestrator-merge.mjs"] as const;
const deno = join(root, "node_modules", "@deno", `linux-${process.arch}-glibc`, "deno");

const scratch = mkdtempSync(join(tmpdir(), "artefact-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** build.mjs on this Node, the pinned one. */
async function build(...args: string[]): Promise<void> {
  const done = await run(process.execPath, [join(root, "build.mjs"), ...args], { cwd: root });
  if (done.code !== 0) throw new Error(done.stderr);
}

/** The three ways to start the artefacts of a directory. */
const ways: { way: string; command: (directory: string) => [string, ...string[]] }[] = [
  { way: "the executable", command: (directory) => [join(directory, names[0])] },
  { way: "the script under Node", command: (directory) => [process.execPath, join(directory, names[1])] },
  { way: "the script under Deno", command: (directory) => [deno, "run", "-A", join(directory, names[1])] },
];

/** Starts a copy of an artefact from an empty directory, on a host with git and nothing else. */
async function bare(built: string, command: (directory: string) => [string, ...string[]], args: string[]) {
  const host = mkdtempSync(join(scratch, "host-"));
  for (const directory of ["bin", "home", "tool", "cwd"]) mkdirSync(join(host, directory));
  for (const name of names) cpSync(join(built, name), join(host, "tool", name));
  const gits = (process.env["PATH"] ?? "").split(delimiter).map((directory) => join(directory, "git"));
  const git = gits.find((file) => statSync(file, { throwIfNoEntry: false }) !== undefined);
  if (git === undefined) throw new Error("no git in PATH");
  symlinkSync(git, join(host, "bin", "git"));
  const [file, ...words] = command(join(host, "tool"));
  const env = { PATH: join(host, "bin"), HOME: join(host, "home"), DENO_NO_UPDATE_CHECK: "1" };
  const result = await run(file, [...words, ...args], { env, cwd: join(host, "cwd") });
  return { ...result, left: readdirSync(join(host, "cwd")).sort(), home: readdirSync(join(host, "home")) };
}

describe.each(ways)("$way, from an empty directory with only git", ({ command }) => {
  test("says its version, and nothing else", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    const result = await bare(join(root, "dist"), command, ["--version"]);
    expect(result).toMatchObject({ code: 0, stdout: `orchestrator-merge ${version}\n`, stderr: "", left: [] });
  });
});

describe("what every build carries", () => {
  const probes = join(scratch, "probes");
  beforeAll(() => build("--entry", join(root, "test", "fixtures", "probe.ts"), "--out", probes));

  test.each(ways)("$way opens a database and starts git through zx", async ({ way, command }) => {
    const result = await bare(probes, command, ["queue.db"]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    const said: unknown = JSON.parse(result.stdout);
    expect(said).toMatchObject({
      rows: [{ text: "kept" }],
      git: expect.stringMatching(/^git version /),
      http: "function",
    });
    // Main, V8's two that cannot be had away, and the engine's one: the rest of TasksMax is for git.
    if (way === "the executable") expect(said).toMatchObject({ tasks: 4 });
    // The engine was loaded from memory; nothing of it stays behind.
    expect(result.left).toEqual(["queue.db"]);
    expect(result.home).toEqual(way === "the script under Deno" ? [".cache"] : []);
  });
});

test("no start but the dashboard's loads what a server needs of Node", () => {
  const script = readFileSync(join(root, "dist", names[1]), "utf8");
  const loaded = [...script.matchAll(/^import .* from "(node:[\w/]+)";$/gm)].map(([, name]) => name);
  expect(loaded).toContain("node:fs");
  for (const name of ["node:http", "node:http2", "node:net", "node:stream"]) expect(loaded).not.toContain(name);
});

describe("building", () => {
  // Copies of the sources, so that this holds while somebody edits them, and wherever a clone lies.
  const clones = ["here", "or-there"].map((name) => join(scratch, name));
  beforeAll(() => {
    for (const clone of clones) {
      for (const part of ["src", "systemd", "build", "build.mjs", "package.json", "package-lock.json"]) {
        if (existsSync(join(root, part))) cpSync(join(root, part), join(clone, part), { recursive: true });
      }
      symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
    }
  });
  const buildClone = async (clone: string) =>
    expect(await run(process.execPath, [join(clone, "build.mjs")], { cwd: clone })).toMatchObject({ code: 0 });

  test("gives the same bytes wherever it is done, does nothing when nothing changed, and repairs what was damaged", async () => {
    for (const clone of clones) await buildClone(clone);
    const [one, two] = clones.map((clone) => names.map((name) => join(clone, "dist", name)));
    const bytes = one?.map((file) => readFileSync(file));
    const same = () => two?.map((file, index) => readFileSync(file).equals(bytes?.[index] ?? Buffer.of()));
    const inodes = () => two?.map((file) => statSync(file).ino);
    expect(same()).toEqual([true, true]);

    const before = inodes();
    await buildClone(clones[1] ?? "");
    expect(inodes()).toEqual(before);

    writeFileSync(two?.[1] ?? "", "");
    await buildClone(clones[1] ?? "");
    expect(same()).toEqual([true, true]);
  });

  test("--run starts a TypeScript file on the pinned Node and ends as it ended", async () => {
    const script = join(scratch, "seven.ts");
    writeFileSync(
      script,
      "const code: number = 7;\nconsole.log(process.version, ...process.argv.slice(2));\nprocess.exit(code);\n",
    );
    const result = await run(process.execPath, [join(root, "build.mjs"), "--run", script, "--deps", "a b"], {
      cwd: root,
    });
    expect(result).toEqual({ code: 7, stdout: `${process.version} --deps a b\n`, stderr: "" });
  });

  test.each([
    { args: ["--run", "no-such-tool"], says: /no tool "no-such-tool"/ },
    { args: ["--run"], says: /needs a tool/ },
    { args: ["--sideways"], says: /unknown option --sideways/ },
  ])("refuses $args in one sentence", async ({ args, says }) => {
    const result = await run(process.execPath, [join(root, "build.mjs"), ...args], { cwd: root });
    expect(result).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(says) });
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
  });
});
