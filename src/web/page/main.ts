import type { OverviewDocument } from "../api.ts";
import { el, icon, shown } from "./dom.ts";
import { loadOverview, loadStory } from "./load.ts";
import { overviewView } from "./overview.ts";
import { queueView } from "./queue.ts";
import { story } from "./story.ts";
import { moment, renewMoments } from "./words.ts";

/** At least so long between two readings, in milliseconds, however often something is written. */
const gap = 100;

const trouble = el("p", { class: "trouble", role: "alert", hidden: true });
const connection = el("span", { class: "chip" });
const tick = el("span", { class: "chip" });
const place = el("span", { class: "place" });
const news = el("p", { class: "unseen", role: "status" });
const main = el("main", { id: "main", tabindex: "-1" });
const queue = queueView(tell);
let days = 30;
const overview = overviewView((chosen) => {
  days = chosen;
  void refresh();
});
const home = [
  el("h1", { class: "unseen", tabindex: "-1" }, "Merge queue"),
  overview.figures,
  overview.charts,
  el("div", { class: "columns" }, queue.element, overview.aside),
];
const help = el(
  "dialog",
  { "aria-labelledby": "help-title" },
  el("h2", { id: "help-title" }, "Keys"),
  el(
    "dl",
    { class: "keyboard" },
    ...[
      ["/", "search"],
      ["j  k", "next row, row before"],
      ["Enter", "open it"],
      ["Esc", "back, or clear the search"],
      ["?", "this help"],
    ].flatMap(([key = "", meaning = ""]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, meaning)]),
  ),
  el("form", { method: "dialog" }, el("button", {}, "Close")),
);

document.body.append(
  el("button", { class: "skip", type: "button", onclick: () => main.focus() }, "Skip to the content"),
  el(
    "header",
    {},
    el(
      "a",
      { class: "brand", href: "#/" },
      el("img", { src: "icon.svg", alt: "", width: "28", height: "28" }),
      "Merge queue",
    ),
    place,
    el(
      "div",
      { class: "chips" },
      tick,
      connection,
      el("button", { class: "chip", type: "button", "aria-label": "Keys", onclick: () => help.showModal() }, "?"),
    ),
  ),
  trouble,
  main,
  news,
  help,
);

function tell(said: string | null): void {
  trouble.hidden = said === null;
  if (said !== null && trouble.textContent !== said) trouble.replaceChildren(icon("warning"), shown(said));
}

/** The number of the project whose page is asked for; null is the queue. */
function wanted(): number | null {
  const found = /^#\/project\/(\d+)$/.exec(location.hash)?.[1];
  return found === undefined ? null : Number(found);
}

let lastSaid = "";
function drawOverview(read: OverviewDocument): void {
  overview.draw(read);
  queue.counts(read);
  place.replaceChildren(shown(read.database));
  place.title = read.database;
  tick.className = `chip ${read.healthy ? "good" : "bad"}`;
  const since =
    read.lastTick === null
      ? "no run yet"
      : el("span", {}, read.healthy ? "Last run " : "No run since ", moment(read.lastTick));
  tick.replaceChildren(icon(read.healthy ? "check" : "warning"), since);
  const said = `${read.counts.failed} failed, ${read.counts.held} held, ${read.counts.pending} waiting, ${read.counts.merged} merged`;
  if (lastSaid !== "" && said !== lastSaid) news.textContent = said;
  lastSaid = said;
  document.title = read.counts.failed > 0 ? `(${read.counts.failed}) Merge queue` : "Merge queue";
}

let openStory = "";
async function drawStory(id: number): Promise<void> {
  const answer = await loadStory(id);
  if (wanted() !== id) return;
  if ("trouble" in answer && answer.status !== 404) return tell(answer.trouble);
  tell(null);
  const text = JSON.stringify(answer);
  if (text === openStory) return;
  openStory = text;
  const page =
    "document" in answer
      ? story(answer.document)
      : el(
          "article",
          { class: "story" },
          el("a", { class: "back", href: "#/" }, icon("back"), "Queue"),
          el("h1", { tabindex: "-1" }, answer.trouble),
        );
  main.replaceChildren(page);
}

/** Reads what is shown anew. */
async function refresh(): Promise<void> {
  const id = wanted();
  const read = loadOverview(days).then((answer) => {
    if ("trouble" in answer) tell(answer.trouble);
    else drawOverview(answer.document);
  });
  await Promise.all([read, id === null ? queue.refresh() : drawStory(id)]);
}

/** Shows what the address says; the heading is focused, as a new page would be. */
async function go(moved: boolean): Promise<void> {
  const id = wanted();
  openStory = "";
  if (id === null) main.replaceChildren(...home);
  await refresh();
  scrollTo(0, 0);
  if (moved) main.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
}

let [busy, again] = [false, false];
/** One reading at a time; what changes meanwhile is one more afterwards. */
async function changed(): Promise<void> {
  again = true;
  if (busy) return;
  busy = true;
  while (again) {
    again = false;
    await refresh();
    await new Promise((resolve) => setTimeout(resolve, gap));
  }
  busy = false;
}

function connect(): void {
  const events = new EventSource("api/events");
  const say = (state: string, word: string, name: "live" | "warning"): void => {
    connection.className = `chip ${state}`;
    connection.replaceChildren(icon(name), word);
  };
  say("", "Connecting", "live");
  events.addEventListener("open", () => say("good", "Live", "live"));
  events.addEventListener("change", () => void changed());
  events.addEventListener("error", () => {
    say("bad", "Not connected", "warning");
    // The browser tries again by itself, except after an answer that is no stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const typing = event.target instanceof HTMLInputElement && event.target.type === "search";
  if (event.key === "Escape") {
    if (typing && queue.search.value !== "") return;
    if (wanted() !== null) location.hash = "#/";
    else if (typing) queue.search.blur();
    return;
  }
  if (typing) return;
  if (event.key === "/" && wanted() === null) queue.search.focus();
  else if (event.key === "j" || event.key === "k") queue.step(event.key === "j" ? 1 : -1);
  else if (event.key === "?") help.showModal();
  else return;
  event.preventDefault();
});

addEventListener("hashchange", () => void go(true));
setInterval(renewMoments, 5000);
// A run that does not come is no change of the queue: only the clock shows it.
setInterval(() => void changed(), 60_000);
void go(false).then(connect);
