import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { memoryBound, type Row } from "./scenario.ts";

/** The rows as one JSON document. Milliseconds and MB. */
export function asJson(rows: readonly Row[]): string {
  return `${JSON.stringify({ schema: 1, machine: machine(), memoryBound, rows }, null, 2)}\n`;
}

/** The rows as a table in Markdown, aligned for reading as it is, with the machine under it. */
export function asTable(rows: readonly Row[]): string {
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
    `${row.peak.all.toFixed(0)} (${row.peak.own.toFixed(0)}) MB`,
    `${row.peak.tasks}${row.peak.by === "sampling" ? " seen" : ""}`,
    row.gitProcesses === null ? "" : String(row.gitProcesses),
  ]);
  const widths = head.map((_, column) => Math.max(3, ...[head, ...lines].map((line) => line[column]?.length ?? 0)));
  const drawn = (line: readonly string[]) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |\n`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|\n`;
  const { processors, git, node, kernel } = machine();
  return [
    drawn(head),
    rule,
    ...lines.map(drawn),
    "\n",
    `Times are medians. Memory is all processes of the run together, at most ${memoryBound} MB. `,
    `${processors} processors, ${git}, Node ${node}, Linux ${kernel}.\n`,
  ].join("");
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
