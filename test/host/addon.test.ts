import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../../src/core/errors.ts";
import { loadAddon } from "../../src/host/addon.ts";

const addon = readFileSync(createRequire(import.meta.url).resolve(`@libsql/linux-${process.arch}-gnu`));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "addon-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const cache = (): string => join(directory, "cache", "orchestrator-merge");
const noCache = (): string => {
  throw new Error("the cache must not be asked for");
};
/** Makes every place for an unnamed file fail. */
const nowhere = ["/dev/null/none", "/proc"];

describe("loadAddon", () => {
  // First: once a library is loaded as /proc/self/fd/N, the linker knows it by that name and asks for no bytes.
  test("bytes that are no addon are a sentence with every reason, and exit 3", () => {
    let thrown: unknown;
    try {
      loadAddon(Buffer.from("not an addon"), [directory], cache);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(UserError);
    expect(thrown).toMatchObject({ code: 3, sentence: expect.stringContaining(`${directory}: `) });
  });

  test("loads from a file without a name, and leaves none", () => {
    expect(loadAddon(addon, [directory], noCache)).toHaveProperty("databaseOpen");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("goes on to the next place when one fails", () => {
    expect(loadAddon(addon, [...nowhere, directory], noCache)).toHaveProperty("databaseOpen");
  });

  test("falls back to a private cache, and uses that again", () => {
    expect(loadAddon(addon, nowhere, cache)).toHaveProperty("databaseOpen");
    expect(statSync(cache()).mode & 0o777).toBe(0o700);
    expect(readdirSync(cache())).toEqual(["libsql.node"]);
    const { ino } = statSync(join(cache(), "libsql.node"));
    loadAddon(addon, nowhere, cache);
    expect(statSync(join(cache(), "libsql.node")).ino).toBe(ino);
  });

  test("never loads a cached file whose bytes are not ours", () => {
    loadAddon(addon, nowhere, cache);
    const file = join(cache(), "libsql.node");
    // A new file: the old one is mapped into this process.
    rmSync(file);
    writeFileSync(
      file,
      addon.map((byte, index) => (index === addon.length - 1 ? byte ^ 1 : byte)),
    );
    loadAddon(addon, nowhere, cache);
    expect(readFileSync(file).equals(addon)).toBe(true);
  });

  test("refuses a cache that others can write, and says what to do", () => {
    loadAddon(addon, nowhere, cache);
    chmodSync(cache(), 0o777);
    expect(() => loadAddon(addon, nowhere, cache)).toThrow(
      /could not be loaded .*only this user can write.*Set TMPDIR/,
    );
  });
});
