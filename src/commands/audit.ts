import type { Audit } from "../app/audit.ts";
import { count, isoTime, visible } from "../core/describe.ts";
import { formatDuration } from "../core/durations.ts";
import { type ExitCode, exitCode } from "../core/errors.ts";
import { dbFlag } from "../queue/location.ts";
import { duration, option } from "./argv.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";
import { type Paint, painter } from "./paint.ts";

export default command({
  name: "audit",
  about:
    "Proves from git alone that every project that says merged is merged: inside its target, exactly once, with nothing dropped, not reverted since, tagged, and on the remote if it was pushed. Only reads. Ends with 4 when something is untrue.",
  args: {
    since: option("TIME", "only what was merged in this time: 24h, 7d, 12w", duration),
  },
  examples: [
    ["audit", "Everything that says merged."],
    ["audit --since 24h", "What was merged in the last day."],
    ["audit --json | jq '.wrong'", "For scripts: the same as one JSON document."],
  ],
  async run(context) {
    const now = context.now().getTime();
    const { since } = context.args;
    const config = await context.config();
    const { location, source } = await context.database();
    return await withQueue(context, "read", async (queue): Promise<ExitCode> => {
      const { audit } = await import("../app/audit.ts");
      const result = await audit(
        {
          queue,
          config,
          env: context.env,
          signal: context.interruption(),
          options: source === "--db" ? ` ${dbFlag(location)}` : "",
          now,
        },
        since === undefined ? null : now - since,
      );
      if (context.json) context.printJson(auditJson(result));
      else context.print(describe(result, since, painter(context.color)).join("\n"));
      return result.wrong.length > 0 ? exitCode.failed : exitCode.ok;
    });
  },
});

const auditJson = ({ since, checked, proved, unproved, wrong }: Audit): object => ({
  since: isoTime(since),
  checked,
  proved,
  unproved: unproved.map(({ id, what, why }) => ({ id, what, why })),
  wrong: wrong.map(({ id, what }) => ({ id, what })),
});

/** What is wrong line by line, each with the next command; what could not be proved together where the reason is the same; the sum. */
function describe(result: Audit, since: number | undefined, paint: Paint): string[] {
  if (result.checked === 0)
    return [since === undefined ? "No project says merged." : "No project was merged in that time."];
  const lines: string[] = [];
  for (const { id, name, what, next } of result.wrong) {
    lines.push(`❌ ${id} ${visible(name)}: ${paint("bad", what)}`, `     ${next}`);
  }
  const reasons = new Map<string, number[]>();
  for (const { id, what, why } of result.unproved) {
    const reason = `${what}: ${why}`;
    reasons.set(reason, [...(reasons.get(reason) ?? []), id]);
  }
  for (const [reason, ids] of reasons) {
    lines.push(`❔ ${listed(ids)}: could not prove ${paint("hold", reason)}`);
  }
  const sum = `${result.proved} proved, ${result.notProvable} not provable, ${result.untrue} wrong`;
  const of = `${count(result.checked, "project")}${since === undefined ? "" : `, last ${formatDuration(since)}`}`;
  return [...lines, ...(lines.length === 0 ? [] : [""]), `${sum} ${paint("faint", `(${of})`)}`];
}

/** `3, 7 and 12 more`: a queue with years of history has more than anybody reads; --json has them all. */
function listed(ids: readonly number[]): string {
  const shown = ids.slice(0, 10).join(", ");
  return ids.length > 10 ? `${shown} and ${ids.length - 10} more` : shown;
}
