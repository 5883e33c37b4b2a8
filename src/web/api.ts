/** What the page is told, as JSON: written by commands/dashboard-data.ts, read by page/. All times are unix milliseconds. */

export type State = "pending" | "held" | "failed" | "merged" | "rolled_back" | "skipped" | "not_completed";
export const states: readonly State[] = [
  "failed",
  "held",
  "pending",
  "merged",
  "rolled_back",
  "skipped",
  "not_completed",
];

export type ProjectDocument = {
  readonly id: number;
  readonly name: string;
  readonly state: State;
  /** what the row says where that is no state of ours */
  readonly word: string | null;
  /** when it came to stand there */
  readonly at: number | null;
  readonly reason: string | null;
  readonly detail: string | null;
  /** what a person can do about it */
  readonly advice: string | null;
  readonly target: string | null;
  readonly mergeCommit: string | null;
  readonly push: string | null;
  readonly pushDetail: string | null;
  readonly nextAttemptAt: number | null;
  readonly completedAt: number | null;
  readonly mergedAt: number | null;
  readonly priority: number | null;
  readonly tags: readonly string[];
  readonly attempts: number;
  readonly projectPath: string | null;
  readonly specPath: string | null;
};

export type QueueDocument = {
  readonly matching: number;
  readonly offset: number;
  readonly projects: readonly ProjectDocument[];
};

export type AttemptDocument = {
  readonly id: string;
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly detail: string | null;
  readonly startedAt: number | null;
  readonly landingAt: number | null;
  readonly recordedAt: number | null;
  readonly finishedAt: number | null;
  readonly target: string | null;
  readonly base: string | null;
  readonly mergeCommit: string | null;
  readonly backup: string | null;
  readonly tag: string | null;
  readonly push: string | null;
  readonly heads: readonly { readonly role: string; readonly oid: string; readonly place: string | null }[];
  readonly gates: readonly { readonly name: string; readonly verdict: string; readonly durationMs: number | null }[];
  readonly conflicts: readonly string[];
  readonly warnings: readonly string[];
  readonly output: string | null;
};

export type StoryDocument = { readonly project: ProjectDocument; readonly history: readonly AttemptDocument[] };

export type OverviewDocument = {
  readonly now: number;
  readonly version: string;
  readonly database: string;
  readonly counts: Readonly<Record<State, number>>;
  readonly since: number;
  readonly merged: number;
  readonly failed: number;
  readonly successRate: number | null;
  readonly mergedLast24h: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly reasons: readonly { readonly reason: string; readonly failed: number }[];
  readonly perDay: readonly { readonly day: string; readonly merged: number; readonly failed: number }[];
  readonly ended: readonly {
    readonly id: number;
    readonly name: string;
    readonly at: number;
    readonly outcome: "merged" | "already_merged" | "merge_failed";
    readonly reason: string | null;
    readonly timeToLandMs: number | null;
  }[];
  readonly lastTick: number | null;
  readonly healthy: boolean;
  readonly pushesOwed: number;
  readonly running: boolean;
};

/** What the page wants to see of the queue; no states are all of them. */
export type QueueQuery = {
  readonly states: ReadonlySet<State>;
  readonly search: string;
  readonly offset: number;
  readonly limit: number;
};

export type Health = { readonly healthy: boolean; readonly lastTick: number | null; readonly because: string };

/** Where the server has everything from. What a function throws as UserError is told as 503 with its sentence. */
export type Source = {
  overview(sinceMs: number): Promise<OverviewDocument>;
  queue(query: QueueQuery): Promise<QueueDocument>;
  /** undefined: no such project */
  story(id: number): Promise<StoryDocument | undefined>;
  /** in Prometheus' text format */
  metrics(): Promise<string>;
  health(): Promise<Health>;
  /** another number whenever something was written */
  version(): Promise<number>;
};
