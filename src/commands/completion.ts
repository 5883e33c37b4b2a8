import { commonArgs, flagName, oneOf } from "./argv.ts";
import { type Described, scripts } from "./completion-scripts.ts";
import { type Command, command } from "./frame.ts";
import { commands } from "./list.ts";

const shell = oneOf("bash", "zsh", "fish");

export default command({
  name: "completion",
  about:
    "Prints a script with which the shell completes commands, options and values at TAB, after qs too. At TAB nothing is " +
    "started: a script that is kept in a file has to be renewed after an update.",
  args: {},
  positionals: { value: "bash|zsh|fish", about: "the shell", parse: shell, min: 1, max: 1 },
  examples: [
    ["completion bash", "In ~/.bashrc: source <(orchestrator-merge completion bash)"],
    [
      "completion zsh",
      "In ~/.zshrc, after compinit: the same with zsh; or as _orchestrator-merge in a directory of $fpath.",
    ],
    ["completion fish", "In ~/.config/fish/config.fish: orchestrator-merge completion fish | source"],
  ],
  async run({ rest, json, print, printJson }) {
    const all = await Promise.all(commands.map(async ({ summary, load }) => describe((await load()).default, summary)));
    for (const shell of rest) {
      const script = scripts[shell](optionsOf(commonArgs), all);
      if (json) printJson({ shell, script });
      else print(script);
    }
  },
});

/** What the help says of a command, as the scripts need it. */
const describe = ({ name, args, positionals }: Command, about: string): Described => ({
  name,
  about,
  options: optionsOf(args),
  word: positionals && { hint: positionals.value, offers: positionals.parse.offers, repeats: positionals.max > 1 },
});

const optionsOf = (args: Command["args"]): Described["options"] =>
  Object.entries(args).map(([name, arg]) => ({
    name: flagName(name),
    short: typeof arg.alias === "string" ? arg.alias : undefined,
    about: arg.description,
    value: arg.type === "boolean" ? undefined : { hint: arg.valueHint, offers: arg.parse.offers, repeats: arg.repeats },
  }));
