import { readFileSync } from "node:fs";
import { exitCode, UserError } from "../core/errors.ts";

/**
 * The token for a libSQL server: from ORCHESTRATOR_MERGE_AUTH_TOKEN, else from the file that [queue] auth_token_file names, else none.
 * Throws UserError(2) when that file cannot be read or is empty.
 */
export function readAuthToken(env: Env, file: string | null): string | undefined {
  const given = env["ORCHESTRATOR_MERGE_AUTH_TOKEN"]?.trim();
  return given || (file === null ? undefined : readToken(file, "[queue] auth_token_file"));
}

/**
 * The token that the dashboard demands: from the file, if one is named, else from ORCHESTRATOR_MERGE_DASHBOARD_TOKEN, else none.
 * Throws UserError(2) when that file cannot be read or is empty.
 */
export function readDashboardToken(env: Env, file: string | null): string | null {
  if (file !== null) return readToken(file, "--token-file");
  return env["ORCHESTRATOR_MERGE_DASHBOARD_TOKEN"]?.trim() || null;
}

type Env = Readonly<Record<string, string | undefined>>;

/** What a file says, without the space around it; `named` is where it was named. */
function readToken(file: string, named: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
    throw new UserError(
      exitCode.usage,
      `the token file ${file} cannot be read${code}.`,
      `Correct ${named}, or the rights of the file.`,
      { cause },
    );
  }
  if (text === "") throw new UserError(exitCode.usage, `the token file ${file} is empty.`, "Put the token into it.");
  return text;
}
