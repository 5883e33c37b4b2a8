import { hostname } from "node:os";
import { backoff } from "../core/backoff.ts";
import { count, until } from "../core/describe.ts";
import { type ChannelName, channelsOf, type EventName, isWanted } from "../core/notify.ts";
import { decide } from "../core/rules.ts";
import type { Config, Env } from "../host/config.ts";
import type { Log } from "../host/log.ts";
import { messagesOf } from "../notify/message.ts";
import type { Outcome } from "../notify/outcome.ts";
import type { Queue } from "../queue/database.ts";
import { type Delivery, settleDeliveries, takeDue, type Verdict } from "../queue/delivery.ts";
import { openChannel, within } from "./channels.ts";

/** What delivering needs of the world. */
export type Teller = {
  readonly queue: Queue;
  readonly config: Config;
  readonly log: Log;
  readonly env: Env;
  readonly signal: AbortSignal;
  now(): number;
  /** 0..1 */
  random(): number;
  progress(step: string): void;
};

/** Milliseconds: one message, and all of a tick. */
export const limits = { message: 5000, tick: 10_000 };
/** So many rows a tick: a digest names twenty of them. */
const most = 500;
/** First and longest wait after a failure. Milliseconds. */
const waits = { first: 60_000, longest: 3_600_000 };
/** How often a message is tried that is refused, and one that meets trouble which may pass: for about two days. */
const tries = { refused: 3, trouble: 50 };

/**
 * Tells what is due, all channels at once, each one message after the other. A channel that meets trouble is left until later at once, so that it
 * costs a tick one message's time. Never throws for what a channel does.
 */
export async function deliver(teller: Teller): Promise<void> {
  const { queue, config, now } = teller;
  const due = await takeDue(queue, now(), most);
  const verdicts: Verdict[] = [];
  const wanted: Delivery[] = [];
  for (const one of due) {
    const did = !one.lasts ? "over" : isForSomebody(one, config) ? null : "unwanted";
    if (did === null) wanted.push(one);
    else verdicts.push({ outboxId: one.outboxId, did });
  }
  teller.progress("telling");
  const channels = channelsOf(config.notify).map((name) => ({
    name,
    mine: wanted.filter(({ channel }) => channel === name),
  }));
  const told = await within(limits.tick, teller.signal, (end) =>
    Promise.all(
      channels.map(({ name, mine }) =>
        // One that breaks must not take along what the others have told.
        tellChannel(teller, name, mine, end).catch((error: unknown) => {
          const why = error instanceof Error ? error.message : String(error);
          const failure = { did: "refused", why } as const;
          const verdicts = mine.map((row) => again(row, failure, now(), teller.random()));
          complain(teller.log, name, failure, verdicts, now());
          return verdicts;
        }),
      ),
    ),
  );
  await settleDeliveries(queue, [...verdicts, ...told.flat()], now());
}

/** What the rules say of the project that it is about. Nobody looks at its files for this: a rule that asks for a type cannot say `notify`. */
const rulesSay = (subject: Delivery["subject"], config: Config): readonly EventName[] | null =>
  subject === null ? null : decide({ ...subject, types: null }, config).settings.notify;

function isForSomebody({ channel, happening: { event }, subject }: Delivery, config: Config): boolean {
  if (event === "test" || !channelsOf(config.notify).includes(channel)) return false;
  return isWanted(event, config.notify.on, rulesSay(subject, config));
}

async function tellChannel(
  teller: Teller,
  name: ChannelName,
  mine: readonly Delivery[],
  end: AbortSignal,
): Promise<Verdict[]> {
  if (mine.length === 0) return [];
  const { config, env, log, now } = teller;
  const channel = openChannel(config.notify, env, name);
  const happenings = mine.map(({ happening }) => happening);
  const verdicts: Verdict[] = [];
  const failures: Failure[] = [];
  // One moment for all of a tick's: what is written down and what is said in the log agree.
  let at = now();
  for (const message of messagesOf(happenings, hostname(), at)) {
    const rows = mine.filter(({ happening }) => message.happenings.includes(happening));
    // Trouble is the channel's and ends it for now; a refusal may be this one message's.
    const outcome =
      failures.find(({ did }) => did === "later") ??
      (await within(limits.message, end, (signal) => channel(message, signal)));
    if (outcome.did === "sent") {
      log.debug(`Told ${name}: ${message.title}`);
      verdicts.push(...rows.map(sent));
      continue;
    }
    if (failures.length === 0) at = now();
    failures.push(outcome);
    verdicts.push(...rows.map((row) => again(row, outcome, at, teller.random())));
  }
  const last = failures.at(-1);
  if (last !== undefined) complain(log, name, last, verdicts, at);
  return verdicts;
}

type Failure = Exclude<Outcome, { did: "sent" }>;

const sent = ({ outboxId }: Delivery): Verdict => ({ outboxId, did: "sent" });

function again({ outboxId, attempts }: Delivery, failure: Failure, now: number, random: number): Verdict {
  const error = failure.why;
  if (attempts >= (failure.did === "refused" ? tries.refused : tries.trouble))
    return { outboxId, did: "given up", error };
  const asked = failure.did === "later" ? (failure.afterMs ?? 0) : 0;
  const wait = Math.max(asked, backoff(attempts, waits.first, waits.longest, random));
  return { outboxId, did: "later", error, nextAt: now + wait };
}

/** One line: what a person can do nothing about yet is for those who look closely. */
function complain(log: Log, name: ChannelName, failure: Failure, verdicts: readonly Verdict[], now: number): void {
  const lost = verdicts.filter(({ did }) => did === "given up").length;
  const next = Math.min(...verdicts.flatMap((one) => (one.did === "later" ? one.nextAt : [])));
  const then = Number.isFinite(next) ? ` It is tried again ${until(next, now)}.` : "";
  const gone = lost === 0 ? "" : ` Given up: ${count(lost, "event")}, see orchestrator-merge notify list.`;
  log.warn(`${name} could not be told: ${failure.why}.${gone}${then}`);
}
