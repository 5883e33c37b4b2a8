import { exactTime, span } from "../../core/describe.ts";
import type { AttemptDocument, ProjectDocument, State, StoryDocument } from "../api.ts";
import { type Child, el, icon, shown } from "./dom.ts";
import { badge, moment, pushWords, reasonWords } from "./words.ts";

/** A project's page: where it stands and why, what to do, its facts, and every try. */
export function story({ project, history }: StoryDocument): HTMLElement {
  return el(
    "article",
    { class: "story" },
    el("a", { class: "back", href: "#/" }, icon("back"), "Queue"),
    el("h1", { tabindex: "-1" }, shown(project.name), " ", el("span", { class: "number" }, `#${project.id}`)),
    el(
      "p",
      { class: "standing" },
      badge(project.state, project.word),
      moment(project.at),
      ...project.tags.map((tag) => shown(tag, { class: "tag" })),
    ),
    project.reason === null && project.detail === null && project.advice === null ? null : reasonCard(project),
    el(
      "section",
      { class: "card", "aria-labelledby": "facts-title" },
      el("h2", { id: "facts-title" }, "Facts"),
      facts(project),
    ),
    el(
      "section",
      { "aria-labelledby": "attempts-title" },
      el("h2", { id: "attempts-title" }, "Attempts"),
      history.length === 0
        ? el("p", { class: "empty" }, "It was not tried yet.")
        : el(
            "ol",
            { class: "attempts" },
            ...history.map((one, i) => el("li", { class: "card" }, attempt(one, i === 0))),
          ),
    ),
  );
}

function reasonCard({ state, reason, detail, advice }: ProjectDocument): HTMLElement {
  return el(
    "section",
    { class: `card reason-card ${state}`, "aria-labelledby": "why-title" },
    el("h2", { id: "why-title" }, reason === null ? "Why" : shown(reasonWords(reason))),
    detail === null ? null : el("p", {}, shown(detail)),
    advice === null ? null : el("p", { class: "advice" }, el("strong", {}, "What to do: "), ...commands(advice)),
  );
}

/** The sentence with the commands in it set as such: a verb, its options and numbers. */
function commands(advice: string): Child[] {
  const command = /(orchestrator-merge \w+(?: --[\w-]+ (?!\d)\S+| --[\w-]+| \d+)*)/;
  return advice.split(command).map((part, i) => (i % 2 === 1 ? el("code", {}, part) : part));
}

type Fact = readonly [label: string, value: Child];

function list(facts: readonly Fact[]): HTMLElement {
  const known = facts.filter(([, value]) => value !== null);
  return el("dl", {}, ...known.flatMap(([label, value]) => [el("div", {}, el("dt", {}, label), el("dd", {}, value))]));
}

const text = (value: string | null): Child => (value === null ? null : shown(value));
const code = (value: string | null): Child => (value === null ? null : shown(value, { class: "mono" }));

function facts(project: ProjectDocument): HTMLElement {
  const push = pushWords(project);
  return list([
    ["Completed", moment(project.completedAt)],
    ["Merged", moment(project.mergedAt)],
    [
      "Next try",
      project.nextAttemptAt !== null && project.nextAttemptAt <= Date.now()
        ? "at the next run"
        : moment(project.nextAttemptAt),
    ],
    ["Target", code(project.target)],
    ["Merge commit", code(project.mergeCommit)],
    ["Push", text(push)],
    ["Priority", project.priority === null ? null : String(project.priority)],
    ["Project", code(project.projectPath)],
    ["Spec", code(project.specPath)],
  ]);
}

const outcomes: Readonly<Record<string, readonly [State, string]>> = {
  merged: ["merged", "Merged"],
  already_merged: ["merged", "Already merged"],
  merge_failed: ["failed", "Failed"],
  held: ["held", "Held"],
  abandoned: ["skipped", "Abandoned"],
};

function attempt(one: AttemptDocument, open: boolean): HTMLElement {
  const [state, word] = outcomes[one.outcome ?? ""] ?? (["pending", "Not finished"] as const);
  const took =
    one.startedAt !== null && one.finishedAt !== null ? span(Math.max(0, one.finishedAt - one.startedAt)) : null;
  return el(
    "div",
    { class: "attempt" },
    el(
      "h3",
      {},
      badge(state, word),
      moment(one.finishedAt ?? one.startedAt),
      took === null ? null : el("span", { class: "took" }, `took ${took}`),
    ),
    one.reason === null && one.detail === null
      ? null
      : el(
          "p",
          { class: "said" },
          one.reason === null ? null : shown(reasonWords(one.reason), { class: "reason" }),
          " ",
          text(one.detail),
        ),
    steps(one),
    part("Conflicting files", one.conflicts, "failed"),
    part("Warnings", one.warnings, "held"),
    one.output === null || one.output.trim() === "" ? null : output(one.output, open),
    el("p", { class: "faint mono" }, one.id),
  );
}

/** What happened, one after the other, as far as it came. */
function steps(one: AttemptDocument): HTMLElement {
  const id = (oid: string): HTMLElement => shown(oid.slice(0, 12), { class: "mono", title: oid });
  const done: [string, Child[], number | null][] = [["Begun", [], one.startedAt]];
  for (const { role, oid, place } of one.heads) {
    done.push([
      "Head",
      [
        shown(role),
        " ",
        id(oid),
        place === null ? null : " ",
        place === null ? null : shown(place, { class: "faint" }),
      ],
      null,
    ]);
  }
  for (const { name, verdict, durationMs } of one.gates) {
    const took = durationMs === null ? null : el("span", { class: "faint" }, ` in ${span(durationMs)}`);
    done.push([
      "Gate",
      [shown(name), " ", shown(verdict, { class: `verdict ${verdict === "pass" ? "good" : "bad"}` }), took],
      null,
    ]);
  }
  if (one.landingAt !== null)
    done.push(["Landing begun", one.base === null ? [] : ["from ", id(one.base)], one.landingAt]);
  if (one.backup !== null) done.push(["Backup", [shown(one.backup, { class: "mono" })], null]);
  if (one.mergeCommit !== null) {
    done.push([
      "Landed",
      [id(one.mergeCommit), ...(one.target === null ? [] : [" on ", shown(one.target)])],
      one.recordedAt,
    ]);
  }
  if (one.tag !== null) done.push(["Tag", [shown(one.tag, { class: "mono" })], null]);
  if (one.push !== null) done.push(["Push", [shown(pushWords({ push: one.push, pushDetail: null }) ?? "")], null]);
  if (one.finishedAt === null) done.push(["No end", ["it runs, or was killed"], null]);
  const time = (at: number | null): Child =>
    at === null ? null : el("span", { class: "faint" }, exactTime(at).slice(11));
  return el(
    "ol",
    { class: "steps" },
    ...done.map(([label, said, at]) =>
      el("li", {}, el("span", { class: "step" }, label), el("span", {}, ...said), time(at)),
    ),
  );
}

function part(title: string, lines: readonly string[], kind: string): HTMLElement | null {
  if (lines.length === 0) return null;
  return el(
    "div",
    { class: `part ${kind}` },
    el("h4", {}, title),
    el("ul", {}, ...lines.map((line) => el("li", {}, shown(line, { class: "mono" })))),
  );
}

function output(said: string, open: boolean): HTMLElement {
  const lines = said.trimEnd().split(/\r?\n/);
  const shownLines = lines.flatMap((line, i) => [i === 0 ? null : "\n", shown(line)]);
  return el(
    "details",
    { open },
    el("summary", {}, "What the command said"),
    el("pre", { tabindex: "0" }, ...shownLines),
  );
}
