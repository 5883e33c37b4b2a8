import type { Queue } from "../queue/database.ts";
import type { Context } from "./frame.ts";

/**
 * Opens the queue that the command line, environment or configuration chose, lends it to `work` and closes it. "read" never
 * changes a row. Throws UserError 2 and 3.
 */
export async function withQueue<T>(
  context: Pick<Context<Record<never, never>, never>, "config" | "database" | "env">,
  mode: "read" | "write",
  work: (queue: Queue) => Promise<T>,
): Promise<T> {
  const [{ openQueue }, { location, kind }] = await Promise.all([import("../queue/database.ts"), context.database()]);
  const queue = await openQueue({ location, mode, authToken: kind === "server" ? await token(context) : undefined });
  try {
    return await work(queue);
  } finally {
    await queue.close();
  }
}

async function token(
  context: Pick<Context<Record<never, never>, never>, "config" | "env">,
): Promise<string | undefined> {
  const { readAuthToken } = await import("../host/secrets.ts");
  return readAuthToken(context.env, (await context.config()).queue.authTokenFile);
}
