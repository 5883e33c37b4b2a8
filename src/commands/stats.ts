import { isoTime } from "../core/describe.ts";
import { formatDuration } from "../core/durations.ts";
import { exitCode, UserError } from "../core/errors.ts";
import type { Statistics } from "../queue/statistics.ts";
import { readStatistics } from "../queue/statistics.ts";
import { duration, offering, oneOf, option } from "./argv.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";
import { painter } from "./paint.ts";
import { statistics } from "./stats-text.ts";
import { viewWidth } from "./width.ts";

const aWeek = 7 * 86_400_000;

const textOrJson = oneOf("text", "json");
const format = offering<"text" | "json">(textOrJson.offers, (given, label) => {
  if (given !== "prometheus") return textOrJson(given, label);
  throw new UserError(exitCode.usage, `${label} prometheus is not built yet.`, "Use --format json.");
});

export default command({
  name: "stats",
  about:
    "Shows how landing goes: projects by state, merged in the last 24 hours, success rate, time from completion to landing, why merges failed, and each day's history (UTC). Only reads.",
  args: {
    since: option("TIME", "how far back to look: 24h, 7d, 12w (default 7d)", duration),
    format: option("FORMAT", "text or json (the same as --json)", format),
  },
  examples: [
    ["stats", "The last seven days."],
    ["stats --since 24h --json", "The last day, for a script."],
  ],
  async run(context) {
    const now = context.now().getTime();
    const since = context.args.since ?? aWeek;
    return withQueue(context, "read", async (queue) => {
      const read = await readStatistics(queue, now - since, now);
      if (context.json || context.args.format === "json") context.printJson(statisticsJson(read));
      else {
        const view = { width: viewWidth(context), paint: painter(context.color) };
        context.print(statistics(read, formatDuration(since), view).join("\n"));
      }
      return exitCode.ok;
    });
  },
});

const inSeconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

/** CONTRACT 6. */
const statisticsJson = (read: Statistics): object => ({
  since: isoTime(read.since),
  distribution: read.distribution,
  mergedLast24h: read.mergedLast24h,
  successRate: read.successRate,
  timeToLand: { p50Seconds: inSeconds(read.timeToLand.p50Ms), p95Seconds: inSeconds(read.timeToLand.p95Ms) },
  reasons: Object.fromEntries(read.reasons.map(({ reason, failed }) => [reason, failed])),
  perDay: read.perDay,
});
