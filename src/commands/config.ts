import { oneOf } from "./argv.ts";
import { command } from "./frame.ts";

export default command({
  name: "config",
  about: "Shows what is configured and where each value comes from, or checks the configuration file.",
  args: {},
  positionals: { value: "show|check", about: "what to do", parse: oneOf("show", "check"), min: 1, max: 1 },
  examples: [],
  async run() {},
});
