import { UserError } from "../../core/errors.ts";

/** One thing that was looked at. `warn`: it works, or will, but not as it should; `fail`: it does not. */
export type Check = {
  readonly name: string;
  readonly state: "ok" | "warn" | "fail";
  readonly says: string;
  /** what to do about it; null for what is well */
  readonly fix: string | null;
};

export const ok = (name: string, says: string): Check => ({ name, state: "ok", says, fix: null });
export const warn = (name: string, says: string, fix: string): Check => ({ name, state: "warn", says, fix });
export const fail = (name: string, says: string, fix: string): Check => ({ name, state: "fail", says, fix });

/** The check that an error for the user is. Rethrows any other error. */
export function failed(name: string, error: unknown, state: "warn" | "fail" = "fail"): Check {
  if (!(error instanceof UserError)) throw error;
  return { name, state, says: error.sentence, fix: error.wayOut };
}
