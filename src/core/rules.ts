import type { EventName } from "./notify.ts";

/** What a rule may look at. */
export type RuleSubject = {
  readonly name: string;
  readonly path: string;
  /** the path of its spec file; empty when its row names none */
  readonly spec: string;
  readonly tags: readonly string[];
  readonly priority: number;
  /** What its files show it to be (core/projectType.ts); null while nobody has looked: then no rule that asks for a type matches. */
  readonly types: ReadonlySet<string> | null;
};

/** When projects may land: local wall-clock times of a zone, on the days on which a window opens. */
export type Window = {
  /** 1 is Monday, 7 Sunday */
  readonly days: readonly number[];
  /** `HH:MM`; `to` at or before `from` is on the next day, `24:00` the end of this one */
  readonly from: string;
  readonly to: string;
  /** IANA name */
  readonly zone: string;
};

/** A span of time in which nothing lands: plain dates or date-times of a zone, the end not included. */
export type Freeze = { readonly from: string | null; readonly until: string; readonly zone: string };

/** A command that decides whether a merged result is good. */
export type Gate = {
  readonly name: string;
  readonly command: readonly string[];
  readonly timeoutMs: number;
  readonly env: Readonly<Record<string, string>>;
};

export const strategies = ["merge", "squash", "rebase", "ff"] as const;
export type Strategy = (typeof strategies)[number];

/** What a rule may say. */
export type RuleSettings = {
  readonly trust: boolean;
  readonly action: "merge" | "skip";
  readonly approval: boolean;
  /** null: at any time */
  readonly window: Window | null;
  readonly freeze: Freeze | null;
  /** names of projects that must have landed before */
  readonly after: readonly string[];
  readonly strategy: Strategy;
  /** a branch name, or "auto" */
  readonly target: string;
  /** in this order; none passes all */
  readonly gate: readonly Gate[];
  readonly push: "auto" | "off";
  /** what people are told of it; null: what [notify] says */
  readonly notify: readonly EventName[] | null;
};

/** One [[rule]]: what it says, and the test that its `match` became when the configuration was read. */
export type Rule = {
  /** as it was written */
  readonly match: Readonly<Record<string, string | number>>;
  readonly matches: (subject: RuleSubject) => boolean;
  readonly set: Partial<RuleSettings>;
  /** for a person: where it stands */
  readonly source: string;
};

/** The part of the configuration that decides about one project. */
export type RuleBook = {
  readonly merge: { readonly target: string; readonly strategy: Strategy };
  readonly gate: { readonly gates: readonly Gate[] };
  readonly push: { readonly mode: "auto" | "off" };
  readonly rules: readonly Rule[];
};

/** The effective settings of one project, and by key the rule that decided; keys that no rule set are absent there. */
export type Decided = {
  readonly settings: RuleSettings;
  readonly by: ReadonlyMap<keyof RuleSettings, string>;
};

/** One list for all who wait for nobody: who asks again can tell that nothing has changed. */
const nobody: readonly string[] = [];

/**
 * The settings for one candidate: those of the sections, then of every rule that matches, in order; a later one overrides
 * an earlier one, key by key.
 */
export function decide(subject: RuleSubject, book: RuleBook): Decided {
  let settings: RuleSettings = {
    trust: false,
    action: "merge",
    approval: false,
    window: null,
    freeze: null,
    after: nobody,
    strategy: book.merge.strategy,
    target: book.merge.target,
    gate: book.gate.gates,
    push: book.push.mode,
    notify: null,
  };
  const by = new Map<keyof RuleSettings, string>();
  const keys = Object.keys(settings) as (keyof RuleSettings)[]; // the literal above has them all
  for (const rule of book.rules) {
    if (!rule.matches(subject)) continue;
    settings = { ...settings, ...rule.set };
    for (const key of keys) if (key in rule.set) by.set(key, rule.source);
  }
  return { settings, by };
}

/** Whether any rule asks what type a project is: only then its files are looked at for that. */
export function asksForType(book: Pick<RuleBook, "rules">): boolean {
  return book.rules.some((rule) => "type" in rule.match);
}
