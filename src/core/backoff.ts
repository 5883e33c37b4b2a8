/**
 * When to try again after the nth failure in a row (1 is the first): base, doubled each time, up to `limit`, less up to a fifth by
 * `random` (0..1), so that many that failed together do not come back together. Milliseconds.
 */
export function backoff(nth: number, base: number, limit: number, random: number): number {
  const whole = Math.min(limit, base * 2 ** Math.min(Math.max(nth, 1) - 1, 30));
  return Math.round(whole * (1 - 0.2 * random));
}
