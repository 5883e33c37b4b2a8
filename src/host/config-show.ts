import { formatDuration } from "../core/durations.ts";
import { formatSize } from "../core/sizes.ts";
import type { LoadedConfig } from "./config.ts";

/** One setting as the file would have it: its key there, its value in the file's notation (null: not set), and who said so. */
export type Setting = {
  readonly key: string;
  readonly value: string | number | boolean | readonly string[] | null;
  readonly source: string;
};

/** Every effective setting, in the order of the documentation. Paths to secrets are shown, secrets are never among the values. */
export function listSettings({ config, sources }: LoadedConfig): Setting[] {
  const { queue, run, merge, push, tag, backup, gate, log } = config;
  const [gateOfAll] = gate.gates;
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
    ["log.file", log.file],
    ["log.level", log.level],
    ["log.format", log.format],
    ["log.max_size", formatSize(log.maxSizeBytes)],
  ];
  return values.map(([key, value]) => ({ key, value, source: sources.get(key) ?? "default" }));
}
