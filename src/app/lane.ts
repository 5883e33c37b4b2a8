/** Where one thing at a time goes on beside the loop that put it there: pushing one repository while the next one lands. */
export type Lane = {
  /** Starts `work` for `key` once the one before it has ended; does not wait for its own end. Throws what the one before threw. */
  enter(key: string, work: () => Promise<void>): Promise<void>;
  /** Waits until nothing goes on for `key`. Throws what it threw. */
  leave(key: string): Promise<void>;
  /** Waits until nothing goes on at all. Throws what it threw, once. */
  end(): Promise<void>;
};

/**
 * One at a time, because the unit's TasksMax counts what a push needs. 20 small repositories with remotes on the same disk: a fifth
 * less time; remotes behind a network are waited for while the next repository lands.
 */
export function openLane(): Lane {
  let current: { readonly key: string; readonly done: Promise<void> } | null = null;
  const end = async () => {
    const done = current?.done;
    current = null;
    await done;
  };
  return {
    end,
    async leave(key) {
      if (current?.key === key) await end();
    },
    async enter(key, work) {
      await end();
      const done = work();
      done.catch(() => {}); // told by the next to wait, which may be a while off
      current = { key, done };
    },
  };
}
