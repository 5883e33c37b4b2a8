import { createHmac } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { describe, expect, test } from "vitest";
import { openChannel } from "../../src/app/channels.ts";
import type { Happening, NotifySettings } from "../../src/core/notify.ts";
import { defaults } from "../../src/host/config.ts";
import { type Message, messagesOf } from "../../src/notify/message.ts";
import type { Outcome } from "../../src/notify/outcome.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { certificate, closedPort, httpServer, login, type Mail, rawServer, smtpServer } from "./servers.ts";

/* Each channel against a real counterpart: what it sends, to the byte, and what it makes of every kind of answer. */

const at = Date.UTC(2026, 4, 4, 10);
const now = Date.UTC(2026, 4, 4, 10, 0, 5);

const failed: Happening = {
  id: "failed:01JABC",
  event: "failed",
  at,
  project: { id: 7, name: "<!channel> & co", path: "/work/shop" },
  reason: "conflict",
  detail: "cart.txt conflicts with main.",
  repository: "/work/shop/.git",
  target: "main",
  mergeCommit: null,
  conflicts: ["cart.txt"],
  runId: null,
};

function messageOf(happening: Happening): Message {
  const [message] = messagesOf([happening], "builder", now);
  if (message === undefined) throw new Error("no message");
  return message;
}

/** A certificate that this process trusts from now on. */
function trusted() {
  const own = certificate();
  setDefaultCACertificates([...getCACertificates("bundled"), own.cert]);
  return own;
}

const never = new AbortController().signal;

/** Sends by one channel, with its secrets in files. */
async function send(
  name: "slack" | "webhook" | "email" | "command",
  settings: Partial<NotifySettings>,
  options: { happening?: Happening; signal?: AbortSignal; env?: Record<string, string> } = {},
): Promise<Outcome> {
  const channel = openChannel(
    { ...defaults.notify, ...settings },
    options.env ?? { PATH: process.env["PATH"] ?? "" },
    name,
  );
  return await channel(messageOf(options.happening ?? failed), options.signal ?? never);
}

function secretFile(text: string): string {
  return join(temporaryDirectory({ secret: `${text}\n` }), "secret");
}

const slack = (url: string) => ({ slack: { urlFile: secretFile(url) } });
const webhook = (url: string, secret: string | null = null) => ({
  webhook: { url, urlFile: null, secretFile: secret === null ? null : secretFile(secret) },
});

describe("slack", () => {
  test("is sent the text alone, and nothing in a name is obeyed", async () => {
    const server = await httpServer();
    expect(await send("slack", slack(server.url))).toEqual({ did: "sent" });
    const [request] = server.requests;
    expect(request?.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(JSON.parse(request?.body ?? "")).toEqual({
      text:
        "Project 7 &lt;!channel&gt; &amp; co failed: conflict\ncart.txt conflicts with main.\n" +
        "Merge the target into the agent's branch, solve it there and commit: it is then tried again by itself. " +
        "To try at once: orchestrator-merge retry 7",
    });
  });

  test.each([
    [404, "no_service", { did: "refused", why: "it answered 404 no_service" }],
    [403, "https://secret.example/token", { did: "refused", why: "it answered 403" }],
    [500, "", { did: "later", why: "it answered 500", afterMs: null }],
  ])("answers %i %j", async (status, body, outcome) => {
    const server = await httpServer(() => ({ status, body }));
    expect(await send("slack", slack(server.url))).toEqual(outcome);
  });

  test("429 says how long to wait, in seconds or by a date", async () => {
    const date = new Date(Date.now() + 90_000).toUTCString();
    const server = await httpServer((n) => ({ status: 429, headers: { "Retry-After": n === 0 ? "30" : date } }));
    expect(await send("slack", slack(server.url))).toMatchObject({ did: "later", afterMs: 30_000 });
    const second = await send("slack", slack(server.url));
    const afterMs = second.did === "later" ? (second.afterMs ?? 0) : 0;
    expect(afterMs).toBeGreaterThan(60_000);
    expect(afterMs).toBeLessThanOrEqual(90_000);
  });

  test("a redirect is not followed", async () => {
    const other = await httpServer();
    const server = await httpServer(() => ({ status: 307, headers: { Location: other.url } }));
    expect(await send("slack", slack(server.url))).toMatchObject({
      did: "refused",
      why: expect.stringContaining("307"),
    });
    expect(other.requests).toEqual([]);
  });

  test("an address that is none, or holds a password, is refused and not repeated", async () => {
    for (const text of ["hooks.slack.com/hunter2", "https://me:hunter2@localhost/", "file:///hunter2"]) {
      const outcome = await send("slack", slack(text));
      expect(outcome.did).toBe("refused");
      expect(JSON.stringify(outcome)).not.toContain("hunter2");
    }
    expect(await send("slack", { slack: { urlFile: "/nowhere/url" } })).toEqual({
      did: "refused",
      why: "the address file /nowhere/url cannot be read (ENOENT)",
    });
  });
});

describe("webhook", () => {
  test("the documented payload, signed with the time", async () => {
    const server = await httpServer();
    expect(await send("webhook", webhook(server.url, "s3cret"))).toEqual({ did: "sent" });
    const [request] = server.requests;
    const body = request?.body ?? "";
    const title = "Project 7 <!channel> & co failed: conflict";
    const example = {
      schema: 1,
      id: "failed:01JABC",
      host: "builder",
      sentAt: "2026-05-04T10:00:05.000Z",
      text: title,
      events: [
        {
          id: "failed:01JABC",
          event: "failed",
          at: "2026-05-04T10:00:00.000Z",
          project: { id: 7, name: "<!channel> & co", path: "/work/shop" },
          reason: "conflict",
          detail: "cart.txt conflicts with main.",
          repository: "/work/shop/.git",
          target: "main",
          mergeCommit: null,
          conflicts: ["cart.txt"],
          runId: null,
          text: title,
          nextStep: expect.stringContaining("orchestrator-merge retry 7"),
        },
      ],
    };
    expect(JSON.parse(body)).toEqual(example);
    const page = readFileSync(join(import.meta.dirname, "../../docs/notifications.md"), "utf8");
    const documented = /^```json\n(.*?)^```/ms.exec(page)?.[1] ?? "{}";
    expect(shapeOf(JSON.parse(documented))).toEqual(shapeOf(JSON.parse(body)));
    const timestamp = String(now / 1000);
    const mac = createHmac("sha256", "s3cret").update(`${timestamp}.${body}`).digest("hex");
    expect(request?.headers).toMatchObject({
      "x-orchestrator-merge-id": "failed:01JABC",
      "x-orchestrator-merge-timestamp": timestamp,
      "x-orchestrator-merge-signature": `sha256=${mac}`,
    });
  });

  test("without a secret there is no signature", async () => {
    const server = await httpServer();
    await send("webhook", webhook(server.url));
    expect(Object.keys(server.requests[0]?.headers ?? {})).not.toContain("x-orchestrator-merge-signature");
  });

  test("the environment comes before the files, for address and secret", async () => {
    const server = await httpServer();
    const env = {
      ORCHESTRATOR_MERGE_NOTIFY_WEBHOOK_URL: server.url,
      ORCHESTRATOR_MERGE_NOTIFY_WEBHOOK_SECRET: "other",
    };
    await send("webhook", webhook("http://localhost:1/", "s3cret"), { env });
    const [request] = server.requests;
    const mac = createHmac("sha256", "other")
      .update(`${now / 1000}.${request?.body}`)
      .digest("hex");
    expect(request?.headers["x-orchestrator-merge-signature"]).toBe(`sha256=${mac}`);
  });

  test("nobody there, no answer, an end in the middle", async () => {
    const gone = await send("webhook", webhook(`http://localhost:${await closedPort()}/x`));
    expect(gone).toEqual({ did: "later", why: "it could not be reached (ECONNREFUSED)", afterMs: null });
    const stop = new AbortController();
    const silent = await httpServer(() => null);
    const answer = send("webhook", webhook(silent.url), { signal: stop.signal });
    await silent.arrived(1);
    stop.abort();
    expect(await answer).toEqual({ did: "later", why: "no answer in time", afterMs: null });
    const port = await rawServer((socket) => socket.once("data", () => socket.end("HTTP/1.1 20")));
    expect((await send("webhook", webhook(`http://localhost:${port}/`))).did).toBe("later");
  });

  test("over TLS only with a certificate that is trusted", async () => {
    const own = certificate();
    const server = await httpServer(() => ({ status: 200 }), own);
    expect(await send("webhook", webhook(server.url))).toEqual({
      did: "later",
      why: "it could not be reached (DEPTH_ZERO_SELF_SIGNED_CERT)",
      afterMs: null,
    });
    expect(server.requests).toEqual([]);
    setDefaultCACertificates([...getCACertificates("bundled"), own.cert]);
    expect(await send("webhook", webhook(server.url))).toEqual({ did: "sent" });
  });
});

/** What is where, without the values. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== "object" || value === null) return null;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]));
}

describe("email", () => {
  const email = (port: number, more: Partial<NonNullable<NotifySettings["email"]>> = {}) => ({
    email: {
      host: "localhost",
      port,
      security: "starttls" as const,
      user: login.user,
      passwordFile: secretFile(login.password),
      from: "Merges <merge@example.com>",
      to: ["pat@example.com", "Quinn <quinn@example.com>"],
      ...more,
    },
  });

  function headersOf(mail: Mail | undefined): Map<string, string> {
    const head = mail?.text.split("\r\n\r\n")[0]?.replace(/\r\n[ \t]/g, " ") ?? "";
    return new Map(
      head.split("\r\n").map((line) => [line.split(": ")[0]?.toLowerCase() ?? "", line.slice(line.indexOf(": ") + 2)]),
    );
  }

  test.each([["starttls"], ["tls"]] as const)("by %s, with a login", async (security) => {
    const own = trusted();
    const { port, mails, logins } = await smtpServer({ key: own.key, cert: own.cert, secure: security === "tls" });
    const happening = { ...failed, project: { id: 7, name: "Käse\r\nBcc: eve@example.com", path: null } };
    expect(await send("email", email(port, { security }), { happening })).toEqual({ did: "sent" });
    expect(logins).toEqual([login.password]);
    const [mail] = mails;
    expect(mail).toMatchObject({
      from: "merge@example.com",
      to: ["pat@example.com", "quinn@example.com"],
      secure: true,
    });
    const headers = headersOf(mail);
    expect(headers.get("to")).toBe("pat@example.com, Quinn <quinn@example.com>");
    expect(headers.get("subject")?.replaceAll("?= =?UTF-8?Q?", "")).toContain("Project_7_K=C3=A4se=5Cr=5CnBcc");
    expect(headers.get("auto-submitted")).toBe("auto-generated");
    expect(headers.get("x-orchestrator-merge-id")).toBe("failed:01JABC");
    expect(headers.get("message-id")).toMatch(/^<[0-9a-f]{32}@.+>$/);
    expect([...headers.keys()]).not.toContain("bcc");
    expect(mail?.text).toContain("cart.txt conflicts with main.");
  });

  test("without a login where none is asked for", async () => {
    const { port, mails } = await smtpServer({ disabledCommands: ["STARTTLS", "AUTH"], authOptional: true });
    expect(await send("email", email(port, { security: "none", user: null, passwordFile: null }))).toEqual({
      did: "sent",
    });
    expect(mails).toHaveLength(1);
  });

  test("a server without STARTTLS is told neither password nor message", async () => {
    const { port, mails, logins } = await smtpServer({
      disabledCommands: ["STARTTLS"],
      allowInsecureAuth: true,
      authOptional: true,
    });
    const outcome = await send("email", email(port));
    expect(outcome).toMatchObject({ did: "refused", why: expect.stringContaining("ETLS") });
    expect([mails, logins]).toEqual([[], []]);
  });

  test("a certificate that nobody trusts ends it before the password", async () => {
    const other = certificate();
    const { port, logins } = await smtpServer({ key: other.key, cert: other.cert });
    expect((await send("email", email(port))).did).not.toBe("sent");
    expect(logins).toEqual([]);
  });

  test("a wrong password is refused, and stands in no message", async () => {
    const own = trusted();
    const { port } = await smtpServer({ key: own.key, cert: own.cert });
    const outcome = await send("email", email(port, { passwordFile: secretFile("hunter2") }));
    expect(outcome).toEqual({ did: "refused", why: "the server refused the login (EAUTH 535)" });
  });

  test.each([
    [550, "refused", "the server refused the message (EENVELOPE 550)"],
    [451, "later", "it could not be sent (EENVELOPE 451)"],
  ])("a recipient refused with %i is %s", async (responseCode, did, why) => {
    const { port } = await smtpServer({
      disabledCommands: ["STARTTLS", "AUTH"],
      authOptional: true,
      onRcptTo: (_address, _session, done) => done(Object.assign(new Error("no"), { responseCode })),
    });
    const plain = email(port, { security: "none", user: null, passwordFile: null });
    expect(await send("email", plain)).toMatchObject({ did, why });
  });

  test("a server that drops the connection, is not there, or never says a word", async () => {
    const dropping = await rawServer((socket) => {
      socket.write("220 here\r\n");
      socket.once("data", () => socket.destroy());
    });
    const plain = (port: number) => email(port, { security: "none", user: null, passwordFile: null });
    expect(await send("email", plain(dropping))).toMatchObject({ did: "later" });
    expect(await send("email", plain(await closedPort()))).toMatchObject({
      did: "later",
      why: expect.stringContaining("could not be sent"),
    });
    const stop = new AbortController();
    const silent = await rawServer(() => stop.abort());
    expect(await send("email", plain(silent), { signal: stop.signal })).toEqual({
      did: "later",
      why: "no answer in time",
      afterMs: null,
    });
  });
});

describe("command", () => {
  /** A program of a few lines of shell; gives its path. */
  function script(text: string): string {
    const path = join(temporaryDirectory(), "tell");
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  test("is given the payload, its arguments as they are, and no secret of ours", async () => {
    const out = join(temporaryDirectory(), "out");
    const command = [script(`{ echo "$1"; env; cat; } > '${out}'`), "$(id) *"];
    const env = { PATH: process.env["PATH"] ?? "", ORCHESTRATOR_MERGE_NOTIFY_SLACK_URL: "hunter2", MINE: "kept" };
    expect(await send("command", { command }, { env })).toEqual({ did: "sent" });
    const said = readFileSync(out, "utf8");
    expect(said.split("\n")[0]).toBe("$(id) *");
    expect(said).toContain("MINE=kept");
    expect(said).not.toContain("hunter2");
    expect(JSON.parse(said.trim().split("\n").at(-1) ?? "")).toMatchObject({ schema: 1, id: "failed:01JABC" });
  });

  test("that fails, is not there, or does not end", async () => {
    expect(await send("command", { command: [script("exit 3")] })).toMatchObject({
      did: "later",
      why: "it ended with exit code 3",
    });
    expect(await send("command", { command: ["/nowhere/tell"] })).toEqual({
      did: "refused",
      why: "it cannot be started (ENOENT)",
    });
    const stop = new AbortController();
    const port = await rawServer(() => stop.abort());
    // Its child holds on too: the group ends, or this test does not.
    const command = [script(`node -e 'require("net").connect(${port}, "127.0.0.1")' & wait`)];
    const env = { PATH: `${join(process.execPath, "..")}:${process.env["PATH"]}` };
    expect(await send("command", { command }, { env, signal: stop.signal })).toMatchObject({
      did: "later",
      why: "it did not end in time",
    });
  });
});
