import { ago, exactTime, until } from "../../core/describe.ts";
import type { ProjectDocument, State } from "../api.ts";
import { el, icon, shown } from "./dom.ts";

/** How states, moments and numbers are put. */

export const stateWords: Readonly<Record<State, string>> = {
  failed: "Failed",
  held: "Held",
  pending: "Waiting",
  merged: "Merged",
  rolled_back: "Rolled back",
  skipped: "Skipped",
  not_completed: "Not completed",
};

/** Icon and word in the colour of the state; what the row says where that tells more. */
export function badge(state: State, word: string | null = null): HTMLElement {
  const text = word === null ? stateWords[state] : shown(word);
  return el("span", { class: `badge ${state}` }, icon(state), el("span", { class: "word" }, text));
}

/** A moment in words, the exact one on hovering and for machines; words are renewed by `renewMoments`. */
export function moment(at: number | null): HTMLElement | null {
  if (at === null) return null;
  const exact = exactTime(at);
  if (exact === "unknown") return el("span", {}, exact);
  return el("time", { datetime: new Date(at).toISOString(), title: exact, "data-at": String(at) }, inWords(at));
}

const inWords = (at: number): string => (at > Date.now() + 1000 ? until(at, Date.now()) : ago(at, Date.now()));

export function renewMoments(): void {
  for (const time of document.querySelectorAll<HTMLElement>("time[data-at]")) {
    const words = inWords(Number(time.dataset["at"]));
    if (time.textContent !== words) time.textContent = words;
  }
}

export const grouped = (n: number): string => n.toLocaleString("en-US");

/** `94 %`; neither 0 nor 100 unless it is exactly that. */
export function percent(share: number): string {
  const rounded = Math.round(share * 100);
  return `${share > 0 && share < 1 ? Math.min(99, Math.max(1, rounded)) : rounded} %`;
}

/** Reason codes as a person reads them: `dirty source`. */
export const reasonWords = (reason: string): string => reason.replaceAll("_", " ");

/** What is to be said of a push: nothing when all is well. */
export function pushWords({ push, pushDetail }: Pick<ProjectDocument, "push" | "pushDetail">): string | null {
  switch (push) {
    case "pending":
    case "withheld":
    case "refused":
      return `push ${push}${pushDetail === null ? "" : `: ${pushDetail}`}`;
    case "none":
      return "no remote";
    case "off":
      return "pushing is off";
    default:
      return push;
  }
}
