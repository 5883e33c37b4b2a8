import { hostname } from "node:os";
import { visible } from "../core/describe.ts";
import { UserError } from "../core/errors.ts";
import { channelsOf, type Happening } from "../core/notify.ts";
import { isAlive } from "../git/orphans.ts";
import { messagesOf } from "../notify/message.ts";
import type { Queue } from "../queue/database.ts";
import { postDied } from "../queue/outbox.ts";
import { untoldRun } from "../queue/runs.ts";
import { openChannel, within } from "./channels.ts";
import { deliver, limits, type Teller } from "./deliver.ts";
import { outboxOf } from "./tell.ts";

type Witness = Omit<Teller, "queue"> & { withQueue(work: (queue: Queue) => Promise<void>): Promise<void> };

/**
 * Tells that the unit's run died, for systemd, which says in MONITOR_* how (systemd.exec(5), from 251 on). It is the same happening as the
 * one that the next run finds, if that run had written down that it began. Where the queue cannot be used, which may be what the run died
 * of, it is told at once and without a trace.
 */
export async function tellOfUnit(witness: Witness): Promise<void> {
  const { env, log, now } = witness;
  const how = env["MONITOR_SERVICE_RESULT"] ?? "";
  const invocation = env["MONITOR_INVOCATION_ID"] ?? String(now());
  const detail = `systemd says: ${how === "" ? "it failed" : visible(how)}.`;
  try {
    await witness.withQueue(async (queue) => {
      const run = await untoldRun(queue);
      const dead = run !== null && run.host === hostname() && !isAlive(run.pid, "") ? run.runId : null;
      const died = { id: dead ?? `unit:${invocation}`, runId: dead, repository: null, detail };
      await queue.write((tx) => postDied(tx, outboxOf(witness.config), died, now()));
      await deliver({ ...witness, queue });
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const unable = `The queue could not be used: ${error.sentence}`;
    const died = happening(`died:unit:${invocation}`, now(), `${detail} ${unable}`);
    const { notify } = witness.config;
    for (const name of channelsOf(notify)) {
      for (const message of messagesOf([died], hostname(), now())) {
        const send = openChannel(notify, env, name);
        const outcome = await within(limits.message, witness.signal, (signal) => send(message, signal));
        if (outcome.did !== "sent") log.warn(`${name} could not be told: ${outcome.why}.`);
      }
    }
  }
}

const happening = (id: string, at: number, detail: string): Happening => ({
  id,
  event: "died",
  at,
  project: null,
  reason: null,
  detail,
  repository: null,
  target: null,
  mergeCommit: null,
  conflicts: [],
  runId: null,
});
