import { formatDuration } from "../core/durations.ts";
import { formatSize } from "../core/sizes.ts";
import type { LoadedConfig } from "./config.ts";

type Plain = string | number | boolean | readonly string[];

/** One setting as the file would have it: its key there, its value in the file's notation (null: not set), and who said so. */
export type Setting = {
  readonly key: string;
  readonly value: Plain | Readonly<Record<string, Plain>> | null;
  readonly source: string;
};

/** Every effective setting, in the order of the documentation. Paths to secrets are shown, secrets are never among the values. */
export function listSettings({ config, sources }: LoadedConfig): Setting[] {
  const { queue, run, merge, push, tag, backup, gate, notify, log } = config;
  const [gateOfAll] = gate.gates;
  const { slack, webhook, email } = notify;
  const values: readonly (readonly [string, Setting["value"]])[] = [
    ["queue.database", queue.database],
    ["queue.auth_token_file", queue.authTokenFile],
    ["run.batch_size", run.batchSize],
    ["run.merge_timeout", formatDuration(run.mergeTimeoutMs)],
    ["run.max_runtime", formatDuration(run.maxRuntimeMs)],
    ["run.parallel", run.parallel],
    ["merge.target", merge.target],
    ["merge.strategy", merge.strategy],
    ["merge.heads", merge.heads],
    ["merge.uncommitted", merge.uncommitted],
    ["merge.ignore_uncommitted", merge.ignoreUncommitted],
    ["merge.keep_target", merge.keepTarget],
    ["push.mode", push.mode],
    ["push.remote", push.remote],
    ["push.unpublished", push.unpublished],
    ["push.diverged", push.diverged],
    ["push.timeout", formatDuration(push.timeoutMs)],
    ["tag.mode", tag.mode],
    ["backup.keep", formatDuration(backup.keepMs)],
    ["gate.command", gateOfAll?.command ?? null],
    ["gate.timeout", gateOfAll === undefined ? null : formatDuration(gateOfAll.timeoutMs)],
    // By name only: a value may be a secret.
    ["gate.env", gateOfAll === undefined ? null : Object.keys(gateOfAll.env)],
    ["gate.mode", gate.mode],
    ["notify.on", notify.on],
    ["notify.held_after", formatDuration(notify.heldAfterMs)],
    ["notify.push_after", formatDuration(notify.pushAfterMs)],
    ["notify.slack", slack && known({ url_file: slack.urlFile })],
    [
      "notify.webhook",
      webhook &&
        known({
          url: webhook.url === null ? null : withoutPath(webhook.url),
          url_file: webhook.urlFile,
          secret_file: webhook.secretFile,
        }),
    ],
    [
      "notify.email",
      email &&
        known({
          host: email.host,
          port: email.port,
          security: email.security,
          user: email.user,
          password_file: email.passwordFile,
          from: email.from,
          to: email.to,
        }),
    ],
    ["notify.desktop", notify.desktop],
    ["notify.command", notify.command],
    ["log.file", log.file],
    ["log.level", log.level],
    ["log.format", log.format],
    ["log.max_size", formatSize(log.maxSizeBytes)],
  ];
  return values.map(([key, value]) => ({ key, value, source: sourceOf(key, sources) }));
}

/** Of a table, where its first key came from. */
function sourceOf(key: string, sources: LoadedConfig["sources"]): string {
  const inner = [...sources.keys()].find((name) => name.startsWith(`${key}.`));
  return sources.get(key) ?? sources.get(inner ?? "") ?? "default";
}

const known = (table: Readonly<Record<string, Plain | null>>): Record<string, Plain> =>
  Object.fromEntries(Object.entries(table).flatMap(([key, value]) => (value === null ? [] : [[key, value]])));

/** What follows the host of such an address is often as good as a password. */
function withoutPath(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return pathname === "/" && search === "" ? url : `${origin}/…`;
}
