import type { Histogram, Metrics } from "../core/metrics.ts";
import { failures, holds } from "../core/reasons.ts";

/** One metric: its samples have the labels and the value of each; a histogram is already taken apart into its series. */
type Family = {
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
};
type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number; readonly suffix?: string };

/**
 * The metrics in Prometheus' text format, https://prometheus.io/docs/instrumenting/exposition_formats/. Every known reason is there,
 * with 0 too: a series that begins at 1 has no increase. `now` in unix milliseconds.
 */
export function prometheusText(metrics: Metrics, version: string, now: number): string {
  return families(metrics, version, now)
    .flatMap(({ name, type, help, samples }) => {
      const full = `orchestrator_merge_${name}`;
      return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...samples.map((sample) => line(full, sample))];
    })
    .concat("")
    .join("\n");
}

function families(metrics: Metrics, version: string, now: number): Family[] {
  const { projects, landings, owed, leases, lastTick } = metrics;
  const one = (value: number): Sample[] => [{ value }];
  return [
    {
      name: "build_info",
      type: "gauge",
      help: "1, with the version of the program that answered.",
      samples: [{ labels: { version }, value: 1 }],
    },
    {
      name: "projects",
      type: "gauge",
      help: "Projects of the queue by where they stand.",
      samples: Object.entries(projects).map(([state, value]) => ({ labels: { state }, value })),
    },
    {
      name: "projects_held",
      type: "gauge",
      help: "Projects that are held now, by reason.",
      samples: byLabel("reason", holds, metrics.held),
    },
    {
      name: "landings_total",
      type: "counter",
      help: "Attempts that ended with the work in its target: merged by the attempt, or there already.",
      samples: [
        { labels: { outcome: "merged" }, value: landings.merged },
        { labels: { outcome: "already_merged" }, value: landings.alreadyMerged },
      ],
    },
    {
      name: "failures_total",
      type: "counter",
      help: "Attempts that failed, by reason.",
      samples: byLabel("reason", failures, metrics.failures),
    },
    {
      name: "time_to_land_seconds",
      type: "histogram",
      help: "From the completion of a project to its landing.",
      samples: series(metrics.timeToLand, {}),
    },
    {
      name: "attempt_duration_seconds",
      type: "histogram",
      help: "From the begin of an attempt to its outcome.",
      samples: [
        ...series(metrics.attemptDuration.merged, { outcome: "merged" }),
        ...series(metrics.attemptDuration.mergeFailed, { outcome: "merge_failed" }),
      ],
    },
    {
      name: "push_owed_targets",
      type: "gauge",
      help: "Branches that a remote lacks something of, by the state of their push.",
      samples: byLabel("state", ["pending", "withheld", "refused"], owed.targets),
    },
    {
      name: "push_owed_oldest_age_seconds",
      type: "gauge",
      help: "How long ago the oldest landing was recorded that a remote still lacks; 0 when it lacks none.",
      samples: one(owed.oldest === null ? 0 : Math.max(0, now - owed.oldest) / 1000),
    },
    {
      name: "leases",
      type: "gauge",
      help: "Repositories that a run holds now (or held when it was killed), and those that are free.",
      samples: [
        { labels: { state: "held" }, value: leases.held },
        { labels: { state: "free" }, value: leases.free },
      ],
    },
    {
      name: "last_successful_tick_timestamp_seconds",
      type: "gauge",
      help: "When a tick last ended well, with or without work, in unix seconds; 0 before the first.",
      samples: one((lastTick ?? 0) / 1000),
    },
  ];
}

/** A sample for every known value of the label and for every other one that is there. */
function byLabel(label: string, known: readonly string[], counts: ReadonlyMap<string, number>): Sample[] {
  const names = new Set([...known, ...counts.keys()]);
  return [...names].map((name) => ({ labels: { [label]: name }, value: counts.get(name) ?? 0 }));
}

/** Buckets count everything up to their bound, and the last one everything. */
function series({ bounds, counts, sum }: Histogram, labels: Readonly<Record<string, string>>): Sample[] {
  let below = 0;
  const buckets = counts.map((count, i): Sample => {
    below += count;
    return { suffix: "_bucket", labels: { ...labels, le: String(bounds[i] ?? "+Inf") }, value: below };
  });
  return [...buckets, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: below }];
}

function line(name: string, { labels = {}, value, suffix = "" }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${suffix}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`;
}

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
