import { type Command, median, type Peak, timed, watched } from "./measure.ts";

/** One of those that do the same work. */
export type Contender = {
  readonly name: string;
  /** Puts everything back as it was before any run; not timed. */
  prepare(): Promise<void>;
  readonly command: Command;
  /** Throws unless the run did the whole work. */
  check(stdout: string): Promise<void>;
};

/** What is compared: the first contender is ours, the second the one it is measured against. */
export type Scenario = {
  readonly name: string;
  readonly rounds: number;
  readonly ours: Contender;
  readonly peer: Contender;
  /** The promise: our time over the peer's at most `atMost`, or the peer's over ours at least `atLeast`. None: shown and not judged. */
  readonly bound: { readonly atMost: number } | { readonly atLeast: number } | null;
};

/** One line of the table. Times are medians in milliseconds. */
export type Row = {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  /** In the direction of the bound: ours/peer, or peer/ours. */
  readonly ratio: number;
  /** Lowest and highest ratio of one round. */
  readonly spread: readonly [number, number];
  readonly rounds: number;
  readonly bound: Scenario["bound"];
  readonly verdict: "ok" | "behind" | null;
  readonly gitProcesses: number | null;
  readonly peak: Peak;
};

/** How much memory a run may take, MB. */
export const memoryBound = 120;

/**
 * Runs both contenders in turn, round after round, so that whatever else the machine does meets both alike; then ours once more, watched.
 */
export async function measure(scenario: Scenario, progress: (text: string) => void): Promise<Row> {
  const { ours, peer, bound } = scenario;
  const times = { ours: [] as number[], peer: [] as number[] };
  let gitProcesses: number | null = null;
  for (let round = 0; round < scenario.rounds; round++) {
    // Who goes first changes, so that what one leaves in the caches helps the other as often.
    const order = round % 2 === 0 ? (["ours", "peer"] as const) : (["peer", "ours"] as const);
    for (const who of order) {
      const contender = who === "ours" ? ours : peer;
      progress(`${scenario.name}: round ${round + 1} of ${scenario.rounds}, ${contender.name}`);
      await contender.prepare();
      const run = await timed(contender.command);
      await contender.check(run.stdout);
      times[who].push(run.ms);
      if (who === "ours") gitProcesses = Number(run.stdout.match(/(\d+) git process/)?.[1] ?? Number.NaN);
    }
  }
  progress(`${scenario.name}: watching`);
  await ours.prepare();
  const peak = await watched(ours.command);
  const inOrder = (own: number, others: number) => (bound !== null && "atLeast" in bound ? others / own : own / others);
  const ratio = inOrder(median(times.ours), median(times.peer));
  const each = times.ours.map((own, round) => inOrder(own, times.peer[round] ?? Number.NaN));
  const kept = bound === null || ("atLeast" in bound ? ratio >= bound.atLeast : ratio <= bound.atMost);
  return {
    name: scenario.name,
    ours: median(times.ours),
    peer: median(times.peer),
    peerName: peer.name,
    ratio,
    spread: [Math.min(...each), Math.max(...each)],
    rounds: scenario.rounds,
    bound,
    verdict: bound === null ? null : kept && peak.all <= memoryBound ? "ok" : "behind",
    gitProcesses: Number.isNaN(gitProcesses) ? null : gitProcesses,
    peak,
  };
}
