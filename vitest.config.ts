import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vitest/config";

/** What the build does with unit files: their text, as a module. */
const unitFiles: Plugin = {
  name: "unit-files",
  load(id) {
    return /\.(service|timer)$/.test(id) ? `export default ${JSON.stringify(readFileSync(id, "utf8"))};` : null;
  },
};

/** Tests that need the built artefacts or minutes; the inner loop goes without them. */
const slow = [
  "test/cli/**/*.test.ts",
  "test/landing/**/*.test.ts",
  "test/crash/**/*.test.ts",
  "test/faults/**/*.test.ts",
  "test/gates/**/*.test.ts",
  "test/hostile/**/*.test.ts",
  "test/differential/**/*.test.ts",
  "test/systemd/**/*.test.ts",
  "test/web/**/*.test.ts",
  "test/notify/built.test.ts",
  "test/readme.test.ts",
];

const shared = { plugins: [unitFiles], extends: true as const };

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { ...shared, test: { name: "fast", include: ["test/**/*.test.ts"], exclude: slow } },
      { ...shared, test: { name: "full", include: slow, globalSetup: ["test/built.setup.ts"] } },
    ],
  },
});
