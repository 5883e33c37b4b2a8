/** What a gate said of a tree, or why it said nothing: 125, a command that is not there, no time left, a dry run. */
export type Verdict = "pass" | "fail" | "timeout" | "unsure" | "late" | "not run";

/** One word of a gate, as it is kept with an attempt. Times are milliseconds. */
export type GateRecord = {
  readonly name: string;
  readonly verdict: Verdict;
  /** null when it was ended by a signal, or never began */
  readonly exitCode: number | null;
  readonly durationMs: number;
  /** the tree it was asked about */
  readonly tree: string;
  /** whether it is an earlier run's */
  readonly remembered: boolean;
  /** where all of its output is */
  readonly outputFile: string | null;
};
