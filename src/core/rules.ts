/** What a rule may look at. */
export type RuleSubject = { readonly name: string; readonly path: string; readonly tags: readonly string[] };

/** What a rule may say. */
export type RuleSettings = {
  readonly trust: boolean;
  readonly action: "merge" | "skip";
  /** a branch name, or "auto" */
  readonly target: string;
  readonly push: "auto" | "off";
};

/** One [[rule]]: what it says, and the test that its `match` became when the configuration was read. */
export type Rule = {
  /** as it was written */
  readonly match: { readonly name?: string; readonly path?: string; readonly tag?: string };
  readonly matches: (subject: RuleSubject) => boolean;
  readonly set: Partial<RuleSettings>;
  /** for a person: where it stands */
  readonly source: string;
};

/**
 * The settings for one candidate: those of the sections, then of every rule that matches, in order; a later one overrides
 * an earlier one, key by key.
 */
export function settingsFor(
  subject: RuleSubject,
  config: {
    readonly merge: { readonly target: string };
    readonly push: { readonly mode: "auto" | "off" };
    readonly rules: readonly Rule[];
  },
): RuleSettings {
  let settings: RuleSettings = {
    trust: false,
    action: "merge",
    target: config.merge.target,
    push: config.push.mode,
  };
  for (const rule of config.rules) if (rule.matches(subject)) settings = { ...settings, ...rule.set };
  return settings;
}
