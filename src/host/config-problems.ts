import type * as z from "zod/mini";
import { findNonsense } from "./config-meaning.ts";
import { findNotifyNonsense } from "./config-notify.ts";
import { configSchema, notBuilt, notBuiltValues } from "./config-schema.ts";
import { didYouMean } from "./nearest.ts";

/** One thing that is wrong with the configuration. `line` is null for what a variable said. */
export type Problem = {
  readonly line: number | null;
  readonly key: string | null;
  readonly sentence: string;
  readonly wayOut: string;
};

/** Where the keys of a parsed configuration came from. */
export type Origins = {
  readonly file: string;
  readonly lines: ReadonlyMap<string, number>;
  /** variables by key */
  readonly variables: Map<string, string>;
};

/** Everything that is wrong with `raw`, in the order of the file. Empty means that configSchema takes it. */
export function findProblems(raw: Record<string, unknown>, origins: Origins): Problem[] {
  const refused = findNotBuilt(raw, []);
  const problems = refused.map((path) => notBuiltProblem(path, valueAt(raw, path), origins));
  const result = configSchema.safeParse(raw);
  for (const issue of (result.error?.issues ?? []).flatMap((one) => innermost(one, raw))) {
    const path = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        if (!isCovered([...path, key], refused))
          problems.push(unknownKey(path, key, valueAt(raw, [...path, key]), origins));
      }
      // an empty match is not complained of when what it held is refused already
    } else if (!isCovered(path, refused) && !refused.some((inner) => isCovered(inner, [path])))
      problems.push(badValue(path, valueAt(raw, path), issue.message, origins));
  }
  for (const { path, says, wayOut } of result.data === undefined || problems.length > 0
    ? []
    : [...findNonsense(result.data), ...findNotifyNonsense(result.data, origins.variables)]) {
    problems.push(problem(path, `${label(path, origins)} ${says}`, wayOut, origins));
  }
  return problems.sort((a, b) => (a.line ?? Number.POSITIVE_INFINITY) - (b.line ?? Number.POSITIVE_INFINITY));
}

type Issue = z.core.$ZodIssue;

/**
 * Of a value that may be one of several things: what is wrong with the one that it was meant to be, a table where a table stands. A list
 * of such is asked item by item by zod itself.
 */
function innermost(issue: Issue, raw: unknown): Issue[] {
  if (issue.code !== "invalid_union") return [issue];
  const value = valueAt(raw, issue.path.map(String));
  if (typeof value !== "object" || value === null) return [issue];
  const meant = issue.errors.find((inner) =>
    inner.every(({ path, code }) => path.length > 0 || code !== "invalid_type"),
  );
  if (meant === undefined || meant.length === 0) return [issue];
  return meant.flatMap((inner) => innermost({ ...inner, path: [...issue.path, ...inner.path] }, raw));
}

/** The paths of what is documented and not built: whole sections, keys of rules, and single values. */
function findNotBuilt(raw: Record<string, unknown>, at: readonly string[]): string[][] {
  const found: string[][] = [];
  for (const [key, value] of Object.entries(raw)) {
    const path = [...at, key];
    const table = at.filter((name) => !/^[0-9]+$/.test(name)).join(".");
    const isSection = at.length === 0 && key !== "rule" && notBuilt.has(key);
    if (isSection || notBuilt.get(table)?.includes(key) || notBuiltValues.get(path.join("."))?.(value))
      found.push(path);
    else if (typeof value === "object" && value !== null) found.push(...findNotBuilt({ ...value }, path));
  }
  return found;
}

const isCovered = (path: readonly string[], refused: readonly string[][]): boolean =>
  refused.some((outer) => outer.every((name, i) => path[i] === name));

function notBuiltProblem(path: readonly string[], given: unknown, origins: Origins): Problem {
  const value = notBuiltValues.has(path.join(".")) ? ` = ${shown(given)}` : "";
  // a section that only a variable made has no line, but then one of its keys has the variable
  const of = origins.lines.has(path.join(".")) ? path : [...path, ...onlyKey(path, origins)];
  return problem(
    of,
    `${label(of, origins)}${value} belongs to a feature that this version does not have yet.`,
    "Take it out: to ignore it would be to pretend that it works.",
    origins,
  );
}

function onlyKey(path: readonly string[], origins: Origins): string[] {
  const start = `${path.join(".")}.`;
  const key = [...origins.variables.keys()].find((name) => name.startsWith(start));
  return key === undefined ? [] : [key.slice(start.length)];
}

function unknownKey(table: readonly string[], key: string, value: unknown, origins: Origins): Problem {
  const known = knownKeys(table);
  const path = [...table, key];
  if (table.length === 0) {
    const isTable = typeof value === "object" && value !== null;
    const what = isTable
      ? `section [${key}].${didYouMean(key, known)}`
      : `key ${JSON.stringify(key)} outside any section.`;
    return problem(path, `unknown ${what}`, `The sections are: ${known.join(", ")}.`, origins);
  }
  return problem(
    path,
    `unknown key ${JSON.stringify(key)} in ${tableName(table)}.${didYouMean(key, known)}`,
    `Its keys are: ${known.join(", ")}.`,
    origins,
  );
}

function badValue(path: readonly string[], value: unknown, wanted: string, origins: Origins): Problem {
  const takes = value === undefined ? "is missing" : `does not take ${shown(value)}`;
  return problem(path, `${label(path, origins)} ${takes}.`, `Give ${wanted}.`, origins);
}

function problem(path: readonly string[], text: string, wayOut: string, origins: Origins): Problem {
  const key = path.join(".");
  if (origins.variables.has(key)) return { line: null, key, sentence: text, wayOut };
  // what is missing has no line of its own: its table's is the nearest
  let depth = path.length;
  while (depth > 0 && !origins.lines.has(path.slice(0, depth).join("."))) depth--;
  const line = origins.lines.get(path.slice(0, depth).join(".")) ?? null;
  return { line, key, sentence: line === null ? text : `${origins.file}:${line}: ${text}`, wayOut };
}

/** `[run] batch_size`, `[[rule]] target`, or the variable that said it. */
function label(path: readonly string[], origins: Origins): string {
  const variable = origins.variables.get(path.join("."));
  if (variable !== undefined) return variable;
  const last = path.at(-1) ?? "";
  if (path.length === 1 || (path.length === 2 && path[0] === "rule")) return tableName(path);
  if (/^[0-9]+$/.test(last)) return `${label(path.slice(0, -1), origins)} item ${Number(last) + 1}`;
  return `${tableName(path.slice(0, -1))} ${last}`;
}

function tableName(path: readonly string[]): string {
  if (path[0] !== "rule") return `[${path.join(".")}]`;
  return ["[[rule]]", ...path.slice(2).filter((name) => !/^[0-9]+$/.test(name))].join(" ");
}

function knownKeys(table: readonly string[]): string[] {
  let at: unknown = configSchema;
  for (const key of table) at = entry(shapes(at), key) ?? at; // the number of a list's item leads nowhere further
  return Object.keys(Object.assign({}, ...shapes(at)));
}

/** The shapes of the tables that a schema may be, through whatever is around them. */
function shapes(schema: unknown): Record<string, unknown>[] {
  const def = entry([schema], "def");
  if (typeof def !== "object" || def === null) return [];
  if ("shape" in def && typeof def.shape === "object" && def.shape !== null) return [{ ...def.shape }];
  const inner = [entry([def], "innerType"), entry([def], "element")];
  const options = "options" in def && Array.isArray(def.options) ? def.options : [];
  return [...inner, ...options].flatMap(shapes);
}

function entry(tables: readonly unknown[], key: string): unknown {
  for (const table of tables) {
    const found = typeof table === "object" && table !== null ? Reflect.get(table, key) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function valueAt(raw: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, key) =>
      typeof at === "object" && at !== null ? Object.entries(at).find(([name]) => name === key)?.[1] : undefined,
    raw,
  );
}

/** A value as a person wrote it, shortened; never one that holds the password of a URL. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  if (/:\/\/[^/?#"]*@|authToken=/.test(text)) return "a URL with a secret in it";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
