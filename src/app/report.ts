import { visible } from "../core/describe.ts";
import type { Trouble } from "../core/reasons.ts";
import type { Strategy } from "../core/rules.ts";
import { shortName } from "../core/target.ts";
import type { PushState } from "../queue/pushes.ts";
import type { PushReport } from "./push.ts";
import type { Recovered } from "./recover.ts";

/** What came of one project in one tick; the words are those of `run --json`. */
export type Result = {
  readonly id: number;
  readonly name: string;
  readonly outcome: "merged" | "merge_failed" | "held" | "already_merged";
  readonly reason: string | null;
  readonly detail: string | null;
  /** Short branch name. */
  readonly target: string | null;
  /** The last commit of the landing. */
  readonly mergeCommit: string | null;
  /** How it landed, or would; null for what does not. */
  readonly strategy: Strategy | null;
  readonly heads: ReadonlyArray<{ readonly role: string; readonly oid: string }>;
  /** Full ref name. */
  readonly backupRef: string | null;
  readonly tag: string | null;
  push: PushState | null;
  readonly conflicts: readonly string[];
  readonly warnings: readonly string[];
  readonly durationMs: number;
};

export type Report = {
  readonly runId: string;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly dryRun: boolean;
  readonly recovered: readonly Recovered[];
  readonly results: readonly Result[];
  readonly pushes: readonly Omit<PushReport, "moved">[];
  /** Projects whose failure is news: they decide the exit code. */
  readonly newlyFailed: number;
  /** There was something to do, and other runs held all of it. */
  readonly allLeased: boolean;
  /** It ended, by a signal or its time limit, before it had come to everything. */
  readonly cutShort: boolean;
  /** Git processes started. */
  readonly processes: number;
};

/** A run that did nothing, so far. */
export function emptyReport(runId: string, startedAt: number, dryRun: boolean): Report {
  return {
    runId,
    startedAt,
    finishedAt: startedAt,
    dryRun,
    recovered: [],
    results: [],
    pushes: [],
    newlyFailed: 0,
    allLeased: false,
    cutShort: false,
    processes: 0,
  };
}

/** The document of `run --json`, without its schema number. */
export function reportJson(report: Report): object {
  return {
    runId: report.runId,
    startedAt: new Date(report.startedAt).toISOString(),
    finishedAt: new Date(report.finishedAt).toISOString(),
    dryRun: report.dryRun,
    recovered: report.recovered,
    results: report.results,
    pushes: report.pushes.map((push) => ({ ...push, target: shortName(push.target) })),
    summary: summary(report.results),
  };
}

export type Summary = { merged: number; alreadyMerged: number; failed: number; held: number };

export function summary(results: readonly Result[]): Summary {
  const count = (outcome: Result["outcome"]) => results.filter((result) => result.outcome === outcome).length;
  return {
    merged: count("merged"),
    alreadyMerged: count("already_merged"),
    failed: count("merge_failed"),
    held: count("held"),
  };
}

/** A project that did not land, as a result. */
export function missResult(
  project: { id: number; name: string },
  trouble: Trouble,
  more: { target: string | null; heads: readonly { role: string; oid: string }[]; durationMs: number },
): Result {
  return {
    ...project,
    outcome: trouble.outcome,
    reason: trouble.reason,
    detail: trouble.detail,
    target: more.target === null ? null : shortName(more.target),
    mergeCommit: null,
    strategy: null,
    heads: more.heads.map(({ role, oid }) => ({ role, oid })),
    backupRef: null,
    tag: null,
    push: null,
    conflicts: trouble.conflicts ?? [],
    warnings: [],
    durationMs: more.durationMs,
  };
}

/** The line that the log has for a result; these words are grepped for. */
export function logLine(result: Pick<Result, "id" | "name" | "outcome" | "reason" | "detail">): {
  level: "notice" | "error" | "info";
  text: string;
} {
  const who = `project ${result.id}: ${visible(result.name)}`;
  switch (result.outcome) {
    case "merged":
      return { level: "notice", text: `Successfully merged ${who}` };
    case "already_merged":
      return { level: "info", text: `Already merged ${who}` };
    case "merge_failed":
      return { level: "error", text: `Failed to merge project ${result.id}: ${result.reason}: ${result.detail}` };
    case "held":
      return { level: "info", text: `Held ${who}: ${result.reason}: ${result.detail}` };
  }
}
