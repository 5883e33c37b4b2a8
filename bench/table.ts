import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import type { Peak } from "./measure.ts";
import type { PeakRow } from "./peaks.ts";
import { memoryBound, type Row } from "./scenario.ts";

/** The rows as one JSON document. Milliseconds and MB. */
export function asJson(rows: readonly Row[], peaks: readonly PeakRow[]): string {
  return `${JSON.stringify({ schema: 1, machine: machine(), memoryBound, rows, peaks }, null, 2)}\n`;
}

/** The rows as a table in Markdown, aligned for reading as it is, with the machine under it. */
export function asTable(rows: readonly Row[], peaks: readonly PeakRow[]): string {
  return [
    rows.length === 0
      ? ""
      : `${drawn(comparison(rows))}\nTimes are medians; ${memoryBound} MB is what a run may take.\n\n`,
    peaks.length === 0
      ? ""
      : `${drawn([["one run at its worst", "memory (ours alone)", "tasks"], ...peaks.map(({ name, peak }) => [name, ...needs(peak)])])}\n`,
    "Memory is all processes of a run together, a page that several share counted once. ",
    `${machine().processors} processors, ${machine().git}, Node ${machine().node}, Linux ${machine().kernel}.\n`,
  ].join("");
}

function comparison(rows: readonly Row[]): string[][] {
  const head = [
    "",
    "ours",
    "peer",
    "",
    "ratio",
    "rounds",
    "bound",
    "",
    "memory (ours alone)",
    "tasks",
    "git processes",
  ];
  const lines = rows.map((row) => [
    row.name,
    time(row.ours),
    time(row.peer),
    row.peerName,
    `${row.ratio.toFixed(2)}x`,
    `${row.spread.map((each) => each.toFixed(2)).join("-")} of ${row.rounds}`,
    row.bound === null ? "" : "atMost" in row.bound ? `at most ${row.bound.atMost}x` : `at least ${row.bound.atLeast}x`,
    row.verdict ?? "",
    ...needs(row.peak),
    row.gitProcesses === null ? "" : String(row.gitProcesses),
  ]);
  return [head, ...lines];
}

const needs = (peak: Peak): string[] => [
  `${peak.all.toFixed(0)} (${peak.own.toFixed(0)}) MB`,
  `${peak.tasks}${peak.by === "sampling" ? " seen" : ""}`,
];

/** Lines of cells, the first of them the head, as a table in Markdown. */
function drawn(lines: readonly (readonly string[])[]): string {
  const [head = [], ...rest] = lines;
  const widths = head.map((_, column) => Math.max(3, ...lines.map((line) => line[column]?.length ?? 0)));
  const row = (line: readonly string[]) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |\n`;
  return [row(head), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|\n`, ...rest.map(row)].join("");
}

const time = (ms: number) => (ms < 1000 ? `${ms.toFixed(ms < 100 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`);

function machine() {
  const said = (file: string, ...args: string[]) => execFileSync(file, args).toString().trim();
  return {
    processors: cpus().length,
    git: said("git", "--version"),
    node: process.versions.node,
    kernel: said("uname", "-r").split("-")[0] ?? "",
  };
}
