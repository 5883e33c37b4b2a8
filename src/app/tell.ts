import { channelsOf } from "../core/notify.ts";
import type { Config } from "../host/config.ts";
import { isAnyDue } from "../queue/delivery.ts";
import type { Outbox } from "../queue/outbox.ts";
import type { Teller } from "./deliver.ts";

/** What may be put into the outbox; null where no channel is wanted, and then nothing of all this costs anything. */
export function outboxOf({ notify, rules }: Config): Outbox | null {
  const channels = channelsOf(notify);
  if (channels.length === 0) return null;
  const { heldAfterMs, pushAfterMs } = notify;
  // Whose project it is, is asked when it is told.
  const events = new Set([...notify.on, ...rules.flatMap(({ set }) => set.notify ?? [])]);
  return { channels, events, heldAfterMs, pushAfterMs };
}

/**
 * The last thing of a tick, when everything is landed, pushed, written down and given back: tells people what is due. Whatever goes wrong
 * here is a line in the log, for the landings are facts.
 */
export async function tell(world: Omit<Teller, "random"> & { readonly dryRun: boolean }): Promise<void> {
  const { queue, config, log, signal, dryRun } = world;
  if (channelsOf(config.notify).length === 0 || dryRun || signal.aborted) return;
  try {
    if (!(await isAnyDue(queue, world.now()))) return;
    // Loaded only now, like all that sends: an idle tick looks into the outbox, and no further.
    const { deliver } = await import("./deliver.ts");
    await deliver({ ...world, random: Math.random });
  } catch (error) {
    log.warn(`Nobody could be told: ${error instanceof Error ? error.message : String(error)}`);
  }
}
