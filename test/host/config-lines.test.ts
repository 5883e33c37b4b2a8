import { expect, test } from "vitest";
import { keyLines } from "../../src/host/config-lines.ts";

test("keys and tables stand where a reader sees them, whatever the notation", () => {
  const text = [
    "# a comment with [a] = 1", // 1
    "top = 1", // 2
    "[run] # with a comment", // 3
    "batch_size = 5", // 4
    "many = [ # lines", // 5
    "  1,", // 6
    "]", // 7
    'text = """', // 8
    "[not.a.table]", // 9
    'key = "no key"', // 10
    '"""', // 11
    "after = 1", // 12
    "[[rule]]", // 13
    'match = { name = "x", tag = "y" }', // 14
    "[[rule]]", // 15
    "[rule.match]", // 16
    'name = "z"', // 17
    '"quoted key" = 1', // 18
    "merge.target = 2", // 19
  ].join("\r\n");
  const lines = Object.fromEntries(keyLines(text));
  expect(lines).toMatchObject({
    top: 2,
    run: 3,
    "run.batch_size": 4,
    "run.many": 5,
    "run.text": 8,
    "run.after": 12,
    rule: 13,
    "rule.0": 13,
    "rule.0.match": 14,
    "rule.0.match.tag": 14,
    "rule.1": 15,
    "rule.1.match": 16,
    "rule.1.match.name": 17,
    "rule.1.match.quoted key": 18,
    "rule.1.match.merge.target": 19,
  });
  expect(Object.keys(lines).filter((key) => key.startsWith("not"))).toEqual([]);
});
