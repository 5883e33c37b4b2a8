// The two artefacts, each from one bundle of the sources.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { basename, join } from "node:path";
import { brotliCompressSync, constants as zlib } from "node:zlib";
import { lazyServers, pagePlugin } from "./page.mjs";
import { stripElf } from "./strip.mjs";
import { addonFile, BuildError, inRoot, name, pinnedNode, root, toolOrScript } from "./tree.mjs";

/** Modules of dependencies that the artefacts do without. */
const stubs = {
  // The addon is embedded and only ever the glibc one: nothing to detect.
  "detect-libc": "export const familySync = () => null, GLIBC = 'glibc', MUSL = 'musl';",
  // Only the http client is used; the `ws` package that this brings would be a quarter of the bundle.
  "@libsql/isomorphic-ws": "export const WebSocket = globalThis.WebSocket;",
  // zx's preparations for running unbundled under Deno, with import.meta, which the executable's format has not.
  "./deno.js": "",
  // nodemailer's list of file types, 85 KB that every start would read: no mail of ours has a file with it.
  "./mime-types.js": "export const detectMimeType = () => 'application/octet-stream', detectExtension = () => 'bin';",
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
      __VERSION__: JSON.stringify(JSON.parse(fs.readFileSync(inRoot("package.json"), "utf8")).version),
      __ADDON_ARCH__: JSON.stringify(process.arch),
      // Makes `libsql` call load(__dirname) of @neon-rs/load, which is our loader, instead of requiring a package by name.
      "process.env.LIBSQL_JS_DEV": '"1"',
      __dirname: '""',
      // The bundled zx takes globalThis.Deno as a sign that it may require() its own files, which are not there.
      "globalThis.Deno": "undefined",
    },
    plugins: [plugin(loader), lazyServers, pagePlugin],
    // The other one imports node:crypto, 6 % of an idle tick, which needs one id and no hash.
    alias: { ulid: inRoot("node_modules", "ulid", "dist", "browser", "index.js") },
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

/** Puts orchestrator-merge.mjs into `out`, for Node 22 or newer and Deno. `entry` is below the root. */
export async function buildScript(entry, out) {
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

/** Puts the executable into `out`, and what it is made of beside it. `entry` is below the root. */
export async function buildExecutable(entry, out) {
  await bundle(entry, join(out, `${name}.cjs`), "cjs", "addon-executable.ts", threads);
  const config = {
    // Relative: the blob records this path, and must not record where it was built.
    main: `${name}.cjs`,
    output: "blob",
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    // No workers for V8 and no inspector thread: see `threads`. New objects in 2 MB instead of 16: with 20 repositories 108 MB at the
    // most instead of 124, in the same time. "none": NODE_OPTIONS is the person's, for their own programs.
    execArgv: ["--v8-pool-size=0", "--disable-sigusr1", "--max-semi-space-size=2"],
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
