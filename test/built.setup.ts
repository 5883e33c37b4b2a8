import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** The tests of the artefacts must not judge yesterday's: brings dist/ up to date, which is quick when it is. */
export default function setup(): void {
  const root = join(import.meta.dirname, "..");
  execFileSync(process.execPath, [join(root, "build.mjs")], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
}
