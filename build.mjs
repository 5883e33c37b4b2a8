#!/usr/bin/env node
// Makes dist/orchestrator-merge (one executable) and dist/orchestrator-merge.mjs (one script). Runs on a plain Node 20 or newer with
// nothing installed: it installs what package-lock.json says, then hands over to the Node pinned there.
//
//   node build.mjs [--out DIR] [--entry FILE]   build, unless nothing changed
//   node build.mjs --deps                       only make sure of the dependencies
//   node build.mjs --run TOOL|FILE.ts [ARG...]  run a development tool, or a script, on the pinned Node
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { constants } from "node:os";
import { basename, delimiter, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants as zlib } from "node:zlib";

const root = dirname(fileURLToPath(import.meta.url));
const name = "orchestrator-merge";
const inRoot = (...parts) => join(root, ...parts);
const pinnedNode = inRoot("node_modules", `node-linux-${process.arch}`, "bin", "node");
const addonFile = inRoot("node_modules", "@libsql", `linux-${process.arch}-gnu`, "index.node");

class BuildError extends Error {}
const say = (line) => process.stderr.write(`build: ${line}\n`);
const readJson = (file) => JSON.parse(fs.readFileSync(file, "utf8"));

// --- dependencies -------------------------------------------------------------------------------------------------------------

/** Whether node_modules holds what package-lock.json asks for; npm keeps its own record of what it put there. 10 ms, no npm started. */
function installed() {
  let found;
  try {
    found = readJson(inRoot("node_modules", ".package-lock.json")).packages;
  } catch {
    return false;
  }
  const wanted = readJson(inRoot("package-lock.json")).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const has = found[path];
    // What is optional may rightly be absent: it is for another system.
    if (has === undefined && entry.optional) continue;
    if (has?.version !== entry.version || has.integrity !== entry.integrity) return false;
    if (!fs.existsSync(inRoot(path, "package.json"))) return false;
  }
  return Object.keys(found).every((path) => path in wanted);
}

function makeSureOfDependencies() {
  if (!installed()) {
    say("installing what package-lock.json asks for (npm ci)");
    // No install scripts: none is needed, and whoever clones this should not have to trust 150 packages with a shell.
    const args = [
      "ci",
      "--ignore-scripts",
      "--include=dev",
      "--include=optional",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
    ];
    // Under `npm test` npm says where it and its Node are. Not a Node of node_modules: npm ci begins by deleting that.
    const { npm_execpath: npm, npm_node_execpath: node, PATH = "" } = process.env;
    const known = npm?.endsWith("npm-cli.js") && node !== undefined && !node.startsWith(inRoot("node_modules"));
    const path = PATH.split(delimiter).filter((entry) => !resolve(entry).startsWith(inRoot("node_modules")));
    const done = spawnSync(known ? node : "npm", known ? [npm, ...args] : args, {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, PATH: path.join(delimiter) },
    });
    if (done.error)
      throw new BuildError(`npm could not be started (${done.error.message}). Install Node.js 20 or newer with npm.`);
    if (done.status !== 0) throw new BuildError(`npm ci failed:\n${done.stdout}${done.stderr}`);
  }
  for (const file of [pinnedNode, addonFile]) {
    if (fs.existsSync(file)) continue;
    const why =
      process.platform === "linux" && ["x64", "arm64"].includes(process.arch)
        ? "Run npm ci --include=optional."
        : `This builds on Linux, x64 or arm64, and this is ${process.platform} ${process.arch}.`;
    throw new BuildError(`${relative(root, file)} is not there. ${why}`);
  }
}

// --- running on the pinned Node -----------------------------------------------------------------------------------------------

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

function toolOrScript(tool) {
  if (/\.[cm]?[jt]s$/.test(tool)) return resolve(tool);
  const link = inRoot("node_modules", ".bin", tool);
  if (fs.existsSync(link)) return fs.realpathSync(link);
  throw new BuildError(`there is no tool "${tool}" among the devDependencies of package.json.`);
}

// --- what is built from what --------------------------------------------------------------------------------------------------

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
    const stamp = readJson(stampFile(out));
    return stamp.inputs === inputs && JSON.stringify(stamp.files) === JSON.stringify(describe(out));
  } catch {
    return false;
  }
}

// --- building -----------------------------------------------------------------------------------------------------------------

/** Modules of dependencies that the artefacts do without. */
const stubs = {
  // The addon is embedded and only ever the glibc one: nothing to detect.
  "detect-libc": "export const familySync = () => null, GLIBC = 'glibc', MUSL = 'musl';",
  // Only the http client is used; the `ws` package that this brings would be a quarter of the bundle.
  "@libsql/isomorphic-ws": "export const WebSocket = globalThis.WebSocket;",
  // zx's preparations for running unbundled under Deno, with import.meta, which the executable's format has not.
  "./deno.js": "",
};

const plugin = (loader) => ({
  name: "embedded-addon",
  setup(build) {
    build.onResolve({ filter: /./ }, ({ path }) => (path in stubs ? { path, namespace: "stub" } : undefined));
    build.onLoad({ filter: /./, namespace: "stub" }, ({ path }) => ({ contents: stubs[path], loader: "js" }));
    build.onResolve({ filter: /^@neon-rs\/load$/ }, () => ({ path: inRoot("src", "host", loader) }));
  },
});

// Tasks count against TasksMax, and default Node with the addon is 13 of them on two processors. Both are read when the pool first
// starts, long after this line. What the person sets stays.
const threads = 'process.env.UV_THREADPOOL_SIZE ??= "1"; process.env.TOKIO_WORKER_THREADS ??= "1";';

async function bundle(entry, outfile, format, loader, banner) {
  const esbuild = await import("esbuild");
  const options = {
    absWorkingDir: root,
    // Paths in the output are then those below this directory, even where node_modules is a link.
    preserveSymlinks: true,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    target: "node22",
    format,
    banner: { js: banner },
    define: {
      __VERSION__: JSON.stringify(readJson(inRoot("package.json")).version),
      __ADDON_ARCH__: JSON.stringify(process.arch),
      // Makes `libsql` call load(__dirname) of @neon-rs/load, which is our loader, instead of requiring a package by name.
      "process.env.LIBSQL_JS_DEV": '"1"',
      __dirname: '""',
      // The bundled zx takes globalThis.Deno as a sign that it may require() its own files, which are not there.
      "globalThis.Deno": "undefined",
    },
    plugins: [plugin(loader)],
    loader: { ".service": "text", ".timer": "text" },
    // Whitespace stays: it costs 1 ms of start, and a stack trace with line numbers is worth more.
    minifySyntax: true,
    legalComments: "none",
    logLevel: "warning",
    logOverride: { "empty-import-meta": "error" },
  };
  await esbuild.build(options).catch(() => {
    throw new BuildError("esbuild found the errors above.");
  });
}

async function buildScript(entry, out) {
  const file = join(out, `${name}.mjs`);
  const banner = [
    "#!/usr/bin/env node",
    'import { createRequire as __createRequire } from "node:module";',
    "const require = __createRequire(import.meta.url), __scriptFile = import.meta.filename;",
    threads,
  ].join("\n");
  await bundle(entry, file, "esm", "addon-script.ts", banner);
  const addon = fs.readFileSync(addonFile);
  // Quality 5 takes 0.7 s for 3.6 MB, 9 takes 3.3 s for 3.5 MB, 11 takes 35 s for 3.1 MB.
  const params = {
    [zlib.BROTLI_PARAM_QUALITY]: 5,
    [zlib.BROTLI_PARAM_LGWIN]: 22,
    [zlib.BROTLI_PARAM_SIZE_HINT]: addon.length,
  };
  fs.appendFileSync(file, `/*libsql:${brotliCompressSync(addon, { params }).toString("base64")}*/\n`);
  fs.chmodSync(file, 0o755);
}

async function buildExecutable(entry, out) {
  await bundle(entry, join(out, `${name}.cjs`), "cjs", "addon-executable.ts", threads);
  const config = {
    // Relative: the blob records this path, and must not record where it was built.
    main: `${name}.cjs`,
    output: "blob",
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    // No workers for V8 and no inspector thread: see `threads`. "none": NODE_OPTIONS is the person's, for their own programs.
    execArgv: ["--v8-pool-size=0", "--disable-sigusr1"],
    execArgvExtension: "none",
    assets: { "libsql.node": addonFile },
  };
  fs.writeFileSync(join(out, "sea.json"), JSON.stringify(config));
  // The code cache spares the start 10 ms for every 240 KB of source. It is the same bytes each time only with a fixed seed, which
  // V8 leaves out of the flags that a cache must agree with.
  step(out, pinnedNode, ["--random-seed=1", "--experimental-sea-config", "sea.json"]);
  fs.writeFileSync(join(out, name), stripElf(fs.readFileSync(pinnedNode)));
  fs.chmodSync(join(out, name), 0o755);
  const fuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
  step(out, pinnedNode, [toolOrScript("postject"), name, "NODE_SEA_BLOB", "blob", "--sentinel-fuse", fuse]);
}

function step(cwd, command, args) {
  const done = spawnSync(command, args, { cwd, encoding: "utf8", env: { ...process.env, NODE_OPTIONS: "" } });
  if (done.status !== 0) {
    throw new BuildError(
      `${basename(command)} ${args.join(" ")} failed:\n${done.error ?? ""}${done.stdout}${done.stderr}`,
    );
  }
}

/**
 * What strip(1) does, for the one shape Node's Linux binaries have: symbols and debug information, 18 of 127 MB, lie behind
 * everything that is loaded. Done here because the bytes must not depend on which binutils a host has, if any.
 * Field offsets are those of Elf64_Ehdr and Elf64_Shdr in elf(5).
 */
function stripElf(elf) {
  const word = (at) => Number(elf.readBigUInt64LE(at));
  if (elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1)
    throw new BuildError(`${pinnedNode} is not a 64-bit ELF file.`);
  const [table, size, count, namesIndex] = [
    word(0x28),
    elf.readUInt16LE(0x3a),
    elf.readUInt16LE(0x3c),
    elf.readUInt16LE(0x3e),
  ];
  const headers = Array.from({ length: count }, (_, index) => {
    const at = table + index * size;
    const [noBits, loaded] = [elf.readUInt32LE(at + 4) === 8, (word(at + 8) & 2) !== 0];
    return {
      bytes: elf.subarray(at, at + size),
      loaded,
      start: word(at + 0x18),
      end: word(at + 0x18) + (noBits ? 0 : word(at + 0x20)),
    };
  });
  // Sections refer to each other by index, so the kept ones must be the first ones; index 0 is the empty one.
  const kept = headers.filter((header, index) => index === 0 || header.loaded);
  if (kept.some((header, index) => header !== headers[index]))
    throw new BuildError(`${pinnedNode} has its sections in an unknown order.`);
  const names = headers[namesIndex];
  const align = (at) => Math.ceil(at / 16) * 16;
  const namesAt = align(Math.max(...kept.map((header) => header.end)));
  const tableAt = align(namesAt + names.end - names.start);
  const out = Buffer.alloc(tableAt + (kept.length + 1) * size);
  elf.copy(out, 0, 0, Math.max(...kept.map((header) => header.end)));
  elf.copy(out, namesAt, names.start, names.end);
  for (const [index, header] of [...kept, names].entries()) header.bytes.copy(out, tableAt + index * size);
  out.writeBigUInt64LE(BigInt(namesAt), tableAt + kept.length * size + 0x18);
  out.writeBigUInt64LE(BigInt(tableAt), 0x28);
  out.writeUInt16LE(kept.length + 1, 0x3c);
  out.writeUInt16LE(kept.length, 0x3e);
  return out;
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

// --- command line -------------------------------------------------------------------------------------------------------------

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
