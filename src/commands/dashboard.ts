import { exitCode, UserError } from "../core/errors.ts";
import { dbFlag } from "../queue/location.ts";
import { duration, filePath, option, type Parse, text } from "./argv.ts";
import { command } from "./frame.ts";

const port: Parse<number> = (given, label) => {
  const n = Number(given);
  if (/^\d{1,5}$/.test(given) && n <= 65_535) return n;
  throw new UserError(exitCode.usage, `${label} does not take ${JSON.stringify(given)}.`, "Give a port, 0 to 65535.");
};

const shortestToken = 16;

export default command({
  name: "dashboard",
  about:
    "Serves the queue as a page for the browser until it is ended, with /metrics for Prometheus and /healthz. The page changes nothing. On other addresses than this host's own it demands a token: in the file of --token-file, or in ORCHESTRATOR_MERGE_DASHBOARD_TOKEN.",
  args: {
    host: option("ADDRESS", "the address to listen on (default 127.0.0.1)", text),
    port: option("PORT", "the port to listen on (default 8787; 0 is any that is free)", port),
    tokenFile: option("FILE", "a file with the token that browsers and monitors must show", filePath),
    every: option("TIME", "how often the timer runs: /healthz is red after three times that (default 5m)", duration),
  },
  examples: [
    ["dashboard", "Then open http://127.0.0.1:8787/ in a browser on this host."],
    ["dashboard --host 0.0.0.0 --token-file ~/.config/token", "For other hosts: open /?token=... once there."],
  ],
  async run(context) {
    const { args } = context;
    const [{ dashboard, serveUntil }, { isLoopback }, { readDashboardToken }] = await Promise.all([
      import("../web/server.ts"),
      import("../web/guard.ts"),
      import("../host/secrets.ts"),
    ]);
    const host = args.host ?? "127.0.0.1";
    const token = readDashboardToken(context.env, args.tokenFile ?? null);
    if (token === null && !isLoopback(host)) {
      const wayOut =
        "Put a token into a file and give --token-file FILE, or leave out --host: ssh -L 8787:localhost:8787 leads there too.";
      throw new UserError(exitCode.usage, `without a token the dashboard is not shown on ${host}.`, wayOut);
    }
    if (token !== null && token.length < shortestToken) {
      const sentence = `the token of the dashboard is too short (${token.length} characters).`;
      throw new UserError(exitCode.usage, sentence, `Make one: openssl rand -hex 16`);
    }
    const [{ dashboardSource }, { keptOpen }, { location, source, kind }, authToken] = await Promise.all([
      import("./dashboard-data.ts"),
      import("../queue/kept-open.ts"),
      context.database(),
      context.authToken(),
    ]);
    const options = source === "--db" ? ` ${dbFlag(location)}` : "";
    const kept = keptOpen({ location, mode: "read", authToken: kind === "server" ? authToken : undefined });
    try {
      await kept.queue(); // what is wrong with it is told at once, as every command does
      const data = dashboardSource({
        queue: kept.queue,
        now: () => context.now().getTime(),
        every: args.every ?? 300_000,
        place: shortened(location, context.env["HOME"]),
        options,
      });
      const app = dashboard(data, { host, token });
      await serveUntil(app, { host, port: args.port ?? 8787 }, context.interruption(), (used) => {
        const url = `http://${host.includes(":") ? `[${host}]` : host}:${used}/`;
        if (context.json) context.printJson({ url, database: location });
        else context.print(url);
        context.note(token === null ? "Ctrl-C ends it." : "Open it once with ?token=... at its end. Ctrl-C ends it.");
      });
    } finally {
      await kept.close();
    }
  },
});

/** With `~` for the home directory. */
const shortened = (path: string, home: string | undefined): string =>
  home !== undefined && home !== "/" && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
