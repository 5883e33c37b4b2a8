import { parse } from "smol-toml";
import { configSchema, notBuilt, notifyTables } from "./config-schema.ts";
import { didYouMean } from "./nearest.ts";

const prefix = "ORCHESTRATOR_MERGE_";

/**
 * Puts the values of `ORCHESTRATOR_MERGE_<SECTION>_<KEY>` into `raw`, the parsed file, in place, and notes in `origins` which key
 * came from which variable. Text stays text; numbers are read where the key is a number, and lists are
 * comma-separated or TOML. Gives a warning for each variable that is no key: other programs may own the name, so it is no error.
 */
export function applyVariables(
  raw: Record<string, unknown>,
  variables: ReadonlyMap<string, string>,
  origins: Map<string, string>,
): string[] {
  const keys = knownVariables();
  const warnings: string[] = [];
  for (const [variable, value] of variables) {
    const key = keys.get(variable);
    if (key === undefined) {
      warnings.push(`${variable} is no setting and was ignored.${didYouMean(variable, keys.keys())}`);
      continue;
    }
    origins.set(key.path.join("."), variable);
    const name = key.path.at(-1) ?? "";
    // A secret stays in the environment: the configuration only knows that it is there.
    const table = key.type === "secret" ? null : tableAt(raw, key.path.slice(0, -1));
    if (table !== null) Object.assign(table, { [name]: typed(value, key.type) });
    else if (key.type === "secret" && name === "url") tableAt(raw, key.path.slice(0, -1));
  }
  return warnings;
}

type Key = { readonly path: readonly string[]; readonly type: string };

/** The table at this path, made where it is missing; null when the file has something else there, and is said to be wrong. */
function tableAt(raw: Record<string, unknown>, path: readonly string[]): object | null {
  let at: Record<string, unknown> = raw;
  for (const name of path) {
    at[name] ??= {};
    const inner = at[name];
    if (!isTable(inner)) return null;
    at = inner;
  }
  return at;
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Secrets that a variable may hold itself, by the key that they would have; see secrets.ts. */
const secretKeys: ReadonlyArray<readonly string[]> = [
  ["notify", "slack", "url"],
  ["notify", "webhook", "secret"],
  ["notify", "email", "password"],
];

/** Every key of a section, those that are not built too (they are refused, not unknown). Rules have no variables. */
function knownVariables(): Map<string, Key> {
  const known = new Map<string, Key>();
  const add = (type: string, ...path: readonly string[]): void => {
    known.set(`${prefix}${path.join("_")}`.toUpperCase(), { path, type });
  };
  const { rule: _, ...sections } = configSchema.shape;
  for (const [section, schema] of Object.entries(sections)) {
    for (const [name, key] of Object.entries(schema.def.innerType.shape))
      add(key.def.innerType.def.type, section, name);
  }
  for (const [table, { shape }] of Object.entries(notifyTables)) {
    for (const [name, key] of Object.entries(shape)) {
      const { def } = "innerType" in key.def ? key.def.innerType : key;
      add(def.type, "notify", table, name);
    }
  }
  for (const path of secretKeys) add("secret", ...path);
  for (const [section, names] of notBuilt) {
    if (!section.startsWith("rule")) for (const name of names) add("string", section, name);
  }
  return known;
}

function typed(value: string, type: string): unknown {
  if ((type === "number" || type === "literal") && /^[0-9]+$/.test(value)) return Number(value);
  if (type === "boolean" && (value === "true" || value === "false")) return value === "true";
  if (type !== "array") return value;
  if (!value.trimStart().startsWith("[")) return value.split(",").map((item) => item.trim());
  try {
    return parse(`value = ${value}`)["value"];
  } catch {
    return value;
  }
}
