/** Where one thing at a time goes on beside the loop that put it there: pushing one repository while the next one lands. */
export type Lane = {
  /** Starts `work` for `key` once the one before it has ended; does not wait for its own end. */
  enter(key: string, work: () => Promise<void>): Promise<void>;
  /** Waits until nothing goes on for `key`. */
  leave(key: string): Promise<void>;
  /** Waits until nothing goes on at all. Throws the first thing that any of it threw, once. */
  end(): Promise<void>;
};

/**
 * One at a time, because the unit's TasksMax counts what a push needs. 20 small repositories with remotes on the same disk: a fifth
 * less time; remotes behind a network are waited for while the next repository lands.
 */
export function openLane(): Lane {
  let current: { readonly key: string; readonly done: Promise<void> } | null = null;
  let failure: { readonly error: unknown } | null = null;
  return {
    async leave(key) {
      if (current?.key === key) await current.done;
    },
    async enter(key, work) {
      await current?.done;
      const done = work().catch((error: unknown) => {
        failure ??= { error };
      });
      current = { key, done };
    },
    async end() {
      await current?.done;
      const first = failure;
      failure = null;
      if (first !== null) throw first.error;
    },
  };
}
