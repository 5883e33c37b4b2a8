/**
 * What came of one message. `later`: trouble that may pass, `afterMs` when the other side says how long to wait. `refused`: it will not
 * take this message as things are. `why` is half a sentence for a person; no secret may ever stand in it, so nothing that the other side
 * or a library said is quoted but codes.
 */
export type Outcome =
  | { readonly did: "sent" }
  | { readonly did: "later"; readonly why: string; readonly afterMs: number | null }
  | { readonly did: "refused"; readonly why: string };

export const sent: Outcome = { did: "sent" };
export const later = (why: string, afterMs: number | null = null): Outcome => ({ did: "later", why, afterMs });
export const refused = (why: string): Outcome => ({ did: "refused", why });

/** The code of a system error such as ECONNREFUSED, also of the one that caused it; null when there is none. */
export function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if ("code" in error && typeof error.code === "string" && /^[A-Z0-9_]+$/.test(error.code)) return error.code;
  return codeOf(error.cause);
}
