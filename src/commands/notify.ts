import { ago, until, visible } from "../core/describe.ts";
import { type ExitCode, exitCode, UserError } from "../core/errors.ts";
import { channelNames, channelsOf } from "../core/notify.ts";
import { list, oneOf } from "./argv.ts";
import type { Context } from "./frame.ts";
import { command } from "./frame.ts";

const args = {
  channel: list("CHANNEL", `test: only this one (${channelNames.join(", ")})`, oneOf(...channelNames), ","),
};

export default command({
  name: "notify",
  about:
    "test: sends one message by every configured channel, and says of each what came of it; exit code 4 when one failed. list: what is " +
    "still to be told, and what was given up. died: tells that a run died; systemd calls it.",
  args,
  positionals: {
    value: "test|list|died",
    about: "what to do",
    parse: oneOf("test", "list", "died"),
    min: 1,
    max: 1,
  },
  examples: [
    ["notify test", "Sends a message by every channel of [notify]."],
    ["notify test --channel slack", "By this one alone."],
    ["notify list", "Shows what waits, and why."],
  ],
  async run(context) {
    const [what] = context.rest;
    if (what === "list") return await show(context);
    return what === "test" ? await test(context) : await died(context);
  },
});

type Here = Context<typeof args, "test" | "list" | "died">;

async function test(context: Here): Promise<ExitCode> {
  const { config, wanted } = await chosen(context);
  const { testChannels } = await import("../app/notifyTest.ts");
  const results = await testChannels(config.notify, wanted, {
    env: context.env,
    signal: context.interruption(),
    now: () => context.now().getTime(),
  });
  for (const file of results.flatMap(({ openFiles }) => openFiles))
    context.warn(`Others on this host can read ${file}: chmod 600 ${file}`);
  if (context.json) {
    context.printJson({
      channels: results.map(({ channel, error, ms }) => ({ channel, sent: error === null, error, durationMs: ms })),
    });
  } else {
    const width = Math.max(...results.map(({ channel }) => channel.length));
    for (const { channel, error, ms } of results)
      context.print(
        `${channel.padEnd(width)}  ${error === null ? `sent (${(ms / 1000).toFixed(1)} s)` : `failed: ${error}`}`,
      );
  }
  return results.some(({ error }) => error !== null) ? exitCode.failed : exitCode.ok;
}

async function chosen(context: Here) {
  const config = await context.config();
  const configured = channelsOf(config.notify);
  const wanted = context.args.channel.length === 0 ? configured : context.args.channel;
  const missing = wanted.find((name) => !configured.includes(name));
  if (wanted.length === 0 || missing !== undefined) {
    const sentence = missing === undefined ? "no channel is configured." : `the channel ${missing} is not configured.`;
    const wayOut = "Give it in the section [notify]: docs/notifications.md shows how.";
    throw new UserError(exitCode.usage, sentence, wayOut);
  }
  return { config, wanted };
}

async function show(context: Here): Promise<ExitCode> {
  const [{ withQueue }, { listUndelivered }] = await Promise.all([
    import("./open-queue.ts"),
    import("../queue/delivery.ts"),
  ]);
  const now = context.now().getTime();
  const found = await withQueue(context, "read", (queue) => listUndelivered(queue, now, 100));
  if (context.json) {
    const { isoTime } = await import("../core/describe.ts");
    context.printJson({
      events: found.map((one) => ({ ...one, at: isoTime(one.at), nextAt: isoTime(one.nextAt) })),
    });
    return exitCode.ok;
  }
  if (found.length === 0) context.print("Everything is told.");
  for (const { channel, event, project, state, attempts, at, nextAt, error } of found) {
    const who = project === null ? "" : ` ${project.id} ${visible(project.name)}`;
    const tried = error === null ? "" : `, tried ${attempts === 1 ? "once" : `${attempts} times`}: ${visible(error)}`;
    const when = nextAt === null ? state : `${state}, next ${until(nextAt, now)}`;
    context.print(`${channel}  ${event}${who}  ${ago(at, now)}  ${when}${tried}`);
  }
  return exitCode.ok;
}

/** For the unit that systemd starts when a run dies, so nothing may fail here that is not the caller's own mistake. */
async function died(context: Here): Promise<ExitCode> {
  const config = await context.config();
  if (channelsOf(config.notify).length === 0 || !config.notify.on.includes("died")) return exitCode.ok;
  const { tellOfUnit } = await import("../app/notifyDied.ts");
  const [{ withQueue }, log] = await Promise.all([import("./open-queue.ts"), context.log()]);
  await tellOfUnit({
    withQueue: (work) => withQueue(context, "write", work),
    config,
    log,
    env: context.env,
    signal: context.interruption(),
    now: () => context.now().getTime(),
    random: Math.random,
    progress: context.progress,
  });
  return exitCode.ok;
}
