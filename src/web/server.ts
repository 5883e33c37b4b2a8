import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Context } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { streamSSE } from "hono/streaming";
import { Hono } from "hono/tiny";
import { exitCode, UserError } from "../core/errors.ts";
import type { Source, State } from "./api.ts";
import { states } from "./api.ts";
import { pageFiles } from "./assets.ts";
import { type Guard, guarded } from "./guard.ts";
import { liveOn } from "./live.ts";

/** Streams at once; a browser keeps one a page. */
const mostStreams = 50;
/** A comment so often tells proxies and us that the other end is there, in milliseconds. */
const heartbeat = 15_000;
const day = 86_400_000;

/** Everything that is served. Nothing of it changes anything. */
export function dashboard(source: Source, guard: Guard): Hono {
  const app = new Hono();
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
        requireTrustedTypesFor: ["'script'"],
      },
      xFrameOptions: "DENY",
      strictTransportSecurity: false,
    }),
  );
  app.use(async (c, next) => {
    await next();
    c.header("cache-control", "no-store");
  });
  app.use(guarded(guard));

  for (const [path, type, text] of pageFiles) app.get(path, (c) => c.body(text, 200, { "content-type": type }));

  app.get("/api/overview", async (c) => {
    const days = number(c.req.query("days"), 1, 3650, 30);
    return c.json(await source.overview(days * day));
  });
  app.get("/api/queue", async (c) => {
    const wanted = (c.req.query("state") ?? "").split(",");
    return c.json(
      await source.queue({
        states: new Set(states.filter((state: State) => wanted.includes(state))),
        search: (c.req.query("search") ?? "").slice(0, 200),
        offset: number(c.req.query("offset"), 0, Number.MAX_SAFE_INTEGER, 0),
        limit: number(c.req.query("limit"), 1, 200, 50),
      }),
    );
  });
  app.get("/api/projects/:id{[0-9]+}", async (c) => {
    const id = Number(c.req.param("id"));
    const story = Number.isSafeInteger(id) ? await source.story(id) : undefined;
    return story === undefined ? c.json({ error: `There is no project ${c.req.param("id")}.` }, 404) : c.json(story);
  });
  app.get("/api/events", events(source));
  app.get("/metrics", async (c) =>
    c.body(await source.metrics(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );
  app.get("/healthz", async (c) => {
    const health = await source.health();
    return c.json(health, health.healthy ? 200 : 503);
  });
  app.notFound((c) => c.text("There is no such page.\n", 404));
  app.onError((error, c) => {
    // The queue cannot be read now (locked, gone, unreachable): what a command would say. Anything else is a bug, and told as one.
    if (error instanceof UserError) return c.json({ error: error.sentence, wayOut: error.wayOut }, 503);
    return c.json({ error: `unexpected: ${error.message}` }, 500);
  });
  return app;
}

/** Server-sent events: `change` whenever something was written, https://html.spec.whatwg.org/multipage/server-sent-events.html. */
function events(source: Source): (c: Context) => Response {
  const live = liveOn(source.version);
  let streams = 0;
  return (c) => {
    // A stream without a body would have no end that anybody sees.
    if (c.req.method === "HEAD") return c.body(null, 200, { "content-type": "text/event-stream" });
    if (streams >= mostStreams) return c.text("Too many pages are open.\n", 503);
    return streamSSE(c, async (stream) => {
      streams += 1;
      let wake = (): void => {};
      // Whoever comes, or comes back, has missed something.
      let changed = true;
      const unlisten = await live.listen(() => {
        changed = true;
        wake();
      });
      stream.onAbort(() => wake());
      await stream.write("retry: 1000\n\n");
      try {
        while (!stream.aborted) {
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, heartbeat);
            wake = () => {
              clearTimeout(timer);
              resolve();
            };
            if (changed || stream.aborted) wake();
          });
          if (changed) {
            changed = false;
            await stream.writeSSE({ event: "change", data: "" });
          } else await stream.write(": still here\n\n");
        }
      } finally {
        unlisten();
        streams -= 1;
      }
    });
  };
}

/** A whole number of the query, kept between two bounds; `otherwise` when it is none. */
function number(given: string | undefined, least: number, most: number, otherwise: number): number {
  const n = given === undefined || !/^\d+$/.test(given) ? otherwise : Number(given);
  return Math.min(most, Math.max(least, n));
}

/** Serves until `signal` is aborted. `ready` is told the port. Throws UserError(2) when the address cannot be had. */
export async function serveUntil(
  app: Hono,
  { host, port }: { readonly host: string; readonly port: number },
  signal: AbortSignal,
  ready: (port: number) => void,
): Promise<void> {
  // Without a scheme and port of its own it is HTTP/1.1 over TCP: a node:http server.
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(refused(error, host, port)));
    server.listen({ host, port }, resolve);
  });
  ready((server.address() as AddressInfo).port);
  await new Promise<void>((resolve) => {
    const end = (): void => {
      server.close(() => resolve());
      server.closeAllConnections();
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

function refused(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const place = `${host}:${port}`;
  if (error.code === "EADDRINUSE") {
    return new UserError(exitCode.usage, `another program listens on ${place}.`, "Give another one: --port 8788");
  }
  if (error.code === undefined || error.syscall === undefined) return error;
  return new UserError(exitCode.usage, `${place} cannot be listened on (${error.code}).`, "Correct --host or --port.");
}
