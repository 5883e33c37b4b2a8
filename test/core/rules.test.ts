import { expect, test } from "vitest";
import { projectTypesOf } from "../../src/core/projectType.ts";
import type { Rule, RuleSettings } from "../../src/core/rules.ts";
import { decide } from "../../src/core/rules.ts";

const sections = {
  merge: { target: "auto", strategy: "merge" },
  gate: { gates: [] },
  push: { mode: "auto" },
} as const;
const project = { name: "api", path: "/work/api", spec: "/specs/api.md", tags: ["critical"], priority: 0, types: null };
const rule = (name: string, set: Partial<RuleSettings>): Rule => ({
  match: { name },
  matches: (subject) => subject.name === name,
  set,
  source: `rule ${Object.keys(set)}`,
});

test("without rules the sections decide, and nothing is trusted", () => {
  const { settings, by } = decide(project, { ...sections, rules: [] });
  expect(settings).toEqual({
    trust: false,
    action: "merge",
    approval: false,
    window: null,
    freeze: null,
    after: [],
    strategy: "merge",
    target: "auto",
    gate: [],
    push: "auto",
    notify: null,
  });
  expect(by.size).toBe(0);
});

test("a later match overrides an earlier one key by key, is named for it, and a rule for another project does nothing", () => {
  const rules = [
    rule("api", { trust: true, target: "develop", push: "off" }),
    rule("web", { action: "skip" }),
    rule("api", { target: "main" }),
  ];
  const { settings, by } = decide(project, { ...sections, rules });
  expect(settings).toMatchObject({ trust: true, action: "merge", target: "main", push: "off" });
  expect(Object.fromEntries(by)).toEqual({
    trust: "rule trust,target,push",
    push: "rule trust,target,push",
    target: "rule target",
  });
});

test("what [push] turned off, a rule can turn on for one project", () => {
  const off = { ...sections, push: { mode: "off" as const } };
  expect(decide(project, { ...off, rules: [] }).settings.push).toBe("off");
  expect(decide(project, { ...off, rules: [rule("api", { push: "auto" })] }).settings.push).toBe("auto");
});

test("a project is of every type whose marker lies at its top", () => {
  expect([...projectTypesOf(["package.json", "README.md", "pyproject.toml"])]).toEqual(["node", "python"]);
  expect([...projectTypesOf(["shop.sln"])]).toEqual(["dotnet"]);
  expect([...projectTypesOf(["Cargo.toml.bak"])]).toEqual([]);
});
