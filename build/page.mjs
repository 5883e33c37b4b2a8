// The dashboard's page: each file that is imported as `...?text` becomes a module with its text, scripts and styles as one file each.
import * as fs from "node:fs";
import { dirname, join, relative } from "node:path";
import { inRoot, root } from "./tree.mjs";

/** The settings of the page's own bundles. `node:path` is named by a module of src/core whose use of it the page drops. */
const options = {
  absWorkingDir: root,
  preserveSymlinks: true,
  bundle: true,
  minify: true,
  write: false,
  legalComments: "none",
  platform: "browser",
  target: ["chrome111", "firefox115", "safari16.4"],
  logLevel: "warning",
  plugins: [
    {
      name: "no-node",
      setup(build) {
        build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, external: true, sideEffects: false }));
      },
    },
  ],
};

/** What only the dashboard's server needs of Node. */
const servers = new Set(["node:http", "node:http2", "node:net", "node:stream"]);

/**
 * An import in a module stands at the top of the one file and is loaded by every start: with these four, 25 % of an idle tick. A
 * require() stays where it is, and is done when the dashboard is.
 */
export const lazyServers = {
  name: "lazy-servers",
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      servers.has(path) && kind === "import-statement" ? { path, namespace: "lazy-server" } : undefined,
    );
    build.onLoad({ filter: /./, namespace: "lazy-server" }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

export const pagePlugin = {
  name: "page",
  setup(build) {
    build.onResolve({ filter: /\?text$/ }, ({ path, importer }) => ({
      // Relative: the bundle records it, and must not record where it was built.
      path: relative(root, join(dirname(importer), path.slice(0, -"?text".length))),
      namespace: "page",
    }));
    build.onLoad({ filter: /./, namespace: "page" }, async ({ path }) => {
      if (!/\.(ts|css)$/.test(path)) return { contents: fs.readFileSync(inRoot(path), "utf8"), loader: "text" };
      const made = await build.esbuild.build({
        ...options,
        entryPoints: [path],
        format: path.endsWith(".ts") ? "iife" : undefined,
      });
      return { contents: made.outputFiles[0].text, loader: "text" };
    });
  },
};
