// Where things lie in a checkout.
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const name = "orchestrator-merge";
export const inRoot = (...parts) => join(root, ...parts);
export const pinnedNode = inRoot("node_modules", `node-linux-${process.arch}`, "bin", "node");
export const addonFile = inRoot("node_modules", "@libsql", `linux-${process.arch}-gnu`, "index.node");

/** Trouble that is told in a sentence, without a stack. */
export class BuildError extends Error {}

/** One line to the person who waits. */
export const say = (line) => process.stderr.write(`build: ${line}\n`);

/** The file behind the name of a development tool, or the script that is named. */
export function toolOrScript(tool) {
  if (/\.[cm]?[jt]s$/.test(tool)) return resolve(tool);
  const link = inRoot("node_modules", ".bin", tool);
  if (existsSync(link)) return realpathSync(link);
  throw new BuildError(`there is no tool "${tool}" among the devDependencies of package.json.`);
}
