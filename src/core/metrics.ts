/** What a monitor asks of a queue. Times are unix milliseconds; what is counted is counted over all of the history. */
export type Metrics = {
  /** projects by where they stand now */
  readonly projects: Readonly<Record<string, number>>;
  /** projects that are held now, by reason code */
  readonly held: ReadonlyMap<string, number>;
  readonly landings: { readonly merged: number; readonly alreadyMerged: number };
  /** attempts that failed, by reason code */
  readonly failures: ReadonlyMap<string, number>;
  /** from completion to landing, of what was merged and whose completion time is known */
  readonly timeToLand: Histogram;
  /** from the begin of an attempt to its outcome */
  readonly attemptDuration: { readonly merged: Histogram; readonly mergeFailed: Histogram };
  /** targets whose remote lacks something, by push state; the oldest landing that waits, null without one */
  readonly owed: { readonly targets: ReadonlyMap<string, number>; readonly oldest: number | null };
  readonly leases: { readonly held: number; readonly free: number };
  readonly lastTick: number | null;
};

/** `counts[i]` values were at most `bounds[i]` and more than the bound before; one more for those beyond all. In seconds. */
export type Histogram = {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
};
