import { hostname } from "node:os";
import type { ChannelName, Happening, NotifySettings } from "../core/notify.ts";
import type { Env } from "../host/config.ts";
import { isOpenToOthers, notifySecrets } from "../host/secrets.ts";
import { messagesOf } from "../notify/message.ts";
import { openChannel, within } from "./channels.ts";

/** What came of a test by one channel; `error` null: it was sent. */
export type Tested = {
  readonly channel: ChannelName;
  readonly error: string | null;
  readonly ms: number;
  /** with secrets, and readable by others */
  readonly openFiles: readonly string[];
};

/** A person waits for it, and may have a slow server: milliseconds. */
const limit = 15_000;

/** Sends one message by each of these channels, one after the other. */
export async function testChannels(
  settings: NotifySettings,
  channels: readonly ChannelName[],
  host: { readonly env: Env; readonly signal: AbortSignal; now(): number },
): Promise<Tested[]> {
  const results: Tested[] = [];
  for (const channel of channels) {
    const at = host.now();
    const [message] = messagesOf([testOf(at)], hostname(), at);
    if (message === undefined || host.signal.aborted) break;
    const send = openChannel(settings, host.env, channel);
    const outcome = await within(limit, host.signal, (signal) => send(message, signal));
    const error = outcome.did === "sent" ? null : outcome.why;
    results.push({ channel, error, ms: host.now() - at, openFiles: openFiles(settings, channel) });
  }
  return results;
}

const testOf = (at: number): Happening => ({
  id: `test:${at}`,
  event: "test",
  at,
  project: null,
  reason: null,
  detail: "If you can read this, this channel works.",
  repository: null,
  target: null,
  mergeCommit: null,
  conflicts: [],
  runId: null,
});

/** The files with secrets of a channel that others may read. */
export function openFiles(settings: NotifySettings, channel: ChannelName): string[] {
  return secretFiles(settings, channel).filter((file) => isOpenToOthers(file));
}

/** The files with secrets that a channel needs. */
function secretFiles(settings: NotifySettings, channel: ChannelName): string[] {
  const { slack, webhookUrl, webhookSecret, email } = notifySecrets(settings);
  const of = { slack: [slack], webhook: [webhookUrl, webhookSecret], email: [email], desktop: [], command: [] };
  return of[channel].flatMap(({ file }) => file ?? []);
}
