import { defineCommand, runCommand } from "citty";
import type { ExitCode } from "../core/errors.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { commonArgs, readArgs, splitCommand } from "./argv.ts";
import type { Host, Output } from "./frame.ts";
import { commands } from "./list.ts";

/**
 * Runs the command that `argv` (without the program's name) calls, with citty; its value is the exit code. Without a command it
 * shows the help. Throws UserError.
 */
export async function runProgram(argv: readonly string[], host: Host, output: Output): Promise<ExitCode> {
  const { name, rest } = splitCommand(argv);
  if (name === "help") return await runProgram([...rest, "--help"], host, output);
  if (name === undefined) {
    readArgs(rest, commonArgs, "orchestrator-merge --help");
    const { programHelp } = await import("./help.ts");
    host.stdout.write(`${programHelp(commands)}\n`);
    return exitCode.ok;
  }
  const names = commands.map((command) => command.name);
  // Before citty sees it: to citty every property of Object.prototype is a command, and its message knows no nearest name.
  if (!names.includes(name)) {
    const { didYouMean } = await import("../host/nearest.ts");
    throw new UserError(
      exitCode.usage,
      `unknown command ${JSON.stringify(name)}.${didYouMean(name, names)}`,
      "orchestrator-merge --help lists the commands.",
    );
  }
  let code: ExitCode = exitCode.ok;
  const subCommands = commands.map(({ name, load }) => [
    name,
    async () => {
      const { about: description, args, execute } = (await load()).default;
      return defineCommand({
        meta: { name, description },
        args,
        async run() {
          code = await execute(rest, host, output); // citty drops what a sub command gives back
        },
      });
    },
  ]);
  const program = defineCommand({ meta: { name: "orchestrator-merge" }, subCommands: Object.fromEntries(subCommands) });
  // The name alone: what follows is for our own reader, see readArgs.
  await runCommand(program, { rawArgs: [name] });
  return code;
}
