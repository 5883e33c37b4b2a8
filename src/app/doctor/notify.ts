import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { UserError } from "../../core/errors.ts";
import { type ChannelName, channelsOf, type NotifySettings } from "../../core/notify.ts";
import type { Env } from "../../host/config.ts";
import { notifySecrets, readAddress, readSecret } from "../../host/secrets.ts";
import { openFiles } from "../notifyTest.ts";
import { type Check, failed, ok, warn } from "./check.ts";

/** That each notifier has what it needs on this host. Nothing is sent: `notify test` does that. */
export function checkNotify(settings: NotifySettings, env: Env): Check[] {
  const channels = channelsOf(settings);
  const checks = channels.flatMap((channel) => judge(settings, env, channel));
  if (checks.length > 0 || channels.length === 0) return checks;
  return [ok("notify", `${channels.join(", ")}; to try: orchestrator-merge notify test`)];
}

function judge(settings: NotifySettings, env: Env, channel: ChannelName): Check[] {
  const { slack, webhookUrl, webhookSecret, email } = notifySecrets(settings);
  try {
    if (channel === "slack") readAddress(env, slack);
    if (channel === "webhook") {
      readAddress(env, webhookUrl);
      readSecret(env, webhookSecret);
    }
    if (channel === "email") readSecret(env, email);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [failed("notify", error, "warn")];
  }
  const program = channel === "desktop" ? "notify-send" : channel === "command" ? settings.command?.[0] : undefined;
  if (program !== undefined && !isProgram(program, env)) {
    const fix = channel === "desktop" ? "Install libnotify (Debian: libnotify-bin)." : "Correct [notify] command.";
    return [warn("notify", `${channel}: there is no program ${program}.`, fix)];
  }
  return openFiles(settings, channel).map((file) =>
    warn("notify", `${channel}: others on this host can read ${file}.`, `chmod 600 ${file}`),
  );
}

function isProgram(name: string, env: Env): boolean {
  const places = name.includes("/") ? [""] : (env["PATH"] ?? "").split(delimiter);
  return places.some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
