import { readFileSync, statSync } from "node:fs";
import { exitCode, UserError } from "../core/errors.ts";
import type { NotifySettings } from "../core/notify.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** A secret, and where it may be: in a variable, which comes first, or in a file. */
type Secret = {
  /** for a person: what it is */
  readonly what: string;
  readonly variable: string;
  readonly file: string | null;
  /** the key that names the file */
  readonly key: string;
};

/**
 * The token for a libSQL server: from ORCHESTRATOR_MERGE_AUTH_TOKEN, else from the file that [queue] auth_token_file names, else none.
 * Throws UserError(2) when that file cannot be read or is empty.
 */
export function readAuthToken(env: Env, file: string | null): string | undefined {
  const variable = "ORCHESTRATOR_MERGE_AUTH_TOKEN";
  return readSecret(env, { what: "token", variable, file, key: "[queue] auth_token_file" }) ?? undefined;
}

/** The token that the dashboard demands: from the file, if one is named, else from ORCHESTRATOR_MERGE_DASHBOARD_TOKEN, else none. */
export function readDashboardToken(env: Env, file: string | null): string | null {
  const variable = file === null ? "ORCHESTRATOR_MERGE_DASHBOARD_TOKEN" : "";
  return readSecret(env, { what: "token", variable, file, key: "--token-file" });
}

/** The secrets of the notifiers that are wanted, by what they are for. */
export function notifySecrets(settings: NotifySettings) {
  const { slack, webhook, email } = settings;
  const prefix = "ORCHESTRATOR_MERGE_NOTIFY_";
  const secret = (what: string, name: string, file: string | null | undefined, key: string): Secret => ({
    what,
    variable: `${prefix}${name}`,
    file: file ?? null,
    key: `[notify] ${key}`,
  });
  return {
    slack: secret("address", "SLACK_URL", slack?.urlFile, "slack url_file"),
    webhookUrl: secret("address", "WEBHOOK_URL", webhook?.urlFile, "webhook url_file"),
    webhookSecret: secret("secret", "WEBHOOK_SECRET", webhook?.secretFile, "webhook secret_file"),
    email: secret("password", "EMAIL_PASSWORD", email?.passwordFile, "email password_file"),
  };
}

/** The environment without what is secret in it: for the programs of others. */
export function withoutSecrets(env: Env): Env {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !/^ORCHESTRATOR_MERGE_((AUTH|DASHBOARD)_TOKEN$|NOTIFY_.*(URL|SECRET|PASSWORD)$)/.test(name),
    ),
  );
}

/** The secret without the white space around it; null when neither variable nor file is given. Throws UserError(2), which never repeats it. */
export function readSecret(env: Env, { what, variable, file, key }: Secret): string | null {
  const given = env[variable]?.trim();
  if (given) return given;
  if (file === null) return null;
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
    throw new UserError(
      exitCode.usage,
      `the ${what} file ${file} cannot be read${code}.`,
      `Correct ${key}, or the rights of the file.`,
      { cause },
    );
  }
  if (text === "")
    throw new UserError(exitCode.usage, `the ${what} file ${file} is empty.`, `Put the ${what} into it.`);
  return text;
}

/** The same for an address: http or https, and without user and password, which a library would repeat in its errors. */
export function readAddress(env: Env, secret: Secret): string | null {
  const text = readSecret(env, secret);
  if (text === null) return null;
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "") return text;
  const where = env[secret.variable]?.trim() ? secret.variable : `the file ${secret.file}`;
  throw new UserError(
    exitCode.usage,
    `${where} holds no http or https URL without user and password.`,
    `Correct what ${secret.key} names.`,
  );
}

/** Whether others than its owner may read a file; false for one that is not there. */
export function isOpenToOthers(file: string): boolean {
  return ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0;
}
