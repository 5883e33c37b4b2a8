import type { Row, Value } from "@libsql/client";
import { expect, test } from "vitest";
import { generationOf } from "../../src/queue/generation.ts";
import { integer, requiredInteger, requiredText, selectColumns, text, value } from "../../src/queue/rows.ts";

const row = (fields: Record<string, Value>): Row => ({ length: Object.keys(fields).length, ...fields });
const blob = (content: string): ArrayBuffer => new Uint8Array(Buffer.from(content)).buffer;

test("columns read by what they hold, and as null when they are not there", () => {
  const stored = row({ a: "x", b: 5, c: 5.9, d: null, e: "42", f: "", g: 2n ** 60n, h: blob("é"), i: "4x" });
  expect(["a", "b", "d", "h", "zz"].map((name) => text(stored, name))).toEqual(["x", "5", null, "é", null]);
  expect(["b", "c", "d", "e", "f", "g", "i", "zz"].map((name) => integer(stored, name))).toEqual([
    5,
    5,
    null,
    42,
    null,
    null,
    null,
    null,
  ]);
  expect(value(stored, "toString")).toBeNull();
});

test("required columns throw when they are NULL", () => {
  expect(requiredText(row({ a: "x" }), "a")).toBe("x");
  expect(requiredInteger(row({ a: 7n }), "a")).toBe(7);
  expect(() => requiredText(row({ a: null }), "a")).toThrow("column a");
  expect(() => requiredInteger(row({ a: "x" }), "a")).toThrow("column a");
});

test("columns that a layout lacks are selected as NULL", () => {
  expect(selectColumns(new Set(["id"]), "q", ["id", "priority"])).toMatch(
    /^CASE .*q\."id".* AS "id", NULL AS "priority"$/,
  );
});

test("generations: equal for equal values of another type, different for everything else", () => {
  const generation = (started: Value, completed: Value): string =>
    generationOf(row({ spec_path: "/a b.md", started_at: started, completed_at: completed }));
  expect(generation(600, 700.5)).toBe('["/a b.md",600,700.5]');
  expect(generation(600n, 700.5)).toBe(generation(600, 700.5));
  const different = [
    generation(600, 700),
    generation(600, 700.25),
    generation(600, "700"),
    generation(600, null),
    generation(600, "null"),
    generation(600, Number.POSITIVE_INFINITY),
    generation(null, 700),
    generation(600, 1_777_888_800_000_000_001n),
    generation(600, 1_777_888_800_000_000_002n),
    generationOf(row({ spec_path: null, started_at: 600, completed_at: 700 })),
  ];
  expect(new Set(different).size).toBe(different.length);
  expect(generationOf(row({ spec_path: blob("/a b.md"), started_at: 600, completed_at: 700 }))).toBe(different[0]);
  expect(generationOf(row({ spec_path: "x" }))).toBe('["x",null,null]');
});
