import { createHmac } from "node:crypto";
import { post } from "./http.ts";
import type { Message } from "./message.ts";
import type { Outcome } from "./outcome.ts";

/**
 * The payload as JSON. With a secret it is signed, together with the time, so that whoever listens in cannot send it again later:
 * docs/notifications.md shows how to check that.
 */
export async function sendWebhook(
  target: { readonly url: string; readonly secret: string | null },
  message: Message,
  signal: AbortSignal,
): Promise<Outcome> {
  const body = JSON.stringify(message.payload);
  const timestamp = String(Math.floor(message.at / 1000));
  const headers = { "X-Orchestrator-Merge-Id": message.id, "X-Orchestrator-Merge-Timestamp": timestamp };
  if (target.secret === null) return await post(target.url, body, headers, signal);
  const mac = createHmac("sha256", target.secret).update(`${timestamp}.${body}`).digest("hex");
  return await post(target.url, body, { ...headers, "X-Orchestrator-Merge-Signature": `sha256=${mac}` }, signal);
}
