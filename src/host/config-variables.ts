import { parse } from "smol-toml";
import { configSchema, notBuilt } from "./config-schema.ts";
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
    raw[key.section] ??= {};
    const section = raw[key.section];
    if (typeof section !== "object" || section === null) continue; // the file is wrong, and said to be
    Object.assign(section, { [key.name]: typed(value, key.type) });
    origins.set(`${key.section}.${key.name}`, variable);
  }
  return warnings;
}

type Key = { readonly section: string; readonly name: string; readonly type: string };

/** Every key of a section, those that are not built too (they are refused, not unknown). Rules have no variables. */
function knownVariables(): Map<string, Key> {
  const known = new Map<string, Key>();
  const add = (section: string, name: string, type: string): void => {
    known.set(`${prefix}${section}_${name}`.toUpperCase(), { section, name, type });
  };
  const { rule: _, ...sections } = configSchema.shape;
  for (const [section, schema] of Object.entries(sections)) {
    for (const [name, key] of Object.entries(schema.def.innerType.shape))
      add(section, name, key.def.innerType.def.type);
  }
  for (const [section, names] of notBuilt) {
    if (!section.startsWith("rule")) for (const name of names) add(section, name, "string");
  }
  return known;
}

function typed(value: string, type: string): unknown {
  if ((type === "number" || type === "literal") && /^[0-9]+$/.test(value)) return Number(value);
  if (type !== "array") return value;
  if (!value.trimStart().startsWith("[")) return value.split(",").map((item) => item.trim());
  try {
    return parse(`value = ${value}`)["value"];
  } catch {
    return value;
  }
}
