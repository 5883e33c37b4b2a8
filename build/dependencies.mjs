// Makes node_modules what package-lock.json says.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { delimiter, relative, resolve } from "node:path";
import { addonFile, BuildError, inRoot, pinnedNode, root, say } from "./tree.mjs";

const readJson = (file) => JSON.parse(fs.readFileSync(file, "utf8"));

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

/**
 * Installs when something is missing or another version; says so in one line. Not with `npm ci`, which wants a lock entry for
 * every operating system's variant of every optional package and fails where a registry carries only some of them; what it
 * promises, exactly the locked versions and nothing else, is looked at afterwards.
 */
export function makeSureOfDependencies() {
  if (!installed()) {
    say("installing what package-lock.json asks for (npm install, half a minute)");
    // No install scripts: none is needed, and whoever clones this should not have to trust 150 packages with a shell.
    const args = [
      "install",
      "--no-save",
      "--ignore-scripts",
      "--include=dev",
      "--include=optional",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
    ];
    // Under `npm test` npm says where it and its Node are. Not a Node of node_modules: npm may delete that.
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
    if (done.status !== 0) throw new BuildError(`npm install failed:\n${done.stdout}${done.stderr}`);
    if (!installed())
      throw new BuildError("package-lock.json does not fit package.json. Run npm install and commit it.");
  }
  for (const file of [pinnedNode, addonFile]) {
    if (fs.existsSync(file)) continue;
    const why =
      process.platform === "linux" && ["x64", "arm64"].includes(process.arch)
        ? "Run npm install --include=optional."
        : `This builds on Linux, x64 or arm64, and this is ${process.platform} ${process.arch}.`;
    throw new BuildError(`${relative(root, file)} is not there. ${why}`);
  }
}
