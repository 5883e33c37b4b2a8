#!/usr/bin/env node
// Makes dist/orchestrator-merge (one executable) and dist/orchestrator-merge.mjs (one script). Runs on a plain Node 20 or newer with
// nothing installed: it installs what package-lock.json says, and hands over to the Node pinned there.
//
//   node build.mjs [--out DIR] [--entry FILE]   build, unless nothing changed
//   node build.mjs --deps                       only make sure of the dependencies
//   node build.mjs --run TOOL|FILE.ts [ARG...]  run a development tool, or a script, on the pinned Node
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { constants } from "node:os";
import { basename, delimiter, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { buildExecutable, buildScript } from "./build/artefacts.mjs";
import { makeSureOfDependencies } from "./build/dependencies.mjs";
import { BuildError, inRoot, name, pinnedNode, root, say, toolOrScript } from "./build/tree.mjs";

/** Runs a script on the pinned Node, gives it our terminal, passes signals on, and ends as it ended. */
async function runPinned(script, args) {
  const path = [dirname(pinnedNode), inRoot("node_modules", ".bin"), process.env.PATH ?? ""].join(delimiter);
  const child = spawn(pinnedNode, [script, ...args], { stdio: "inherit", env: { ...process.env, PATH: path } });
  const forward = (signal) => child.kill(signal);
  // From a terminal the child has had SIGINT already; we only wait for what it makes of it.
  process
    .on("SIGINT", () => {})
    .on("SIGTERM", forward)
    .on("SIGHUP", forward);
  const [code, signal] = await new Promise((done, failed) => {
    child.on("exit", (...end) => done(end)).on("error", failed);
  });
  process.exitCode = code ?? 128 + constants.signals[signal];
}

function filesBelow(directory) {
  if (!fs.existsSync(inRoot(directory))) return [];
  return fs
    .readdirSync(inRoot(directory), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)));
}

/** One hash over everything the artefacts are made of. */
function inputsHash(entry) {
  const files = [
    ...filesBelow("src"),
    ...filesBelow("systemd"),
    ...filesBelow("build"),
    "build.mjs",
    "package.json",
    "package-lock.json",
    entry,
  ];
  const hash = createHash("sha256").update(process.arch);
  for (const file of files.sort()) {
    const bytes = fs.readFileSync(inRoot(file));
    hash.update(`\0${file}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex");
}

const stampFile = (out) => join(out, ".built.json");
const describe = (out) =>
  [name, `${name}.mjs`].map((file) => {
    const { size, mtimeMs, mode } = fs.statSync(join(out, file));
    return [file, size, mtimeMs, mode & 0o777];
  });

function upToDate(out, inputs) {
  try {
    const stamp = JSON.parse(fs.readFileSync(stampFile(out), "utf8"));
    return stamp.inputs === inputs && JSON.stringify(stamp.files) === JSON.stringify(describe(out));
  } catch {
    return false;
  }
}

/** Builds in a directory beside the result and renames, so that what runs now goes on, and nobody sees half a file. */
async function build(out, entry, inputs) {
  const began = performance.now();
  fs.mkdirSync(out, { recursive: true });
  for (const left of fs.readdirSync(out).filter((file) => file.startsWith(".draft-"))) {
    if (!fs.existsSync(`/proc/${left.slice(".draft-".length)}`)) fs.rmSync(join(out, left), { recursive: true });
  }
  const draft = join(out, `.draft-${process.pid}`);
  fs.mkdirSync(draft);
  try {
    await buildScript(entry, draft);
    await buildExecutable(entry, draft);
    fs.rmSync(stampFile(out), { force: true });
    for (const file of [name, `${name}.mjs`]) fs.renameSync(join(draft, file), join(out, file));
    fs.writeFileSync(stampFile(out), JSON.stringify({ inputs, files: describe(out) }));
  } finally {
    fs.rmSync(draft, { recursive: true, force: true });
  }
  const built = relative(process.cwd(), join(out, name));
  say(`${built} and ${basename(built)}.mjs in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

async function main(args) {
  if (args[0] === "--run") {
    if (args[1] === undefined) throw new BuildError("--run needs a tool or a script.");
    makeSureOfDependencies();
    return runPinned(toolOrScript(args[1]), args.slice(2));
  }
  const options = { "--out": inRoot("dist"), "--entry": inRoot("src", "main.ts") };
  let depsOnly = false;
  for (let index = 0; index < args.length; index++) {
    const option = args[index];
    if (option === "--deps") depsOnly = true;
    else if (option in options && args[index + 1] !== undefined) options[option] = resolve(args[++index]);
    else
      throw new BuildError(
        `unknown option ${option}. Usage: node build.mjs [--out DIR] [--entry FILE] | --deps | --run TOOL [ARG...]`,
      );
  }
  makeSureOfDependencies();
  if (depsOnly) return;
  const out = options["--out"];
  const entry = relative(root, options["--entry"]);
  const inputs = inputsHash(entry);
  if (upToDate(out, inputs)) return;
  // The bytes may depend on the Node that compresses them, so it is always the pinned one.
  if (process.execPath !== fs.realpathSync(pinnedNode)) return runPinned(fileURLToPath(import.meta.url), args);
  await build(out, entry, inputs);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
