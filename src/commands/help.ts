import type { Args } from "./argv.ts";
import { commonArgs, flagName } from "./argv.ts";
import type { Command } from "./frame.ts";

const width = 80;

/** One row of the list of commands: name, group, one line. */
export type Listed = { readonly name: string; readonly group: string; readonly summary: string };

export function programHelp(commands: readonly Listed[]): string {
  const groups = [...new Set(commands.map((c) => c.group))];
  const longest = Math.max(...commands.map((c) => c.name.length));
  return [
    "Lands the finished work of AI coding agents: from their git worktrees into the",
    "main project, tagged, backed up, pushed and recorded.",
    "",
    "Usage: orchestrator-merge COMMAND [OPTIONS]",
    ...groups.flatMap((group) => [
      "",
      `${group}:`,
      ...commands.filter((c) => c.group === group).flatMap((c) => row(c.name, longest, c.summary)),
    ]),
    "",
    "Options of every command:",
    ...options(commonArgs),
    "",
    "Examples:",
    ...examples([
      ["orchestrator-merge demo", "Shows the whole of it on a sandbox that it makes and removes."],
      ["orchestrator-merge run --dry-run", "Says what the next run would land, and writes nothing."],
      ["orchestrator-merge status", "Shows what waits, what is held or failed and why, and what landed last."],
    ]),
    "",
    "orchestrator-merge COMMAND --help tells more about one of them.",
  ].join("\n");
}

export function commandHelp(command: Command): string {
  const { positionals } = command;
  const words = positionals === undefined ? "" : positionalUsage(positionals.value, positionals.min, positionals.max);
  const own = Object.keys(command.args).length > 0;
  return [
    ...wrap(command.about, width),
    "",
    `Usage: orchestrator-merge ${command.name}${words}${own ? " [OPTIONS]" : ""}`,
    ...(positionals === undefined
      ? []
      : ["", "Arguments:", ...row(positionals.value, positionals.value.length, positionals.about)]),
    ...(own ? ["", "Options:", ...options(command.args)] : []),
    "",
    "Options of every command:",
    ...options(commonArgs),
    ...(command.examples.length > 0
      ? [
          "",
          "Examples:",
          ...examples(command.examples.map(([line, meaning]) => [`orchestrator-merge ${line}`, meaning])),
        ]
      : []),
  ].join("\n");
}

function positionalUsage(value: string, min: number, max: number): string {
  const word = max > 1 ? `${value}...` : value;
  return min > 0 ? ` ${word}` : ` [${word}]`;
}

function options(args: Args): string[] {
  const left = Object.entries(args).map(([name, arg]) => {
    const short = arg.alias === undefined ? "    " : `-${arg.alias}, `;
    return `${short}--${flagName(name)}${arg.type === "boolean" ? "" : ` ${arg.valueHint}`}`;
  });
  const longest = Math.min(26, Math.max(...left.map((words) => words.length)));
  return Object.values(args).flatMap((arg, i) => row(left[i] ?? "", longest, arg.description));
}

const examples = (given: readonly (readonly [string, string])[]): string[] =>
  given.flatMap(([line, meaning]) => [`  ${line}`, ...wrap(meaning, width - 6).map((words) => `      ${words}`)]);

/** `  left   text`, the text wrapped in its own column; below when `left` is too long for its column. */
function row(left: string, leftWidth: number, text: string): string[] {
  const lines = wrap(text, width - leftWidth - 4);
  const indent = " ".repeat(leftWidth + 4);
  if (left.length > leftWidth) return [`  ${left}`, ...lines.map((line) => indent + line)];
  return lines.map((line, i) => (i === 0 ? `  ${left.padEnd(leftWidth)}  ${line}` : indent + line));
}

function wrap(text: string, limit: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > limit) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
