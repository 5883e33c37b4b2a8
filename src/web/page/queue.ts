import type { OverviewDocument, ProjectDocument, QueueDocument, State } from "../api.ts";
import { states } from "../api.ts";
import { el, icon, shown } from "./dom.ts";
import { type Answer, loadQueue } from "./load.ts";
import { badge, grouped, moment, pushWords, reasonWords, stateWords } from "./words.ts";

const pageSize = 50;

/** The queue: filters, search, one page of the table. */
export type QueueView = {
  readonly element: HTMLElement;
  readonly search: HTMLInputElement;
  /** the counts on the filters */
  counts(read: OverviewDocument): void;
  /** Reads the page anew; what was focused stays so. */
  refresh(): Promise<void>;
  /** Moves the focus to the next row (1) or the one before (-1). */
  step(by: number): void;
};

export function queueView(onTrouble: (trouble: string | null) => void): QueueView {
  let [state, offset, asked]: [State | "", number, number] = ["", 0, 0];
  const body = el("tbody", {});
  const empty = el("p", { class: "empty", hidden: true }, "No such project.");
  const range = el("span", { class: "range", role: "status" });
  const turn = (by: number) => (): void => {
    offset = Math.max(0, offset + by * pageSize);
    void refresh();
  };
  const previous = el("button", { type: "button", onclick: turn(-1) }, icon("back"), "Previous");
  const next = el("button", { type: "button", onclick: turn(1) }, "Next", icon("next"));
  const search = el("input", {
    type: "search",
    id: "search",
    placeholder: "Name, path, reason, tag or number",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => {
      offset = 0;
      void refresh();
    },
  });
  const filters = new Map<State | "", { button: HTMLButtonElement; count: HTMLElement }>();
  for (const one of ["", ...states] as const) {
    const count = el("span", { class: "count" });
    const label = one === "" ? [el("span", {}, "All")] : [icon(one), el("span", {}, stateWords[one])];
    const choose = (): void => {
      [state, offset] = [one, 0];
      for (const [name, { button }] of filters) button.setAttribute("aria-pressed", String(name === state));
      void refresh();
    };
    const button = el(
      "button",
      { type: "button", "aria-pressed": String(one === state), "data-state": one, onclick: choose },
      ...label,
      count,
    );
    filters.set(one, { button, count });
  }

  async function refresh(): Promise<void> {
    const mine = ++asked;
    const answer: Answer<QueueDocument> = await loadQueue(state, search.value, offset, pageSize);
    if (mine !== asked) return; // somebody has asked for something else since
    if ("trouble" in answer) return onTrouble(answer.trouble);
    onTrouble(null);
    const { projects, matching } = answer.document;
    if (projects.length === 0 && offset > 0) {
      offset = Math.max(0, Math.ceil(matching / pageSize) - 1) * pageSize;
      return refresh();
    }
    const focused = document.activeElement?.closest<HTMLElement>("tr[data-id]")?.dataset["id"];
    body.replaceChildren(...projects.map(row));
    if (focused !== undefined)
      body.querySelector<HTMLElement>(`tr[data-id="${focused}"] a`)?.focus({ preventScroll: true });
    empty.hidden = projects.length > 0;
    range.textContent =
      projects.length === 0
        ? "0 projects"
        : `${grouped(offset + 1)}–${grouped(offset + projects.length)} of ${grouped(matching)}`;
    previous.disabled = offset === 0;
    next.disabled = offset + projects.length >= matching;
  }

  const head = ["State", "Project", "Why", "When"].map((text) => el("th", { scope: "col" }, text));
  const element = el(
    "section",
    { class: "card queue", "aria-labelledby": "queue-title" },
    el(
      "div",
      { class: "card-head" },
      el("h2", { id: "queue-title" }, "Queue"),
      el(
        "div",
        { class: "search" },
        el("label", { for: "search" }, icon("search"), el("span", { class: "unseen" }, "Search the queue")),
        search,
      ),
    ),
    el(
      "div",
      { class: "filters", role: "group", "aria-label": "Show" },
      ...[...filters.values()].map(({ button }) => button),
    ),
    el("table", { class: "projects" }, el("thead", {}, el("tr", {}, ...head)), body),
    empty,
    el("div", { class: "pager" }, range, el("div", { class: "turn" }, previous, next)),
  );
  return {
    element,
    search,
    refresh,
    counts(read) {
      const total = states.reduce((sum, one) => sum + read.counts[one], 0);
      for (const [name, { button, count }] of filters) {
        const n = name === "" ? total : read.counts[name];
        count.textContent = grouped(n);
        button.hidden =
          n === 0 && name !== "" && name !== state && !["failed", "held", "pending", "merged"].includes(name);
      }
    },
    step(by) {
      const links: Element[] = [...body.querySelectorAll("a")];
      const at = document.activeElement === null ? -1 : links.indexOf(document.activeElement);
      const to = links[at === -1 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))];
      if (to instanceof HTMLElement) to.focus();
    },
  };
}

function row(project: ProjectDocument): HTMLElement {
  const { id, name, reason, detail, at } = project;
  const tags = project.tags.map((tag) => shown(tag, { class: "tag" }));
  return el(
    "tr",
    { "data-id": String(id), class: project.state },
    el("td", { class: "state" }, badge(project.state, project.word)),
    el(
      "td",
      { class: "name" },
      el("a", { href: `#/project/${id}` }, el("span", { class: "number" }, `#${id}`), " ", shown(name)),
      ...tags,
    ),
    el("td", { class: "why" }, ...why(reason, detail, project)),
    el("td", { class: "when" }, moment(at)),
  );
}

function why(reason: string | null, detail: string | null, project: ProjectDocument): HTMLElement[] {
  const push = project.state === "merged" && project.push !== "pushed" ? pushWords(project) : null;
  const target = project.state === "merged" && project.target !== null ? `on ${project.target}` : null;
  const said = [
    reason === null ? null : shown(reasonWords(reason), { class: "reason" }),
    detail === null ? null : shown(detail.replaceAll(/\s+/g, " ")),
  ];
  const landed = [target === null ? null : shown(target), push === null ? null : shown(push, { class: "owed" })];
  return (project.state === "merged" ? landed : said).filter((part) => part !== null);
}
