import { distance } from "fastest-levenshtein";

/** The known name that `word` was most likely meant to be, or undefined when none is close. */
function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const d = distance(word.toLowerCase().replaceAll("_", "-"), name.toLowerCase().replaceAll("_", "-"));
    // a third of the letters may be wrong, two always (a swap of neighbours counts as two)
    if (d < bestDistance && d <= Math.max(2, Math.floor(name.length / 3)) && d < name.length) {
      best = name;
      bestDistance = d;
    }
  }
  return best;
}

/** ` Did you mean X?` or nothing, to append to a sentence. */
export function didYouMean(word: string, known: Iterable<string>, prefix = ""): string {
  const name = nearest(word, known);
  return name === undefined ? "" : ` Did you mean ${prefix}${name}?`;
}
