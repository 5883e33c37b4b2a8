import { isoTime } from "../core/describe.ts";
import { formatDuration } from "../core/durations.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { version } from "../host/version.ts";
import type { Breakdown, Group } from "../queue/breakdown.ts";
import { readBreakdown } from "../queue/breakdown.ts";
import type { Statistics } from "../queue/statistics.ts";
import { readStatistics } from "../queue/statistics.ts";
import { parseCompletion } from "../queue/times.ts";
import { duration, offering, oneOf, option } from "./argv.ts";
import { historyColumns } from "./breakdown-text.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";
import { painter } from "./paint.ts";
import { statistics } from "./stats-text.ts";
import { viewWidth } from "./width.ts";

const aWeek = 7 * 86_400_000;
/** So many projects or repositories are listed by --by, the busiest. */
const mostGroups = 20;

/** How far back: a span, or since when. */
const since = offering<{ readonly ms: number } | { readonly at: number; readonly day: string }>([], (given, label) => {
  const written = given.trim();
  if (!/^\d{4}-/.test(written)) return { ms: duration(given, label) };
  // Days in stats are UTC, so a day begins as they do; a moment without a zone is local, as everywhere.
  const at = parseCompletion(/^[\d-]+$/.test(written) ? `${written}T00:00Z` : written.replace(" ", "T"));
  if (at !== null) return { at, day: written };
  const wayOut = "Give a span such as 24h, 7d or 12w, a day such as 2026-05-01, or a moment such as 2026-05-01T18:00.";
  throw new UserError(exitCode.usage, `${label} ${JSON.stringify(given)} is no moment.`, wayOut);
});

const format = oneOf("text", "json", "prometheus");

export default command({
  name: "stats",
  about:
    "Shows how landing goes: projects by state, merged in the last 24 hours, success rate, time from completion to landing, why merges failed, and each day's history (UTC). Only reads.",
  args: {
    since: option("TIME|DATE", "how far back to look: 24h, 7d, 12w, or since a day (default 7d)", since),
    by: option("WHAT", "each project or each repository as well", oneOf("project", "repository")),
    format: option("FORMAT", "text, json (the same as --json) or prometheus", format),
  },
  examples: [
    ["stats", "The last seven days."],
    ["stats --since 24h --json", "The last day, for a script."],
    ["stats --since 2026-05-01 --by repository", "Since the first of May, where it goes well and where not."],
    ["stats --format prometheus", "For the node exporter's textfile collector; dashboard serves the same at /metrics."],
  ],
  async run(context) {
    const now = context.now().getTime();
    const wanted = context.args.since ?? { ms: aWeek };
    const from = "ms" in wanted ? now - wanted.ms : wanted.at;
    const { by } = context.args;
    if (context.args.format === "prometheus") {
      if (context.json || context.args.since !== undefined || by !== undefined) {
        const other = context.json ? "--json" : by === undefined ? "--since" : "--by";
        const wayOut = `Leave out ${other}: it is a format of its own, and counts over all of the history.`;
        throw new UserError(exitCode.usage, `--format prometheus takes no ${other}.`, wayOut);
      }
      const [{ readMetrics }, { prometheusText }] = await Promise.all([
        import("../queue/metrics.ts"),
        import("../web/prometheus.ts"),
      ]);
      const read = await withQueue(context, "read", readMetrics);
      context.print(prometheusText(read, version, now).trimEnd());
      return exitCode.ok;
    }
    return withQueue(context, "read", async (queue) => {
      const read = await readStatistics(queue, from, now);
      // The little histories begin where there is something to tell.
      const first = read.perDay.find(({ merged, failed }) => merged + failed > 0);
      const begun = Math.max(from, first === undefined ? from : Date.parse(first.day));
      const breakdown =
        by === undefined
          ? undefined
          : await readBreakdown(queue, by, { since: begun, now }, mostGroups, historyColumns);
      if (context.json || context.args.format === "json") context.printJson(statisticsJson(read, breakdown));
      else {
        const view = { width: viewWidth(context), paint: painter(context.color) };
        const period = "ms" in wanted ? formatDuration(wanted.ms) : wanted.day;
        context.print(statistics(read, period, view, breakdown).join("\n"));
      }
      return exitCode.ok;
    });
  },
});

const inSeconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

/** CONTRACT 6. */
const statisticsJson = (read: Statistics, breakdown: Breakdown | undefined): object => ({
  since: isoTime(read.since),
  distribution: read.distribution,
  mergedLast24h: read.mergedLast24h,
  merged: read.merged,
  failed: read.failed,
  successRate: read.successRate,
  timeToLand: { p50Seconds: inSeconds(read.timeToLand.p50Ms), p95Seconds: inSeconds(read.timeToLand.p95Ms) },
  reasons: Object.fromEntries(read.reasons.map(({ reason, failed }) => [reason, failed])),
  topReasons: read.reasons.map(({ reason, failed }) => ({ reason, failed, share: failed / read.failed })),
  perDay: read.perDay,
  ...(read.perHour.length > 0 ? { perHour: read.perHour } : {}),
  ...(breakdown === undefined
    ? {}
    : { by: breakdown.by, total: breakdown.total, groups: breakdown.groups.map(groupJson) }),
});

const groupJson = ({ key, name, merged, failed, p50Ms, p95Ms, topReason, history }: Group): object => ({
  ...(name === null ? { repository: key } : { id: Number(key), name }),
  merged,
  failed,
  successRate: merged / (merged + failed),
  timeToLand: { p50Seconds: inSeconds(p50Ms), p95Seconds: inSeconds(p95Ms) },
  topReason,
  history,
});
