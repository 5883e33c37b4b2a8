import { readFileSync } from "node:fs";
import { exitCode, UserError } from "../core/errors.ts";

/**
 * The token for a libSQL server: from ORCHESTRATOR_MERGE_AUTH_TOKEN, else from the file that [queue] auth_token_file names, else none.
 * Throws UserError(2) when that file cannot be read or is empty.
 */
export function readAuthToken(
  env: Readonly<Record<string, string | undefined>>,
  file: string | null,
): string | undefined {
  const given = env["ORCHESTRATOR_MERGE_AUTH_TOKEN"]?.trim();
  if (given) return given;
  if (file === null) return undefined;
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
    throw new UserError(
      exitCode.usage,
      `the token file ${file} cannot be read${code}.`,
      "Correct [queue] auth_token_file, or the rights of the file.",
      { cause },
    );
  }
  if (text === "") throw new UserError(exitCode.usage, `the token file ${file} is empty.`, "Put the token into it.");
  return text;
}
