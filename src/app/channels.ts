import { UserError } from "../core/errors.ts";
import type { ChannelName, NotifySettings } from "../core/notify.ts";
import type { Env } from "../host/config.ts";
import { notifySecrets, readAddress, readSecret, withoutSecrets } from "../host/secrets.ts";
import { sendDesktop } from "../notify/desktop.ts";
import type { Message } from "../notify/message.ts";
import { type Outcome, refused } from "../notify/outcome.ts";
import { runProgram } from "../notify/program.ts";
import { sendSlack } from "../notify/slack.ts";
import { sendWebhook } from "../notify/webhook.ts";

/** Sends one message; ends when `signal` does. Never throws for what the other side, or a file, does. */
export type Channel = (message: Message, signal: AbortSignal) => Promise<Outcome>;

/** A channel with its secrets, which are read when the first message is sent and kept nowhere else. */
export function openChannel(settings: NotifySettings, env: Env, name: ChannelName): Channel {
  return async (message, signal) => {
    try {
      return await send(settings, env, name, message, signal);
    } catch (error) {
      // A file that cannot be read, or holds nothing of use: its sentence names the file and never what is in it.
      if (error instanceof UserError) return refused(error.sentence.replace(/\.$/, ""));
      throw error;
    }
  };
}

/**
 * Does `work` with a signal that is aborted after so many milliseconds, or with `outer`. Not AbortSignal.timeout: under Deno its timer keeps
 * the process alive to the end, 15 s in the trial.
 */
export async function within<T>(ms: number, outer: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), ms);
  try {
    return await work(AbortSignal.any([outer, late.signal]));
  } finally {
    clearTimeout(timer);
  }
}

const noAddress = "it has no address";

async function send(
  settings: NotifySettings,
  env: Env,
  name: ChannelName,
  message: Message,
  signal: AbortSignal,
): Promise<Outcome> {
  const { email, webhook, command } = settings;
  const secrets = notifySecrets(settings);
  switch (name) {
    case "slack": {
      const url = readAddress(env, secrets.slack);
      return url === null ? refused(noAddress) : await sendSlack(url, message, signal);
    }
    case "webhook": {
      const url = readAddress(env, secrets.webhookUrl) ?? webhook?.url ?? null;
      if (url === null) return refused(noAddress);
      return await sendWebhook({ url, secret: readSecret(env, secrets.webhookSecret) }, message, signal);
    }
    case "email": {
      if (email === null) return refused("it is not configured");
      const password = readSecret(env, secrets.email);
      const { sendEmail } = await import("../notify/email.ts");
      return await sendEmail({ ...email, password }, message, signal);
    }
    case "desktop":
      return await sendDesktop(withoutSecrets(env), message, signal);
    case "command": {
      const input = `${JSON.stringify(message.payload)}\n`;
      return await runProgram(command ?? [], input, withoutSecrets(env), signal);
    }
  }
}
