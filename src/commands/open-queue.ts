import { readFile } from "node:fs/promises";
import { exitCode, UserError } from "../core/errors.ts";
import type { Queue } from "../queue/database.ts";
import type { Context } from "./frame.ts";

/**
 * Opens the queue that the command line, environment or configuration chose, lends it to `work` and closes it. "read" never
 * changes a row. The token of a server comes from the environment or from a file. Throws UserError 2 and 3.
 */
export async function withQueue<T>(
  context: Pick<Context<Record<never, never>, never>, "config" | "database" | "env">,
  mode: "read" | "write",
  work: (queue: Queue) => Promise<T>,
): Promise<T> {
  const [{ openQueue }, { location, kind }] = await Promise.all([import("../queue/database.ts"), context.database()]);
  const queue = await openQueue({
    location,
    mode,
    authToken: kind === "server" ? await readToken(context) : undefined,
  });
  try {
    return await work(queue);
  } finally {
    await queue.close();
  }
}

async function readToken({
  config,
  env,
}: Pick<Context<Record<never, never>, never>, "config" | "env">): Promise<string | undefined> {
  const given = env["ORCHESTRATOR_MERGE_AUTH_TOKEN"];
  if (given) return given;
  const file = (await config()).queue.authTokenFile;
  if (file === null) return undefined;
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    const why = cause instanceof Error && "code" in cause ? String(cause.code) : "an unknown error";
    throw new UserError(
      exitCode.usage,
      `the file that [queue] auth_token_file names cannot be read: ${file} (${why}).`,
      "Correct the name, or let the user of this program read it.",
      { cause },
    );
  }
}
