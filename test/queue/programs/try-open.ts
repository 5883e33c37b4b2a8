// Opens a queue where this process may not write, in the mode it is told, and prints what came of it. Started by open.test.ts.
import { UserError } from "../../../src/core/errors.ts";
import { openQueue } from "../../../src/queue/database.ts";

const [location = "", mode = "read"] = process.argv.slice(2);
try {
  const queue = await openQueue({ location, mode: mode === "write" ? "write" : "read", timeoutMs: 50 });
  const [row] = await queue.read("SELECT count(*) AS rows FROM project_queue");
  await queue.close();
  process.stdout.write(`rows ${row?.["rows"]}`);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stdout.write(`${error.code} ${error.message}`);
}
