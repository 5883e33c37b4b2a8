import { getRawAsset } from "node:sea";
import { loadAddon } from "./addon.ts";

/**
 * Stands in for `load` of @neon-rs/load in the executable: the addon is an asset of it, uncompressed. Measured: unpacking
 * brotli takes 60-80 ms, which is more than everything else an idle tick does; raw costs 6 MB of file and no time.
 */
export function load(): unknown {
  return loadAddon(new Uint8Array(getRawAsset("libsql.node")));
}
