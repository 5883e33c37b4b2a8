import uPlot from "uplot";
import { exactTime, span } from "../../core/describe.ts";
import type { OverviewDocument } from "../api.ts";
import { el } from "./dom.ts";
import { grouped } from "./words.ts";

const height = 190;
const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const font = "12px system-ui, sans-serif";
const utc = (seconds: number): Date => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
const days = uPlot.fmtDate("{D} {MMM}");
const seconds = (day: string): number => Date.parse(`${day}T00:00:00Z`) / 1000;

/** A chart in its card; drawn anew with every change of data, theme or width. */
export type Chart = { readonly element: HTMLElement; draw(read: OverviewDocument): void };

function chart(label: string, make: (read: OverviewDocument) => Made): Chart {
  const box = el("div", { class: "plot", role: "img" });
  const spoken = el("div", { class: "unseen" });
  const readout = el("p", { class: "readout", "aria-hidden": "true" });
  let plot: uPlot | undefined;
  let last: OverviewDocument | undefined;
  const draw = (read: OverviewDocument): void => {
    last = read;
    if (box.clientWidth === 0) return;
    const { summary, options, data, table, at } = make(read);
    box.setAttribute("aria-label", `${label}: ${summary}`);
    spoken.replaceChildren(table);
    readout.textContent = summary;
    plot?.destroy();
    const hover = (shown: uPlot): void => {
      const { idx } = shown.cursor;
      readout.textContent = (idx === null || idx === undefined ? null : at(idx)) ?? summary;
    };
    const size = { width: box.clientWidth, height };
    plot = new uPlot({ legend: { show: false }, ...options, ...size, hooks: { setCursor: [hover] } }, data, box);
  };
  const again = (): void => {
    if (last !== undefined) draw(last);
  };
  let width = 0;
  new ResizeObserver(() => {
    if (box.clientWidth === width) return;
    width = box.clientWidth;
    again();
  }).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  return { element: el("div", {}, readout, box, spoken), draw };
}

type Made = {
  readonly summary: string;
  readonly options: Omit<uPlot.Options, "width" | "height">;
  readonly data: uPlot.AlignedData;
  /** the same for who does not see it */
  readonly table: HTMLElement;
  /** what is said of the value under the pointer */
  at(index: number): string | null;
};

const axis = (more: uPlot.Axis): uPlot.Axis => ({
  stroke: colour("faint"),
  font,
  grid: { stroke: colour("line"), width: 1 },
  ticks: { show: false },
  gap: 6,
  ...more,
});

const cursor: uPlot.Cursor = { y: false, drag: { x: false, y: false }, points: { show: false } };

/** How many landed and failed on each day, one on the other. */
export const perDayChart = (): Chart =>
  chart("Landed and failed on each day", ({ perDay, merged, failed }) => {
    const bars = uPlot.paths.bars?.({ size: [0.7, 26, 2], radius: 0.15 });
    const series = (name: string): uPlot.Series => ({
      fill: colour(name),
      stroke: colour(name),
      width: 0,
      points: { show: false },
      ...(bars === undefined ? {} : { paths: bars }),
    });
    const most = Math.max(4, ...perDay.map((day) => day.merged + day.failed));
    return {
      summary: `${grouped(merged)} merged, ${grouped(failed)} failed`,
      options: {
        tzDate: utc,
        cursor,
        scales: {
          x: { time: true, range: (_, min, max) => [min - 43_200, max + 43_200] },
          y: { range: [0, most * 1.08] },
        },
        series: [{}, series("bad-bar"), series("good-bar")],
        axes: [
          axis({
            grid: { show: false },
            values: (_, ticks) => ticks.map((tick) => days(utc(tick))),
            space: 64,
            size: 26,
            incrs: [1, 2, 7, 14, 30, 90].map((n) => n * 86_400),
          }),
          axis({ size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000] }),
        ],
      },
      // The lower one is drawn over the higher one, which is both together.
      data: [
        perDay.map(({ day }) => seconds(day)),
        perDay.map((day) => day.merged + day.failed),
        perDay.map((day) => day.merged),
      ],
      table: table(
        ["Day", "Merged", "Failed"],
        perDay.map((day) => [day.day, String(day.merged), String(day.failed)]),
      ),
      at(index) {
        const day = perDay[index];
        return day === undefined ? null : `${day.day}: ${grouped(day.merged)} merged, ${grouped(day.failed)} failed`;
      },
    };
  });

/** Each landing as a point: when, and how long after the completion; half and 95 % as lines. */
export const timeToLandChart = (): Chart =>
  chart("Time to land", (read) => {
    const landed = read.ended.filter(({ timeToLandMs }) => timeToLandMs !== null).toReversed();
    const took = landed.map(({ timeToLandMs }) => Math.max(1, (timeToLandMs ?? 0) / 1000));
    const line = (ms: number | null): (number | null)[] =>
      took.map(() => (ms === null ? null : Math.max(1, ms / 1000)));
    const flat = (name: string, dash: number[]): uPlot.Series => ({
      stroke: colour(name),
      width: 1.5,
      dash,
      points: { show: false },
    });
    const summary =
      read.p50Ms === null || read.p95Ms === null
        ? "nothing landed"
        : `half within ${span(read.p50Ms)}, 95 % within ${span(read.p95Ms)}`;
    const steps = [1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400, 30 * 86_400];
    const low = steps.findLast((step) => step <= Math.min(...took)) ?? 1;
    const high = steps.find((step) => step >= Math.max(...took, 60)) ?? Math.max(...took);
    return {
      summary,
      options: {
        tzDate: utc,
        cursor,
        scales: {
          x: { time: true, range: () => [read.since / 1000, read.now / 1000] },
          y: { distr: 3, range: () => [Math.min(low, high / 4), high] },
        },
        series: [
          {},
          {
            paths: () => null,
            points: { show: true, size: 6, fill: colour("accent-soft"), stroke: colour("accent"), width: 1.2 },
          },
          flat("good-bar", [6, 4]),
          flat("hold", [2, 4]),
        ],
        axes: [
          axis({
            grid: { show: false },
            values: (_, ticks) => ticks.map((tick) => days(utc(tick))),
            space: 64,
            size: 26,
            incrs: [1, 2, 7, 14, 30, 90].map((n) => n * 86_400),
          }),
          axis({
            size: 52,
            splits: () => steps.filter((step) => step >= low && step <= high),
            filter: (_, splits) => splits,
            values: (_, ticks) => ticks.map(short),
          }),
        ],
      },
      data: [landed.map(({ at }) => at / 1000), took, line(read.p50Ms), line(read.p95Ms)],
      table: el("p", {}, summary),
      at(index) {
        const one = landed[index];
        return one === undefined
          ? null
          : `#${one.id} ${exactTime(one.at)}: landed ${span(one.timeToLandMs ?? 0)} after completion`;
      },
    };
  });

/** `5 min`, of seconds that are whole in one unit. */
function short(given: number): string {
  if (given < 60) return `${given} s`;
  if (given < 3600) return `${given / 60} min`;
  return given < 86_400 ? `${given / 3600} h` : `${given / 86_400} d`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): HTMLElement {
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((text) => el("td", {}, text))))),
  );
}
