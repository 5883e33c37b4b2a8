import { parse } from "smol-toml";

/**
 * The line (from 1) on which each key and table of a valid TOML document begins, by its path: `run`, `run.batch_size`, `rule.0.match`.
 * smol-toml gives no positions, and a second TOML grammar here would be wrong somewhere; so the document is cut where its
 * own parser says that a statement ends.
 */
export function keyLines(text: string): Map<string, number> {
  const found = new Map<string, number>();
  const tables = new Map<string, number>(); // how many tables a [[name]] has so far
  const lines = text.split(/\r?\n/);
  let table: readonly string[] = [];
  for (let first = 0; first < lines.length; first++) {
    let last = first;
    let statement = lines[first] ?? "";
    let parsed = tryParse(statement);
    while (parsed === undefined && last + 1 < lines.length) {
      last++;
      statement += `\n${lines[last]}`;
      parsed = tryParse(statement);
    }
    if (/^\s*\[/.test(statement)) {
      table = headerPath(parsed, tables);
      for (let n = 1; n <= table.length; n++) note(found, table.slice(0, n), first + 1);
    } else noteAll(found, table, parsed, first + 1);
    first = last;
  }
  return found;
}

/** `[a.b]` parses as {a: {b: {}}} and `[[a]]` as {a: [{}]}; a name that is an array means its latest table. */
function headerPath(parsed: unknown, tables: Map<string, number>): string[] {
  const path: string[] = [];
  for (let at = parsed; isTable(at) && Object.keys(at).length > 0; ) {
    const [key, value] = Object.entries(at)[0] ?? ["", undefined];
    path.push(key);
    const name = path.join(".");
    if (Array.isArray(value)) tables.set(name, (tables.get(name) ?? -1) + 1);
    const index = tables.get(name);
    if (index !== undefined) path.push(String(index));
    at = Array.isArray(value) ? value[0] : value;
  }
  return path;
}

/** Every key of a statement stands on its first line, those inside an inline table too. */
function noteAll(found: Map<string, number>, path: readonly string[], value: unknown, line: number): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    note(found, [...path, key], line);
    noteAll(found, [...path, key], inner, line);
  }
}

function note(found: Map<string, number>, path: readonly string[], line: number): void {
  const name = path.join(".");
  if (!found.has(name)) found.set(name, line);
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function tryParse(statement: string): unknown {
  try {
    return parse(statement);
  } catch {
    return undefined;
  }
}
