/** What is known of the first `position` links of a chain taken together: 1 is the first alone, `n` all of them. */
export type Known = ReadonlyMap<number, "pass" | "fail">;

/** What a search for the first link that breaks a chain of `n` wants next, or what it has found. */
export type Search =
  | { readonly ask: number; readonly passing: number }
  | { readonly culprit: number; readonly passing: number }
  | { readonly passes: true };

/**
 * The next prefix to try, the first one that fails, or that all of it passes; `passing` is the longest prefix below the first failing
 * one that is known to pass, 0 when none is: nothing at all is taken to pass, which is for the caller to look at when the first link is
 * the culprit. The whole is tried first. From its failure on, at most ceil(log2 n) answers find the culprit: the one whose prefix fails
 * while the one before it passes. What is known from elsewhere only shortens it.
 */
export function search(n: number, known: Known): Search {
  if (n === 0 || known.get(n) === "pass") return { passes: true };
  const failing = Math.min(...positions(known, "fail", n));
  const passing = Math.max(0, ...positions(known, "pass", Math.min(failing - 1, n)));
  if (failing > n) return { ask: n, passing };
  if (failing - passing === 1) return { culprit: failing, passing };
  return { ask: passing + Math.floor((failing - passing) / 2), passing };
}

const positions = (known: Known, verdict: "pass" | "fail", upTo: number): number[] =>
  [...known].filter(([at, said]) => said === verdict && at <= upTo).map(([at]) => at);
