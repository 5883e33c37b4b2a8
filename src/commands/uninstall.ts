import { visible } from "../core/describe.ts";
import { openServiceManager } from "../host/service-manager.ts";
import { carryOut, describeStep } from "../host/steps.ts";
import { planUninstall } from "../host/uninstall.ts";
import { flag } from "./argv.ts";
import { command } from "./frame.ts";

export default command({
  name: "uninstall",
  about:
    "Stops the timer and removes what install made: the units, and linger if install had switched it on. The queue, its log, and all " +
    "backups, tags and proofs in your repositories stay.",
  args: { dryRun: flag("print what would be removed and run; change nothing") },
  examples: [["uninstall", "From now on nothing lands by itself; run still does it by hand."]],
  async run({ args, env, json, print, printJson, warn }) {
    const manager = await openServiceManager(env);
    const { removed, left, steps } = planUninstall(env, manager);
    const warnings = args.dryRun ? [] : await carryOut(steps, manager);
    if (json) {
      printJson({ dryRun: args.dryRun, removed, left, steps, warnings });
      return;
    }
    for (const warning of warnings) warn(visible(warning));
    const lines = args.dryRun
      ? steps.map(describeStep)
      : removed.map(({ path, backup }) =>
          backup === null ? `Removed ${path}` : `Removed ${path}, which you had changed; a copy: ${backup}`,
        );
    if (steps.length === 0) lines.push("There is nothing of install here.");
    else if (lines.length === 0) lines.push("Removed what was left of an installation whose unit files were gone.");
    print([...lines, ...left.map((path) => `Left ${path}, which install did not write.`)].map(visible).join("\n"));
  },
});
