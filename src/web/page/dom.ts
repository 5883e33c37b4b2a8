import { visible } from "../../core/describe.ts";

/*
 * The only place that makes elements. Text reaches the page as text nodes and attributes, never as markup, and what was written by
 * others goes through `shown` before: a name is seen as it is and neither run nor obeyed.
 */

export type Child = Node | string | null;
type Attributes = Readonly<Record<string, string | boolean | ((event: Event) => void)>>;

/** An element: attributes as they are written in HTML, `true` for one without a value, functions as listeners (`onclick`). */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice("on".length), value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Text of others, in a direction of its own: what it holds of right-to-left letters does not turn its neighbours around. */
export const shown = (text: string, attributes: Attributes = {}): HTMLElement => el("bdi", attributes, visible(text));

export type IconName = keyof typeof paths;

/** Drawn on 16 by 16, in the colour of the text. They are decoration: a word stands beside each. */
const paths = {
  merged:
    "M4.5 5.5v5M4.5 5.5c0 2.6 2.4 3.6 5 3.6M4.5 2.4a1.55 1.55 0 1 0 0 3.1 1.55 1.55 0 0 0 0-3.1zM4.5 10.5a1.55 1.55 0 1 0 0 3.1 1.55 1.55 0 0 0 0-3.1zM11 7.5a1.55 1.55 0 1 0 0 3.1 1.55 1.55 0 0 0 0-3.1z",
  pending: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 4.8V8l2.2 1.5",
  held: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM6.5 6v4M9.5 6v4",
  failed: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM6 6l4 4M10 6l-4 4",
  rolled_back: "M5.5 3.5 3 6l2.5 2.5M3 6h6a3.5 3.5 0 0 1 0 7H6.5",
  skipped: "M3.5 4.5 8 8l-4.5 3.5zM8.5 4.5 13 8l-4.5 3.5z",
  not_completed: "M8 2a6 6 0 0 1 6 6M14 8a6 6 0 0 1-6 6M8 14a6 6 0 0 1-6-6M2 8a6 6 0 0 1 1-3.3",
  check: "M3.5 8.5 6.5 11.5 12.5 4.5",
  warning: "M8 2.5 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1",
  live: "M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6zM4.4 4.4a5 5 0 0 0 0 7.2M11.6 4.4a5 5 0 0 1 0 7.2",
  back: "M9.5 3.5 5 8l4.5 4.5",
  next: "M6.5 3.5 11 8l-4.5 4.5",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.4 10.4 13.5 13.5",
} as const;

export function icon(name: IconName): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  for (const [key, value] of [
    ["viewBox", "0 0 16 16"],
    ["class", "icon"],
    ["aria-hidden", "true"],
    ["focusable", "false"],
  ]) {
    svg.setAttribute(key ?? "", value ?? "");
  }
  path.setAttribute("d", paths[name]);
  svg.append(path);
  return svg;
}
