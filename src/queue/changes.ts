import type { Queue } from "./database.ts";
import { integer } from "./rows.ts";

/** How long a server may be ahead of what is shown of it, in milliseconds. */
const serverPeriod = 5000;

/**
 * A number that is another one after somebody has written to the queue (https://www.sqlite.org/pragma.html#pragma_data_version), cheap
 * enough to ask four times a second. A server has no such number: there it is another one every five seconds. `now` in unix milliseconds.
 */
export async function readVersion(queue: Queue, now: number): Promise<number> {
  if (queue.kind === "server") return Math.floor(now / serverPeriod);
  const [row] = await queue.read("PRAGMA data_version");
  return (row === undefined ? null : integer(row, "data_version")) ?? 0;
}
