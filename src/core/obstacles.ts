import { visible } from "./describe.ts";
import { held, type Trouble } from "./reasons.ts";
import type { Decided } from "./rules.ts";

/** What a person said of a project, and of which heads. `at` is unix milliseconds. */
export type Approval = {
  readonly verdict: "approved" | "rejected";
  readonly heads: readonly string[];
  readonly by: string;
  readonly at: number;
};

/** A project that must land before another. */
export type Dependency = {
  readonly id: number;
  readonly name: string;
  /** it has landed, or will have when this one's turn comes */
  readonly met: boolean;
  /** where it stands, for a person: `held: dirty_source` */
  readonly standing: string;
};

/** All that decides whether a project may land now, beside git. */
export type Facts = {
  readonly projectId: number;
  readonly decided: Decided;
  /** null: neither window nor freeze */
  readonly closed: { readonly closedBy: "window" | "freeze"; readonly until: string | null } | null;
  readonly heads: ReadonlyArray<{ readonly role: string; readonly oid: string }>;
  readonly approval: Approval | null;
  readonly dependencies: readonly Dependency[];
};

/** Everything that keeps a project from landing by rule, and not the first of it only; none when it may. */
export function obstacles({ projectId, decided, closed, heads, approval, dependencies }: Facts): Trouble[] {
  const { settings, by } = decided;
  const rule = (key: "window" | "freeze" | "approval") => `the rule at ${by.get(key)}`;
  const found: Trouble[] = [];
  if (settings.action === "skip") found.push(excluded(decided));
  const waiting = dependencies.filter(({ met }) => !met);
  if (waiting.length > 0) {
    const list = waiting
      .map(({ id, name, standing }) => `project ${id}${name === "" ? "" : ` ${visible(name)}`} (${standing})`)
      .join(", ");
    found.push(held("blocked_by_dependency", `waits for ${list}.`));
  }
  if (closed !== null) {
    const what = closed.closedBy === "freeze" ? "freezes it" : "closes the window";
    const opens = closed.until === null ? "does not open within a year" : `opens ${closed.until}`;
    found.push(held("outside_window", `${rule(closed.closedBy)} ${what}: ${opens}.`));
  }
  if (settings.approval && !isApproved(heads, approval)) {
    const now = heads.map(({ role, oid }) => `${visible(role)} ${oid.slice(0, 10)}`).join(", ");
    const since =
      approval?.verdict === "approved"
        ? `${visible(approval.by)} approved other commits than these`
        : "nobody has approved it";
    found.push(held("awaiting_approval", `${since}: ${now}. To approve: orchestrator-merge approve ${projectId}`));
  }
  return found;
}

/** For one that a rule leaves alone. */
export function excluded({ by }: Decided): Trouble {
  return held("excluded", `the rule at ${by.get("action")} says to skip it.`);
}

/** An approval holds for the very commits that it was given for. */
function isApproved(heads: Facts["heads"], approval: Approval | null): boolean {
  if (approval?.verdict !== "approved") return false;
  const given = new Set(approval.heads);
  return heads.length > 0 && heads.every(({ oid }) => given.has(oid));
}

/** Several reasons as one trouble: the first gives its code, and the sentence has them all. Null for none. */
export function together(troubles: readonly Trouble[]): Trouble | null {
  const [first, ...others] = troubles;
  if (first === undefined) return null;
  const also = others.map(({ reason, detail }) => ` Also ${reason}: ${detail}`);
  return { ...first, detail: first.detail + also.join("") };
}
