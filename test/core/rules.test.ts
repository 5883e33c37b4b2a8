import { expect, test } from "vitest";
import type { Rule, RuleSettings } from "../../src/core/rules.ts";
import { settingsFor } from "../../src/core/rules.ts";

const sections = { merge: { target: "auto" }, push: { mode: "auto" } } as const;
const project = { name: "api", path: "/work/api", tags: ["critical"] };
const rule = (name: string, set: Partial<RuleSettings>): Rule => ({
  match: { name },
  matches: (subject) => subject.name === name,
  set,
  source: "test",
});

test("without rules the sections decide, and nothing is trusted", () => {
  expect(settingsFor(project, { ...sections, rules: [] })).toEqual({
    trust: false,
    action: "merge",
    target: "auto",
    push: "auto",
  });
});

test("a later match overrides an earlier one key by key, and a rule for another project does nothing", () => {
  const rules = [
    rule("api", { trust: true, target: "develop", push: "off" }),
    rule("web", { action: "skip" }),
    rule("api", { target: "main" }),
  ];
  expect(settingsFor(project, { ...sections, rules })).toEqual({
    trust: true,
    action: "merge",
    target: "main",
    push: "off",
  });
});

test("what [push] turned off, a rule can turn on for one project", () => {
  const off = { ...sections, push: { mode: "off" as const } };
  expect(settingsFor(project, { ...off, rules: [] }).push).toBe("off");
  expect(settingsFor(project, { ...off, rules: [rule("api", { push: "auto" })] }).push).toBe("auto");
});
