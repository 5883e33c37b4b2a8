import { visible } from "../core/describe.ts";
import { shortName } from "../core/target.ts";
import { type LogEvent, logFiles, readEvents } from "../host/log-read.ts";
import type { PastAttempt } from "../queue/attempts.ts";

export type Story = {
  /** what the log says of the project, oldest first */
  readonly events: readonly LogEvent[];
  /** the files that were read */
  readonly files: readonly string[];
  /** what could not be read, in a sentence each, safe to show */
  readonly unread: readonly string[];
};

/**
 * What the log files have of a project: the events that name it, by id or, in files from before events had ids, by their first words;
 * and the pushes of what it landed, up to the first that got through. `cut`: only from the first of `attempts` on.
 */
export function storyOf(id: number, attempts: readonly PastAttempt[], file: string, cut: boolean): Story {
  const events: LogEvent[] = [];
  const unread: string[] = [];
  const files = logFiles(file);
  // Of a line of a hundred thousand one is wanted: this decides which are looked at closely.
  const perhaps = new RegExp(`roject[ =]${id}\\b|"project":${id}\\b|Push|Nothing is owed`);
  for (const path of files) {
    try {
      events.push(...readEvents(path, (line) => perhaps.test(line)));
    } catch (error) {
      unread.push(`${visible(path)} could not be read: ${error instanceof Error ? visible(error.message) : "unknown"}`);
    }
  }
  events.sort((a, b) => a.at - b.at);
  const named = new RegExp(
    `^(Successfully merged|Already merged|Failed to merge|Held) project ${id}: |^Project ${id}: `,
  );
  const pushed = pushesOf(attempts);
  const from = cut ? (attempts[0]?.startedAt ?? 0) : 0;
  const concerns = (event: LogEvent): boolean =>
    event.at >= from && (event.project === null ? named.test(event.text) || pushed(event) : event.project === id);
  return { events: events.filter(concerns), files, unread };
}

/** Tells of events, given in their order, whether they are about a push of what these attempts have landed. */
function pushesOf(attempts: readonly PastAttempt[]): (event: LogEvent) => boolean {
  const landed = attempts.flatMap(({ outcome, repository, target, finishedAt }) =>
    outcome === "merged" && repository !== null && target !== null && finishedAt !== null
      ? [{ where: `${visible(shortName(target))} in ${visible(repository)} `, since: finishedAt, done: false }]
      : [],
  );
  return ({ at, text }) => {
    const [, what, rest = ""] = /^(Pushed|Push of|Nothing is owed for) (.*)$/.exec(text) ?? [];
    if (what === undefined) return false;
    const concerned = landed.filter(({ where, since, done }) => !done && since <= at && rest.startsWith(where));
    for (const one of concerned) one.done = what !== "Push of";
    return concerned.length > 0;
  };
}
