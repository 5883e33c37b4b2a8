import { parseDuration } from "../core/durations.ts";
import type { NotifySettings } from "../core/notify.ts";
import { defaults, type Env } from "./config.ts";
import type { Nonsense } from "./config-meaning.ts";
import type { RawConfig } from "./config-schema.ts";
import { expandHome } from "./paths.ts";

/** [notify] as the program has it. `path` makes a path absolute, by the key that gave it. */
export function notifySettings(
  raw: RawConfig["notify"],
  path: (key: string, value: string) => string,
  env: Env,
): NotifySettings {
  const d = defaults.notify;
  if (raw === undefined) return d;
  const { slack, webhook, email, command } = raw;
  const file = (key: string, value: string | undefined): string | null =>
    value === undefined ? null : path(`notify.${key}`, value);
  const program = command?.[0] ?? "";
  const named = program.includes("/") ? path("notify.command", program) : expandHome(program, env);
  return {
    on: raw.on ?? d.on,
    heldAfterMs: parseDuration(raw.held_after ?? "") ?? d.heldAfterMs,
    pushAfterMs: parseDuration(raw.push_after ?? "") ?? d.pushAfterMs,
    slack: slack === undefined ? null : { urlFile: file("slack.url_file", slack.url_file) },
    webhook:
      webhook === undefined
        ? null
        : {
            url: webhook.url ?? null,
            urlFile: file("webhook.url_file", webhook.url_file),
            secretFile: file("webhook.secret_file", webhook.secret_file),
          },
    email:
      email === undefined
        ? null
        : {
            host: email.host,
            port: email.port ?? standardPorts[email.security ?? "starttls"],
            security: email.security ?? "starttls",
            user: email.user ?? null,
            passwordFile: file("email.password_file", email.password_file),
            from: email.from,
            to: email.to,
          },
    desktop: raw.desktop ?? d.desktop,
    command: command === undefined ? null : [named, ...command.slice(1)],
  };
}

const standardPorts = { tls: 465, starttls: 587, none: 25 } as const;

/**
 * What no schema can say of [notify], because a secret may come from the environment: that each channel knows where to, and with what.
 * `variables` are those that were given, by key.
 */
export function findNotifyNonsense(raw: RawConfig, variables: ReadonlyMap<string, string>): Nonsense[] {
  const { slack, webhook, email } = raw.notify ?? {};
  const found: Nonsense[] = [];
  const gap = (path: string, says: string, wayOut: string): void => {
    found.push({ path: ["notify", ...path.split(".")], says, wayOut });
  };
  if (slack !== undefined && slack.url_file === undefined && !variables.has("notify.slack.url"))
    gap("slack", "has no address.", "Give url_file, or set ORCHESTRATOR_MERGE_NOTIFY_SLACK_URL.");
  if (
    webhook !== undefined &&
    !variables.has("notify.webhook.url") &&
    (webhook.url === undefined) === (webhook.url_file === undefined)
  ) {
    const how = webhook.url === undefined ? "no address" : "two addresses";
    gap("webhook", `has ${how}.`, "Give url, or url_file where the address is a secret.");
  }
  if (email === undefined) return found;
  const hasPassword = email.password_file !== undefined || variables.has("notify.email.password");
  if (email.user !== undefined && !hasPassword) {
    const wayOut = "Give password_file, or set ORCHESTRATOR_MERGE_NOTIFY_EMAIL_PASSWORD.";
    gap("email.user", "has no password with it.", wayOut);
  }
  if (email.user === undefined && email.password_file !== undefined)
    gap("email.password_file", "has no user with it.", "Give user.");
  if (email.user !== undefined && email.security === "none") {
    const says = "sends the password for all to read.";
    gap("email.security", says, 'Give "starttls" or "tls", or no user.');
  }
  return found;
}
