import { Temporal } from "temporal-polyfill";
import type { Freeze, RuleSettings, Window } from "./rules.ts";

/** Whether projects may land now; if not, when again (unix milliseconds, null: not within a year), and which of the two keeps them. */
export type Opening =
  | { readonly open: true }
  | { readonly open: false; readonly next: number | null; readonly closedBy: "window" | "freeze" };

const minutesOf = (clock: string): number => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3));

/** Whether `now` (unix milliseconds) lies in the window of a rule and outside its freeze, and when it next does. */
export function openingAt({ window, freeze }: Pick<RuleSettings, "window" | "freeze">, now: number): Opening {
  const closedBy = freeze !== null && isFrozen(freeze, now) ? "freeze" : "window";
  let at = now;
  // A freeze may end outside the window, and a window open into the freeze: a few turns settle it.
  for (let turn = 0; turn < 10; turn++) {
    if (freeze !== null && isFrozen(freeze, at)) at = momentOf(freeze.until, freeze.zone);
    else if (window !== null && !isOpen(window, at)) {
      const next = nextOpening(window, at);
      if (next === null) return { open: false, next: null, closedBy };
      at = next;
    } else return at === now ? { open: true } : { open: false, next: at, closedBy };
  }
  return { open: false, next: null, closedBy };
}

/**
 * By what the clocks on the wall of that zone show, so that an hour that they skip does not open, and one that they repeat is open
 * both times.
 */
function isOpen(window: Window, at: number): boolean {
  const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(window.zone);
  const [from, to] = [minutesOf(window.from), minutesOf(window.to)];
  const minute = local.hour * 60 + local.minute;
  const today = window.days.includes(local.dayOfWeek);
  if (from < to) return today && minute >= from && minute < to;
  const yesterday = window.days.includes(((local.dayOfWeek + 5) % 7) + 1);
  return (today && minute >= from) || (yesterday && minute < to);
}

/** The first moment after `at` at which a window opens: where one begins, or where the clocks jump into one. */
function nextOpening(window: Window, at: number): number | null {
  const start = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(window.zone);
  const moments: number[] = [];
  const jump = start.getTimeZoneTransition("next");
  if (jump !== null) moments.push(jump.epochMilliseconds);
  for (let day = 0; day <= 8; day++) {
    const begin = start
      .toPlainDate()
      .add({ days: day })
      .toPlainDateTime()
      .add({ minutes: minutesOf(window.from) });
    for (const disambiguation of ["earlier", "later"] as const) {
      moments.push(begin.toZonedDateTime(window.zone, { disambiguation }).epochMilliseconds);
    }
  }
  const next = moments.sort((a, b) => a - b).find((moment) => moment > at && isOpen(window, moment));
  return next ?? null;
}

function isFrozen(freeze: Freeze, at: number): boolean {
  const from = freeze.from === null ? Number.NEGATIVE_INFINITY : momentOf(freeze.from, freeze.zone);
  return at >= from && at < momentOf(freeze.until, freeze.zone);
}

/** A day (its beginning), or a day and a time, of a zone. */
function momentOf(text: string, zone: string): number {
  return Temporal.PlainDateTime.from(text).toZonedDateTime(zone).epochMilliseconds;
}

/** `Mon 23 Nov 2026 22:00 Europe/Berlin`: a moment as the people of that zone say it. */
export function localTime(at: number, zone: string): string {
  const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
  const names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const time = local.toPlainTime().toString({ smallestUnit: "minute" });
  return `${names[local.dayOfWeek - 1]} ${local.day} ${months[local.month - 1]} ${local.year} ${time} ${zone}`;
}
