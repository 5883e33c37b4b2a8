import { parseDuration } from "../core/durations.ts";
import type { Gate, Rule, RuleSettings, RuleSubject, Window } from "../core/rules.ts";
import type { Env } from "./config.ts";
import { type RawConfig, weekdays } from "./config-schema.ts";
import { expandHome } from "./paths.ts";

type RawRule = NonNullable<RawConfig["rule"]>[number];
type RawGate = { readonly [K in "name" | "timeout"]?: string | undefined } & {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>> | undefined;
};

/** Milliseconds. */
export const defaultGateTimeoutMs = 300_000;

/** The [[rule]]s, ready to be asked. `sources` tells where each stands, by its key (`rule.0`). */
export async function readRules(raw: RawConfig, sources: ReadonlyMap<string, string>, env: Env): Promise<Rule[]> {
  if (raw.rule === undefined || raw.rule.length === 0) return [];
  const { default: picomatch } = await import("picomatch");
  const glob = (pattern: string | undefined): ((text: string) => boolean) =>
    pattern === undefined ? () => true : picomatch(expandHome(pattern, env), { dot: true });
  return raw.rule.map(({ match, ...said }, index): Rule => {
    const [name, path, spec] = [glob(match.name), glob(match.path), glob(match.spec)];
    const priority = comparison(match.priority);
    return {
      match: defined(match),
      matches: (subject: RuleSubject) =>
        name(subject.name) &&
        path(subject.path) &&
        spec(subject.spec) &&
        (match.tag === undefined || subject.tags.includes(match.tag)) &&
        (match.type === undefined || subject.types?.has(match.type) === true) &&
        priority(subject.priority),
      set: settings(said),
      source: sources.get(`rule.${index}`) ?? `rule ${index + 1}`,
    };
  });
}

/** What a rule sets, in the program's own terms; `false` takes back what an earlier rule said. */
function settings({ window, freeze, gate, notify, ...plain }: Omit<RawRule, "match">): Partial<RuleSettings> {
  return {
    ...defined(plain),
    ...(window === undefined ? {} : { window: window === false ? null : readWindow(window) }),
    ...(freeze === undefined
      ? {}
      : {
          freeze:
            freeze === false ? null : { from: freeze.from ?? null, until: freeze.until, zone: freeze.zone ?? here() },
        }),
    ...(gate === undefined ? {} : { gate: readGates(gate) }),
    ...(notify === undefined ? {} : { notify: notify === false ? [] : notify }),
  };
}

function readWindow(raw: Exclude<RawRule["window"], false | undefined>): Window {
  return {
    days: (raw.days ?? weekdays).map((day) => weekdays.indexOf(day) + 1),
    from: raw.from ?? "00:00",
    to: raw.to ?? "24:00",
    zone: raw.zone ?? here(),
  };
}

function readGates(raw: NonNullable<RawRule["gate"]>): Gate[] {
  if (raw === false) return [];
  return (Array.isArray(raw) ? raw : [raw]).map(readGate);
}

/** A gate as the file has it; it is called by its command when it has no name. */
export function readGate(raw: RawGate): Gate {
  return {
    name: raw.name ?? raw.command.join(" "),
    command: raw.command,
    timeoutMs: parseDuration(raw.timeout ?? "") ?? defaultGateTimeoutMs,
    env: raw.env ?? {},
  };
}

/** The zone of this host. */
function here(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** `>= 5` as a test; a number alone is that very priority. */
function comparison(text: string | undefined): (priority: number) => boolean {
  const [, sign = "=", digits] = text?.match(/^(>=|<=|>|<|=)? ?(-?[0-9]+)$/) ?? [];
  if (digits === undefined) return () => true;
  const bound = Number(digits);
  switch (sign) {
    case ">=":
      return (priority) => priority >= bound;
    case "<=":
      return (priority) => priority <= bound;
    case ">":
      return (priority) => priority > bound;
    case "<":
      return (priority) => priority < bound;
    default:
      return (priority) => priority === bound;
  }
}

/** Without the keys that are undefined, which would override with nothing. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {};
  for (const key in value) {
    const inner = value[key];
    if (inner !== undefined) kept[key] = inner as Exclude<T[typeof key], undefined>; // narrowed by the line above
  }
  return kept;
}
