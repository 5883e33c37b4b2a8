import type { OverviewDocument, QueueDocument, StoryDocument } from "../api.ts";

/** What the server answered, or why not. The documents are the server's own, of the same build: their shape is not checked again. */
export type Answer<T> = { readonly document: T } | { readonly trouble: string; readonly status: number };

async function load<T>(path: string): Promise<Answer<T>> {
  try {
    const response = await fetch(path, { headers: { accept: "application/json" } });
    const type = response.headers.get("content-type") ?? "";
    const document: unknown = type.includes("json") ? await response.json() : { error: (await response.text()).trim() };
    if (response.ok) return { document: document as T };
    return { trouble: said(document), status: response.status };
  } catch {
    return { trouble: "The dashboard does not answer.", status: 0 };
  }
}

/** Sentence and way out of an error. */
function said(document: unknown): string {
  if (typeof document !== "object" || document === null || !("error" in document)) return "The dashboard failed.";
  return [document.error, "wayOut" in document ? document.wayOut : ""].join(" ").trim();
}

export const loadOverview = (days: number): Promise<Answer<OverviewDocument>> => load(`api/overview?days=${days}`);

export const loadQueue = (
  state: string,
  search: string,
  offset: number,
  limit: number,
): Promise<Answer<QueueDocument>> =>
  load(`api/queue?${new URLSearchParams({ state, search, offset: String(offset), limit: String(limit) })}`);

export const loadStory = (id: number): Promise<Answer<StoryDocument>> => load(`api/projects/${id}`);
