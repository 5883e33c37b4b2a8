import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { drawTerminal, picture, takeStatus, wordsOf } from "../../docs/status-picture.ts";

test("the README's picture is what status shows (renew it: node build.mjs --run docs/status-picture.ts)", () => {
  const kept = readFileSync(picture, "utf8");
  expect(wordsOf(kept)).toEqual(wordsOf(drawTerminal("orchestrator-merge status", takeStatus())));
  expect(kept).not.toMatch(/<script|href|url\(/);
  expect(readFileSync(new URL("../../README.md", import.meta.url), "utf8")).toContain("(docs/pictures/status.svg)");
});
