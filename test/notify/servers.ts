import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createPlainServer, type Socket } from "node:net";
import { join } from "node:path";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { onTestFinished } from "vitest";
import { temporaryDirectory } from "../helpers/directory.ts";

/* The other side of the notifiers, for real, on loopback. Everything ends with its test. */

/** A certificate for localhost, signed by itself: whoever trusts `file` trusts it. */
export function certificate(): { key: string; cert: string; file: string } {
  const dir = temporaryDirectory();
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  const subject = [
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-days",
    "2",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  execFileSync("openssl", ["req", ...kind, "-keyout", key, "-out", cert, ...subject], { stdio: "ignore" });
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8"), file: cert };
}

export type Request = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

type Answer = { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

/**
 * An HTTP server that answers the nth request as `answer` says, n from 0; null is never. `arrived` waits for a number of requests,
 * `drop` closes all connections.
 */
export async function httpServer(
  answer: (n: number, request: Request) => Answer | null = () => ({ status: 200 }),
  tls?: { key: string; cert: string },
) {
  const requests: Request[] = [];
  const waiting: (() => void)[] = [];
  const handler = createServer();
  const server = tls === undefined ? handler : createTlsServer(tls);
  server.on("request", (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const request = {
        path: incoming.url ?? "",
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString("utf8"),
      };
      const given = answer(requests.push(request) - 1, request);
      if (given !== null) outgoing.writeHead(given.status, given.headers).end(given.body ?? "ok");
      for (const wake of waiting.splice(0)) wake();
    });
  });
  const port = await listen(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `${tls === undefined ? "http" : "https"}://localhost:${port}/hook`,
    port,
    requests,
    drop: () => server.closeAllConnections(),
    async arrived(count: number): Promise<void> {
      while (requests.length < count) await new Promise<void>((wake) => waiting.push(wake));
    },
  };
}

export type Mail = {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly secure: boolean;
};

/** The one user of the mail server. */
export const login = { user: "bot", password: "tr0ub4dor-smtp" };

/** A mail server that takes only `login` where it asks for one. */
export async function smtpServer(options: SMTPServerOptions) {
  const mails: Mail[] = [];
  const logins: string[] = [];
  const server = new SMTPServer({
    logger: false,
    closeTimeout: 100,
    onAuth({ username, password }, _session, done) {
      logins.push(password ?? "");
      if (username === login.user && password === login.password) done(null, { user: username });
      else done(Object.assign(new Error(`wrong password ${password}`), { responseCode: 535 }));
    },
    onData(stream, { envelope, secure }, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const from = envelope.mailFrom === false ? "" : envelope.mailFrom.address;
        const to = envelope.rcptTo.map(({ address }) => address);
        mails.push({ from, to, text: Buffer.concat(chunks).toString("utf8"), secure });
        done();
      });
    },
    ...options,
  });
  server.on("error", () => {}); // a client that goes away in the middle is part of the trial
  const port = await listen(server.server);
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { port, mails, logins };
}

/** A server that takes connections and does with them what it likes. */
export async function rawServer(each: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createPlainServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    each(socket);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return await listen(server);
}

/** A port where nobody is. */
export async function closedPort(): Promise<number> {
  const server = createPlainServer();
  const port = await listen(server);
  server.close();
  await once(server, "close");
  return port;
}

async function listen(server: {
  listen(port: number, host: string): unknown;
  address(): AddressInfo | string | null;
}): Promise<number> {
  const emitter = server as unknown as NodeJS.EventEmitter; // every kind of server is one
  const listening = once(emitter, "listening");
  server.listen(0, "127.0.0.1");
  await listening;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
