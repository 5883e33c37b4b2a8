import { styleText } from "node:util";

/*
 * Apart from table.ts, because that brings string-width, whose pattern for emoji takes 10 ms of processor time to compile: more than a
 * tenth of an idle tick, which draws no table.
 */

/** A colour by what it says, or none. */
export type Style = "good" | "bad" | "wait" | "hold" | "faint" | "strong" | "plain";
export type Paint = (style: Style, text: string) => string;

const codes = {
  good: "green",
  bad: "red",
  wait: "cyan",
  hold: "yellow",
  faint: "dim",
  strong: "bold",
} as const satisfies Record<Exclude<Style, "plain">, Parameters<typeof styleText>[0]>;

/** Gives the function that colours text, or leaves it alone. Whether to colour is decided once, by the caller. */
export function painter(color: boolean): Paint {
  if (!color) return (_, text) => text;
  return (style, text) => (style === "plain" ? text : styleText(codes[style], text, { validateStream: false }));
}
