import type { Env, LoadedConfig } from "./config.ts";
import { defaults } from "./config.ts";
import type { ConfigFile } from "./paths.ts";

export async function readConfig(
  file: ConfigFile | undefined,
  _variables: ReadonlyMap<string, string>,
  _given: { readonly env: Env; readonly cwd: string },
): Promise<LoadedConfig> {
  return { config: defaults, file, sources: new Map(), warnings: [] };
}
