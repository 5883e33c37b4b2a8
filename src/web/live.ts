/** Tells listeners that something changed. */
export type Live = {
  /** Calls `changed` after every change from now on, until the function it gives back is called. */
  listen(changed: () => void): Promise<() => void>;
};

const every = 250;

/**
 * Asks for the version four times a second, as long as somebody listens. A version that cannot be read counts as one of its own: listeners
 * hear of the trouble, and of its end.
 */
export function liveOn(version: () => Promise<number>): Live {
  const listeners = new Set<() => void>();
  let last: number | null = null;
  let running = false;

  async function look(): Promise<void> {
    const seen = await version().catch(() => -1);
    if (last !== null && seen !== last) for (const changed of listeners) changed();
    last = seen;
    running = listeners.size > 0;
    if (running) setTimeout(look, every);
    else last = null;
  }

  return {
    async listen(changed) {
      listeners.add(changed);
      if (!running) {
        running = true;
        await look();
      }
      return () => listeners.delete(changed);
    },
  };
}
