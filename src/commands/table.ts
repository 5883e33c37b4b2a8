import { stripVTControlCharacters } from "node:util";
import stringWidth from "string-width";
import { type Link, noLink } from "./links.ts";
import type { Paint, Style } from "./paint.ts";

export type Cell = {
  readonly text: string;
  readonly style?: Style /** what it leads to */;
  readonly path?: string | null;
};
export type Column = {
  readonly title: string;
  readonly align?: "right";
  /** may be cut with … down to this many columns; without it the column is whole or absent */
  readonly least?: number;
  /** the same once the `under` column is out of the way */
  readonly tight?: number;
  /** when room is short, the column with the lowest worth goes first; without it the column always stays */
  readonly worth?: number;
  /** moves, with all that may, to lines of its own under the row when one cannot have this many columns, or all it needs */
  readonly under?: number;
  /** before the text when it stands under the row */
  readonly mark?: string;
};
/** Emoji that terminals draw one column wide unless a variation selector asks for the picture. */
const textEmoji = /^(?=\p{Emoji})[^\p{Emoji_Presentation}\u3030\u303d\u3297\u3299\u{1f202}\u{1f237}]$/u;
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * Columns that a terminal uses for printable text. string-width counts ⏸ and ↩ as 2, since they can be pictures; wcwidth, and
 * with it tmux, VTE, kitty and xterm, draws them in 1 (cli-table3 has the same fault, so it cannot align our markers).
 */
export function columnsOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  const known = measured.get(text);
  if (known !== undefined) return known;
  const columns = measure(text);
  // The markers of a long list are the same few texts again and again, and 50 µs each.
  if (measured.size > 1000) measured.clear();
  measured.set(text, columns);
  return columns;
}

const measured = new Map<string, number>();

function measure(text: string): number {
  let columns = 0;
  const bare = text.includes("\x1b") ? stripVTControlCharacters(text) : text;
  for (const { segment } of graphemes.segment(bare)) columns += textEmoji.test(segment) ? 1 : stringWidth(segment);
  return columns;
}

/** The text, or as much of it as fits with a … at its end. Never splits a character that is made of several code points. */
export function shorten(text: string, columns: number): string {
  if (text.length <= columns && /^[ -~]*$/.test(text)) return text;
  if (columnsOf(text) <= columns) return text;
  let kept = "";
  let used = 1;
  for (const { segment } of graphemes.segment(text)) {
    used += columnsOf(segment);
    if (used > columns) break;
    kept += segment;
  }
  return columns < 1 ? "" : `${kept}…`;
}

/**
 * Breaks at single spaces into lines of at most `columns`. What is longer without one (a path, an object id) stays whole, so
 * that it can be copied.
 */
export const wrap = (text: string, columns: number | null): string[] => flow(text.split(/(?<! ) (?! )/), " ", columns);

/** Lays parts side by side, as many on a line as `columns` hold. */
export function flow(parts: readonly string[], separator: string, columns: number | null): string[] {
  const lines: string[] = [];
  let used = 0;
  for (const part of parts) {
    const more = columnsOf(separator) + columnsOf(part);
    const last = lines.length - 1;
    if (last >= 0 && (columns === null || used + more <= columns)) {
      lines[last] += separator + part;
      used += more;
    } else {
      lines.push(part);
      used = columnsOf(part);
    }
  }
  return lines;
}

const gap = 2;

type Layout = { shown: number[]; widths: number[]; under: number[] };

/**
 * Rows as aligned lines without trailing blanks. `width` null: as wide as it gets (a pipe), nothing is cut. Narrow: cells are cut
 * down to `least`, the `under` columns move below their row, then columns go in order of worth. A column with nothing in it is
 * left out. A null row is a blank line.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[] | null)[],
  options: { width: number | null; paint: Paint; link?: Link },
): string[] {
  const { width, paint, link = noLink } = options;
  const natural = columns.map((column, i) => {
    let widest = 0;
    for (const row of rows) widest = Math.max(widest, columnsOf(row?.[i]?.text ?? ""));
    return widest === 0 ? 0 : Math.max(widest, columnsOf(column.title));
  });
  const { shown, widths, under } = layout(columns, natural, width);
  const line = (cells: readonly Cell[]): string => {
    let text = "";
    let blanks = 0; // owed before the next text, so that no line ends in blanks
    for (const i of shown) {
      const room = widths[i] ?? 0;
      const cell = cells[i] ?? { text: "" };
      const cut = shorten(cell.text, room);
      const rest = room - columnsOf(cut);
      if (cut !== "") {
        text +=
          " ".repeat(blanks + (columns[i]?.align === "right" ? rest : 0)) +
          link(paint(cell.style ?? "plain", cut), cell.path ?? null);
        blanks = 0;
      }
      blanks += gap + (cut === "" ? room : columns[i]?.align === "right" ? 0 : rest);
    }
    return text;
  };
  const indent = (widths[shown[0] ?? 0] ?? 0) + gap;
  const lines = [line(columns.map(({ title }) => ({ text: title, style: "faint" })))];
  for (const row of rows) {
    if (row === null) {
      lines.push("");
      continue;
    }
    lines.push(line(row));
    for (const i of under) {
      const below = row[i];
      if (below === undefined || below.text === "") continue;
      // Two lines tell nearly every reason whole; the longest ones are for the view of one project.
      const room = Math.max(1, (width ?? Infinity) - indent);
      const [first = "", ...rest] = wrap((columns[i]?.mark ?? "") + below.text, room);
      for (const part of rest.length === 0 ? [first] : [first, rest.join(" ")]) {
        lines.push(" ".repeat(indent) + paint(below.style ?? "plain", shorten(part, room)));
      }
    }
  }
  return lines;
}

/** Which columns are shown, and how wide. */
function layout(columns: readonly Column[], natural: readonly number[], width: number | null): Layout {
  let shown = columns.map((_, i) => i).filter((i) => (natural[i] ?? 0) > 0);
  const widths = [...natural];
  let under: number[] = [];
  if (width === null) return { shown, widths, under };
  const total = (): number => shown.reduce((sum, i) => sum + (widths[i] ?? 0), 0) + gap * (shown.length - 1);
  for (;;) {
    for (const i of shown) widths[i] = natural[i] ?? 0;
    // Names give way first: their beginning tells them apart, but half a reason is none.
    const yielding = shown.filter((i) => columns[i]?.least !== undefined);
    yielding.push(...shown.filter((i) => columns[i]?.under !== undefined));
    for (const i of yielding) {
      const column = columns[i];
      const tight = under.length === 0 ? undefined : column?.tight;
      const least = Math.min(natural[i] ?? 0, column?.under ?? tight ?? column?.least ?? 0);
      widths[i] = Math.max(least, (widths[i] ?? 0) - Math.max(0, total() - width));
    }
    if (total() <= width) return { shown, widths, under };
    const below = shown.filter((i) => columns[i]?.under !== undefined);
    const worthless = shown
      .filter((i) => columns[i]?.worth !== undefined)
      .sort((a, b) => (columns[a]?.worth ?? 0) - (columns[b]?.worth ?? 0))[0];
    if (below.length > 0) under = below;
    else if (worthless === undefined) break;
    shown = shown.filter((i) => (below.length > 0 ? !below.includes(i) : i !== worthless));
  }
  // Nothing left to drop: cut what is widest, so that a line never wraps.
  for (const i of [...shown].sort((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0))) {
    widths[i] = Math.max(1, (widths[i] ?? 0) - Math.max(0, total() - width));
  }
  return { shown, widths, under };
}
