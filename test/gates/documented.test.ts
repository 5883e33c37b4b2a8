import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeRepo } from "../helpers/repo.ts";
import { world } from "./world.ts";

/* The examples of docs/rules.md, as they stand there, on small packages of their kind. */

const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "rules.md"), "utf8");
const section = /^## Gates\n(.*?)(?=^## |(?![\s\S]))/ms.exec(page)?.[1] ?? "";
const examples = [...section.matchAll(/^```toml\n(.*?)^```/gms)].map(([, text = ""]) => text);

/** A package whose `npm test` runs a real test. */
const files = {
  "package.json": JSON.stringify({ name: "sum", type: "module", scripts: { test: "node --test" } }),
  "sum.js": "export const sum = (a, b) => a + b;\n",
  "sum.test.js": `import { test } from "node:test";
import assert from "node:assert";
import { sum } from "./sum.js";
test("sums", () => assert.equal(sum(1, 2), 3));
`,
};
const broken = { "sum.js": "export const sum = (a, b) => a - b;\n" };

test("npm test of a real package: what breaks it does not land", async () => {
  const repo = makeRepo({ files });
  const w = await world(repo, ["good", "bad"], { bad: broken });
  const done = await w.run([], examples[0]);
  expect(done.of(1).outcome).toBe("merged");
  expect(done.of(2)).toMatchObject({ reason: "gate_failed" });
  expect(done.of(2).detail).toContain("gate npm test fails (exit 1)");
  const [{ outputFile } = {}] = await w.gatesOf(2);
  expect(readFileSync(String(outputFile), "utf8")).toContain("AssertionError");
  expect(repo.read("sum.js")).toBe(files["sum.js"]);
});

test("gates by rule: each kind of project its own, and none for what a rule excepts", async () => {
  const repo = makeRepo({ files: { "setup.py": "", "test_x.py": "import unittest\n" } });
  const names = ["good", "bad", "docs-bad"];
  const w = await world(
    repo,
    names,
    Object.fromEntries(names.slice(1).map((name) => [name, { [`${name}.py`]: "def (:\n" }])),
  );
  const done = await w.run([], examples[1]);
  expect([1, 2, 3].map((id) => done.of(id).outcome)).toEqual(["merged", "merge_failed", "merged"]);
  expect(done.of(2).detail).toContain("gate lint fails (exit 1)");
  expect(await w.gatesOf(1)).toMatchObject([{ name: "lint" }, { name: "tests" }]);
});

test("a batch", async () => {
  const repo = makeRepo({ files });
  const w = await world(repo, ["one", "bad", "two"], { bad: broken });
  const done = await w.run([], examples[2]);
  expect([1, 2, 3].map((id) => done.of(id).outcome)).toEqual(["merged", "merge_failed", "merged"]);
  expect(examples).toHaveLength(3);
});
