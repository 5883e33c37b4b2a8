import { tmpdir } from "node:os";
import type { Check } from "../app/doctor/check.ts";
import { examine } from "../app/doctor.ts";
import { count, visible } from "../core/describe.ts";
import { type ExitCode, exitCode } from "../core/errors.ts";
import { inspectConfig } from "../host/config.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";
import { type Paint, painter } from "./paint.ts";

const signs = { ok: ["✔", "good"], warn: ["⚠", "hold"], fail: ["✖", "bad"] } as const;

export default command({
  name: "doctor",
  about:
    "Checks what a run needs: git, configuration, database, the units and their timer, linger, the clock, what killed runs have left, " +
    "the remotes of recent repositories. Each thing that is not well has its fix. Changes nothing. Ends with 0 when nothing fails " +
    "(warnings may be there), 3 when the database fails, else 2.",
  args: {},
  examples: [["doctor", "Why does nothing land?"]],
  async run(context): Promise<ExitCode> {
    const { env, cwd } = context;
    const checks = await examine({
      env,
      git: {
        env,
        runId: "doctor",
        timeoutMs: 10_000,
        signal: context.interruption(),
        cwd: tmpdir(),
        count: { processes: 0 },
      },
      now: context.now().getTime(),
      inspectConfig: () => inspectConfig({ flag: context.configFlag, env, cwd }),
      database: context.database,
      // For writing, as a run opens it: what cannot be written fails here. Nothing is written.
      withQueue: (work) => withQueue(context, "write", work),
      progress: context.progress,
    });
    if (context.json) context.printJson({ checks });
    else context.print(describe(checks, painter(context.color)));
    return codeOf(checks);
  },
});

/** CONTRACT 3: 3 is the queue database; everything else that fails is the host or its configuration, 2. */
function codeOf(checks: readonly Check[]): ExitCode {
  const failures = checks.filter(({ state }) => state === "fail");
  if (failures.length === 0) return exitCode.ok;
  return failures.some(({ name }) => name === "database") ? exitCode.database : exitCode.usage;
}

function describe(checks: readonly Check[], paint: Paint): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.map(({ name, state, says, fix }) => {
    const [sign, style] = signs[state];
    const line = `${paint(style, sign)} ${state.padEnd(4)}  ${name.padEnd(width)}  ${visible(says)}`;
    return fix === null ? line : `${line}  ${paint("strong", `→ ${visible(fix)}`)}`;
  });
  const bad = checks.filter(({ state }) => state === "fail").length;
  const doubtful = checks.filter(({ state }) => state === "warn").length;
  const sum = [bad > 0 ? `${bad} failed` : "", doubtful > 0 ? count(doubtful, "warning") : ""].filter(
    (word) => word !== "",
  );
  return [...lines, "", sum.length === 0 ? "All is well." : sum.join(", ")].join("\n");
}
