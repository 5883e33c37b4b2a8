import { exitCode, UserError } from "../core/errors.ts";
import { command } from "./frame.ts";

export default command({
  name: "status",
  about: "Not built yet.",
  args: {},
  examples: [],
  async run() {
    throw new UserError(exitCode.usage, "status is not built yet.", "Wait for the next version.");
  },
});
