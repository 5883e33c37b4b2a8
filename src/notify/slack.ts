import { post } from "./http.ts";
import type { Message } from "./message.ts";
import type { Outcome } from "./outcome.ts";

/** Incoming webhooks: https://api.slack.com/messaging/webhooks. Mattermost, Rocket.Chat and Discord's /slack take the same. */
export async function sendSlack(url: string, message: Message, signal: AbortSignal): Promise<Outcome> {
  const text = [message.title, message.body].filter((part) => part !== "").join("\n");
  return await post(url, JSON.stringify({ text: escaped(text) }), {}, signal);
}

/** The three characters with a meaning; without this a project named `<!channel>` would call everybody. */
const escaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
