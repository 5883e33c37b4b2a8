import { span } from "../../core/describe.ts";
import type { OverviewDocument, State } from "../api.ts";
import { perDayChart, timeToLandChart } from "./charts.ts";
import { type Child, el, icon, shown } from "./dom.ts";
import { grouped, moment, percent, reasonWords } from "./words.ts";

const timelineLength = 40;

/** Key figures, charts, timeline and reasons. */
export type OverviewView = {
  readonly figures: HTMLElement;
  readonly charts: HTMLElement;
  readonly aside: HTMLElement;
  draw(read: OverviewDocument): void;
};

/** `onDays` is told when another period is chosen, in days. */
export function overviewView(onDays: (days: number) => void): OverviewView {
  const figures = el("section", { class: "figures", "aria-label": "Key figures" });
  const timeline = el("ol", { class: "timeline" });
  const reasons = el("ol", { class: "reasons" });
  const [perDay, timeToLand] = [perDayChart(), timeToLandChart()];
  const periods = [7, 30, 90].map((n) =>
    el(
      "label",
      {},
      el("input", { type: "radio", name: "days", value: String(n), checked: n === 30, onchange: () => onDays(n) }),
      el("span", {}, `${n} days`),
    ),
  );
  const card = (id: string, title: string, ...children: Child[]): HTMLElement =>
    el(
      "section",
      { class: "card", "aria-labelledby": id },
      el("div", { class: "card-head" }, el("h2", { id }, title), children[0] ?? null),
      ...children.slice(1),
    );
  const key = (name: string, word: string): HTMLElement => el("span", { class: `key ${name}` }, word);
  return {
    figures,
    charts: el(
      "div",
      {},
      el(
        "fieldset",
        { class: "periods" },
        el("legend", { class: "unseen" }, "Period of charts and figures"),
        ...periods,
      ),
      el(
        "div",
        { class: "charts" },
        card(
          "per-day",
          "Each day",
          el("p", { class: "keys" }, key("good", "merged"), key("bad", "failed")),
          perDay.element,
        ),
        card(
          "to-land",
          "Time to land",
          el("p", { class: "keys" }, key("dot", "a landing"), key("dash", "half"), key("dots", "95 %")),
          timeToLand.element,
        ),
      ),
    ),
    aside: el(
      "div",
      { class: "aside" },
      card("timeline", "Timeline", null, timeline),
      card("reasons", "Why merges failed", null, reasons),
    ),
    draw(read) {
      figures.replaceChildren(...tiles(read));
      perDay.draw(read);
      timeToLand.draw(read);
      const ended = read.ended.slice(0, timelineLength).map(event);
      timeline.replaceChildren(
        ...(ended.length > 0 ? ended : [el("li", { class: "empty" }, "Nothing has landed in this period.")]),
      );
      const most = Math.max(1, ...read.reasons.map(({ failed }) => failed));
      const rows = read.reasons.map(({ reason, failed }) =>
        el(
          "li",
          {},
          shown(reasonWords(reason)),
          el("meter", { min: "0", max: String(most), value: String(failed), "aria-label": reasonWords(reason) }),
          el("span", {}, grouped(failed)),
        ),
      );
      reasons.replaceChildren(
        ...(rows.length > 0 ? rows : [el("li", { class: "empty" }, "Nothing has failed in this period.")]),
      );
    },
  };
}

function tiles(read: OverviewDocument): HTMLElement[] {
  const { counts, successRate, p50Ms, p95Ms, pushesOwed } = read;
  const days = Math.round((read.now - read.since) / 86_400_000);
  const tile = (label: string, value: string, note: string, state: State | null = null): HTMLElement =>
    el(
      "div",
      { class: `tile ${state ?? ""}` },
      el("p", { class: "label" }, state === null ? null : icon(state), label),
      el("p", { class: "value" }, value),
      el("p", { class: "note" }, note),
    );
  return [
    tile(
      "Failed",
      grouped(counts.failed),
      counts.failed === 0 ? "nothing to mend" : "a person must act",
      counts.failed > 0 ? "failed" : null,
    ),
    tile("Held", grouped(counts.held), "looked at by every run", counts.held > 0 ? "held" : null),
    tile("Waiting", grouped(counts.pending), read.running ? "a run is at work" : "for the next run"),
    tile(
      "Merged",
      grouped(read.mergedLast24h),
      `in 24 hours${pushesOwed === 0 ? "" : `, ${grouped(pushesOwed)} not pushed`}`,
    ),
    tile("Success rate", successRate === null ? "–" : percent(successRate), `in ${days} days`),
    tile(
      "Time to land",
      p50Ms === null ? "–" : span(p50Ms),
      p95Ms === null ? "nothing landed" : `95 % within ${span(p95Ms)}`,
    ),
  ];
}

const ends: Readonly<Record<OverviewDocument["ended"][number]["outcome"], readonly [State, string]>> = {
  merged: ["merged", "merged"],
  already_merged: ["merged", "was merged already"],
  merge_failed: ["failed", "failed"],
};

function event({ id, name, at, outcome, reason }: OverviewDocument["ended"][number]): HTMLElement {
  const [state, word] = ends[outcome];
  const why = outcome === "merge_failed" && reason !== null ? `: ${reasonWords(reason)}` : "";
  return el(
    "li",
    { class: state },
    el("span", { class: "mark" }, icon(state)),
    el(
      "span",
      {},
      el("a", { class: "who", href: `#/project/${id}` }, shown(name)),
      ` ${word}`,
      why === "" ? null : shown(why),
    ),
    moment(at),
  );
}
