import * as z from "zod/mini";
import type { Queue } from "./database.ts";
import { integer, text } from "./rows.ts";

/** What one attempt knows beyond its outcome. Times are unix milliseconds. */
export type AttemptFacts = {
  readonly startedAt: number | null;
  readonly base: string | null;
  readonly heads: readonly Head[];
  readonly conflicts: readonly string[];
  readonly warnings: readonly string[];
  /** everything that the failing command said */
  readonly output: string | null;
};

export type Head = z.infer<typeof head>;

const head = z.object({
  role: z.string(),
  oid: z.string(),
  worktree: z.nullish(z.string()),
  branch: z.nullish(z.string()),
});
const strings = z.array(z.string());

/** The facts of an attempt; undefined when there is none of that id. */
export async function readAttemptFacts(queue: Queue, attemptId: string): Promise<AttemptFacts | undefined> {
  const [row] = await queue.read(
    "SELECT started_at, base, heads_json, conflicts_json, warnings_json, output FROM merge_attempt WHERE attempt_id = ?",
    [attemptId],
  );
  if (row === undefined) return undefined;
  const json = (column: string): unknown => JSON.parse(text(row, column) ?? "[]");
  return {
    startedAt: integer(row, "started_at"),
    base: text(row, "base"),
    heads: z.array(head).parse(json("heads_json")),
    conflicts: strings.parse(json("conflicts_json")),
    warnings: strings.parse(json("warnings_json")),
    output: text(row, "output"),
  };
}
