import { statSync } from "node:fs";
import { type OpenOptions, openQueue, type Queue } from "./database.ts";
import { parseLocation } from "./location.ts";

/** A queue for a program that runs for long: opened when it is first wanted, and anew when its file was replaced. */
export type KeptOpen = {
  /** Throws as openQueue does. */
  queue(): Promise<Queue>;
  close(): Promise<void>;
};

/** Not opened for each question: libsql's closed connections stay until they are garbage-collected. */
export function keptOpen(options: OpenOptions): KeptOpen {
  const place = parseLocation(options.location);
  let kept: { readonly opened: Promise<Queue>; readonly file: string } | undefined;

  async function close(): Promise<void> {
    const last = kept;
    kept = undefined;
    await (await last?.opened.catch(() => undefined))?.close();
  }

  return {
    close,
    async queue() {
      const file = place.kind === "file" ? identity(place.path) : "";
      if (kept?.file !== file) {
        await close();
        const opened = openQueue(options);
        // What could not be opened is tried again by the next who asks.
        kept = { opened, file };
        opened.catch(() => {
          if (kept?.opened === opened) kept = undefined;
        });
      }
      return await (kept?.opened ?? openQueue(options));
    },
  };
}

/** Another one when there is another file of that name. */
function identity(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? "none" : `${found.dev}:${found.ino}`;
}
