import { exitCode, UserError } from "../core/errors.ts";
import { command } from "./frame.ts";

export default command({
  name: "add",
  about: "Not built yet.",
  args: {},
  examples: [],
  async run() {
    throw new UserError(exitCode.usage, "add is not built yet.", "Wait for the next version.");
  },
});
