import { visible } from "../../core/describe.ts";
import { held, type Trouble } from "../../core/reasons.ts";
import type { Strategy } from "../../core/rules.ts";
import { plantFf } from "./ff.ts";
import { plantMerge } from "./merge.ts";
import type { Planted, Planting } from "./planting.ts";
import { plantRebase } from "./rebase.ts";
import { plantSquash } from "./squash.ts";

/** How a head comes onto a tip: from the tree of a merge in memory, or in a way of its own. */
type Kind =
  | { readonly merges: true; plant(planting: Planting, tree: string): Promise<Planted | Trouble> }
  | { readonly merges: false; plant(planting: Planting): Promise<Planted | Trouble> };

const kinds: Record<Strategy, Kind> = {
  merge: { merges: true, plant: plantMerge },
  squash: { merges: true, plant: plantSquash },
  rebase: { merges: false, plant: plantRebase },
  ff: { merges: false, plant: plantFf },
};

/** What a strategy does with a head. */
export const strategyOf = (strategy: Strategy): Kind => kinds[strategy];

/** Work that landed and was reverted, brought back as the given tree: a merge commit or a plain one, as the strategy would have it. */
export async function plantAgain(planting: Planting, tree: string): Promise<Planted | Trouble> {
  switch (planting.work.strategy) {
    case "merge":
      return await plantMerge(planting, tree);
    case "squash":
    case "rebase":
      return await plantSquash(planting, tree);
    case "ff":
      return held(
        "target_diverged",
        `${visible(planting.head.role)}'s work landed and was reverted, and a fast-forward cannot bring it back: land it by another strategy.`,
      );
  }
}
