import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bundle, cli } from "../helpers/cli.ts";
import { ask, type Served, startDashboard } from "../helpers/dashboard.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { attempt, insert } from "../helpers/memory.ts";
import { insertRows, queueDb, sql } from "../helpers/queueDb.ts";

const deno = join(import.meta.dirname, `../../node_modules/@deno/linux-${process.arch}-glibc/deno`);
const token = "0123456789abcdef-secret";

async function served(...given: Parameters<typeof startDashboard>): Promise<Served> {
  const server = await startDashboard(...given);
  onTestFinished(async () => void (await server.stop()));
  return server;
}

describe("who may ask", () => {
  let server: Served;
  let db: string;
  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), "dashboard-"));
    db = await queueDb(dir, { rows: [{ id: 1 }] });
    server = await startDashboard(db);
    return async () => {
      await server.stop();
      rmSync(dir, { recursive: true });
    };
  });
  const port = (): string => new URL(server.url).port;

  test("the page comes with a strict policy, is nowhere framed or kept, and loads nothing from elsewhere", async () => {
    const page = await ask(server.url);
    expect(page).toMatchObject({
      status: 200,
      headers: {
        "content-type": "text/html; charset=utf-8",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
      },
    });
    expect(page.headers["access-control-allow-origin"]).toBeUndefined();
    const policy = String(page.headers["content-security-policy"]).split("; ").sort();
    expect(policy).toEqual([
      "base-uri 'none'",
      "connect-src 'self'",
      "default-src 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "img-src 'self'",
      "require-trusted-types-for 'script'",
      "script-src 'self'",
      "style-src 'self'",
    ]);
    expect(page.body).not.toMatch(/<script(?! src="page\.js" defer><\/script>)|<style|\sstyle=|\son\w+=/);
    const style = await ask(`${server.url}page.css`);
    for (const { body } of [page, style]) expect(body).not.toMatch(/https?:|url\(/);
    const named = [...page.body.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, file]) => file ?? "");
    expect(named.sort()).toEqual(["icon.svg", "page.css", "page.js"]);
    for (const file of named) expect(await ask(server.url + file)).toMatchObject({ status: 200 });
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])("%s is refused", async (method) => {
    expect(await ask(`${server.url}api/queue`, {}, method)).toMatchObject({
      status: 405,
      headers: { allow: "GET, HEAD" },
    });
  });

  test("HEAD is GET without the body", async () => {
    expect(await ask(`${server.url}metrics`, {}, "HEAD")).toMatchObject({ status: 200, body: "" });
  });

  test.each(["evil.example", "evil.example:8787", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.7"])(
    "a name that is not this host's own is refused: %s (DNS rebinding)",
    async (host) => {
      for (const path of ["", "api/queue", "api/events", "metrics", "healthz"]) {
        expect(await ask(server.url + path, { host })).toMatchObject({ status: 403 });
      }
    },
  );

  test("this host's own names are answered, also through a tunnel from another port", async () => {
    for (const host of [`localhost:${port()}`, `127.0.0.1:${port()}`, `[::1]:${port()}`, "localhost:9000"]) {
      expect(await ask(`${server.url}api/queue`, { host })).toMatchObject({ status: 200 });
    }
  });

  test.each([
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: "http://localhost:1" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
  ])("a page of another origin gets nothing: %j", async (headers) => {
    for (const path of ["", "api/queue", "api/events", "page.js"]) {
      expect(await ask(server.url + path, headers)).toMatchObject({ status: 403 });
    }
  });

  test("our own page, and a link that is followed, are answered", async () => {
    const own = { origin: server.url.slice(0, -1), "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" };
    expect(await ask(`${server.url}api/queue`, own)).toMatchObject({ status: 200 });
    const followed = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    expect(await ask(server.url, followed)).toMatchObject({ status: 200 });
  });

  test("what is not there is 404, and no odd number is a bug", async () => {
    for (const path of [
      "nothing",
      "api/projects/99",
      "api/projects/99999999999999999999",
      "api/projects/x",
      "..%2fpage",
    ]) {
      expect(await ask(server.url + path)).toMatchObject({ status: 404 });
    }
    for (const query of [
      "offset=-1&limit=x",
      "limit=99999999",
      "state=nobody,held",
      "search=%00%27%22%25_",
      "days=0",
    ]) {
      expect(await ask(`${server.url}api/queue?${query}`)).toMatchObject({ status: 200 });
      expect(await ask(`${server.url}api/overview?${query}`)).toMatchObject({ status: 200 });
    }
  });

  test("nobody changes a row by looking", async () => {
    const before = await sql(db, "SELECT * FROM project_queue");
    for (const path of ["", "api/overview", "api/queue", "api/projects/1", "metrics", "healthz"])
      await ask(server.url + path);
    expect(await sql(db, "SELECT * FROM project_queue")).toEqual(before);
  });
});

describe("beyond this host", () => {
  test("it is not shown without a token, or with one that is soon guessed", async () => {
    const db = await queueDb(temporaryDirectory());
    for (const host of ["0.0.0.0", "::", "192.168.1.7"]) {
      const refused = await cli(["dashboard", "--host", host, "--port", "0", "--db", db]);
      expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("without a token") });
    }
    const env = { ORCHESTRATOR_MERGE_DASHBOARD_TOKEN: "short" };
    const short = await cli(["dashboard", "--port", "0", "--db", db], { env });
    expect(short).toMatchObject({ code: 2, stderr: expect.stringContaining("too short") });
    const missing = await cli(["dashboard", "--port", "0", "--db", db, "--token-file", "/nonexistent/token"]);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining("--token-file") });
  });

  test("the token opens it once for a browser, and each time for a monitor", async () => {
    const db = await queueDb(temporaryDirectory({ token: `${token}\n` }), { rows: [{ id: 1 }] });
    const server = await served(db, ["--host", "0.0.0.0", "--token-file", join(db, "..", "token")]);
    const url = server.url.replace("0.0.0.0", "127.0.0.1");
    for (const path of [
      "",
      "page.js",
      "api/queue",
      "api/events",
      "metrics",
      "healthz",
      "?token=wrong",
      "api/queue?token=wrong",
    ]) {
      expect(await ask(url + path)).toMatchObject({ status: 401 });
    }
    for (const headers of [
      { cookie: "orchestrator_merge=wrong" },
      { cookie: `orchestrator_merge=${token}` },
      { authorization: "Bearer wrong" },
    ]) {
      expect(await ask(`${url}api/queue`, headers)).toMatchObject({ status: 401 });
    }
    const login = await ask(`${url}?token=${token}`);
    expect(login).toMatchObject({ status: 303, headers: { location: "/" } });
    const [set = ""] = [login.headers["set-cookie"] ?? []].flat();
    expect(set).toMatch(/^orchestrator_merge=[0-9a-f]{64}; .*HttpOnly; .*SameSite=Strict/);
    expect(set).not.toContain(token);
    const [cookie = ""] = set.split(";");
    expect(await ask(url, { cookie, host: "queue.example" })).toMatchObject({ status: 200 });
    expect(await ask(`${url}api/queue`, { cookie })).toMatchObject({ status: 200 });
    expect(await ask(`${url}metrics`, { authorization: `Bearer ${token}` })).toMatchObject({ status: 200 });
    expect(await ask(`${url}api/queue`, { cookie, origin: "https://evil.example" })).toMatchObject({ status: 403 });
  });
});

describe("what monitors ask for", () => {
  test("/metrics is what stats --format prometheus says", async () => {
    const db = await queueDb(temporaryDirectory(), { rows: [{ id: 1 }, { id: 2 }] });
    await attempt(db, 2, "merge_failed", { reason: "conflict" });
    const server = await served(db);
    const page = await ask(`${server.url}metrics`);
    expect(page).toMatchObject({
      status: 200,
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    });
    expect(page.body).toContain('orchestrator_merge_failures_total{reason="conflict"} 1\n');
    expect(page.body).toBe((await cli(["stats", "--format", "prometheus", "--db", db])).stdout);
  });

  test("/healthz is red before the first tick and when none ended well in three intervals", async () => {
    const db = await queueDb(temporaryDirectory());
    const server = await served(db, ["--every", "10m"]);
    const health = async () => {
      const { status, body } = await ask(`${server.url}healthz`);
      return { status, ...(JSON.parse(body) as object) };
    };
    expect(await health()).toMatchObject({ status: 503, healthy: false, lastTick: null });
    await insert(db, "merge_meta", { key: "last_tick", value: String(Date.now() - 29 * 60_000) });
    expect(await health()).toMatchObject({ status: 200, healthy: true });
    await sql(db, "UPDATE merge_meta SET value = ? WHERE key = 'last_tick'", [String(Date.now() - 31 * 60_000)]);
    expect(await health()).toMatchObject({ status: 503, healthy: false });
    expect(await cli(["run", "--db", db])).toMatchObject({ code: 0 });
    expect(await health()).toMatchObject({ status: 200 });
  });

  test("a queue that is gone is told, and one that is put in its place is shown", async () => {
    const dir = temporaryDirectory();
    const db = await queueDb(dir, { rows: [{ id: 1 }] });
    const other = await queueDb(dir, { rows: [{ id: 1 }, { id: 2 }], name: "other.db" });
    const server = await served(db);
    const matching = async (): Promise<unknown> =>
      (JSON.parse((await ask(`${server.url}api/queue`)).body) as { matching?: unknown }).matching;
    expect(await matching()).toBe(1);
    renameSync(db, `${db}.gone`);
    for (const path of ["api/queue", "healthz", "metrics"]) {
      const answer = await ask(server.url + path);
      expect(answer).toMatchObject({ status: 503, body: expect.stringContaining("there is no queue database") });
    }
    renameSync(other, db);
    expect(await matching()).toBe(2);
  });
});

describe("the command", () => {
  test("says where it listens, and ends at a signal with a stream open", async () => {
    const db = await queueDb(temporaryDirectory());
    const server = await startDashboard(db);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    const stream = await fetch(`${server.url}api/events`);
    expect(stream.headers.get("content-type")).toMatch(/^text\/event-stream/);
    expect(await server.stop()).toBe(143);
    await expect(stream.text()).rejects.toThrow();
  });

  test.each<[string[], string]>([
    [["--port", "70000"], '--port does not take "70000"'],
    [["--host", "no-such-host.invalid"], "without a token"],
  ])("%j: exit 2", async (words, sentence) => {
    const db = await queueDb(temporaryDirectory());
    expect(await cli(["dashboard", "--db", db, ...words])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(sentence),
    });
  });

  test("a port that is taken, and a queue that is not there, are told at once", async () => {
    const db = await queueDb(temporaryDirectory());
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    onTestFinished(() => void taken.close());
    const port = String((taken.address() as AddressInfo).port);
    const refused = await cli(["dashboard", "--db", db, "--port", port]);
    expect(refused).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining(`listens on 127.0.0.1:${port}`),
    });
    expect(await cli(["dashboard", "--db", `${db}.none`, "--port", "0"])).toMatchObject({ code: 3, stdout: "" });
  });

  test("pages that were closed make room for others", async () => {
    const db = await queueDb(temporaryDirectory());
    const server = await served(db);
    const events = `${server.url}api/events`;
    expect(await ask(events, {}, "HEAD")).toMatchObject({ status: 200, body: "" });
    const open = new Set<AbortController>();
    const status = async (): Promise<number> => {
      const control = new AbortController();
      const { status } = await fetch(events, { signal: control.signal });
      open.add(control);
      return status;
    };
    for (let n = 0; n < 50; n++) expect(await status()).toBe(200);
    expect(await status()).toBe(503);
    for (const control of open) control.abort();
    await expect.poll(status, { timeout: 5000 }).toBe(200);
    for (const control of open) control.abort();
  });

  test.each<[string, [string, ...string[]]]>([
    ["Node", [process.execPath, bundle]],
    ["Deno", [deno, "run", "-A", bundle]],
  ])("as a script under %s it serves the page and tells of a change", async (_, command) => {
    const db = await queueDb(temporaryDirectory(), { rows: [{ id: 1 }] });
    const server = await served(db, [], { command });
    expect(await ask(server.url)).toMatchObject({ status: 200 });
    expect(await ask(server.url, { host: "evil.example" })).toMatchObject({ status: 403 });
    const stream = await fetch(`${server.url}api/events`);
    const text = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    const changes = async (wanted: number): Promise<void> => {
      for (let seen = 0; seen < wanted; ) seen += ((await text?.read())?.value ?? "").split("event: change").length - 1;
    };
    await changes(1);
    await insertRows(db, [{ id: 2 }]);
    await changes(1);
    expect(await ask(`${server.url}api/queue`)).toMatchObject({ body: expect.stringContaining('"matching":2') });
    await text?.cancel();
  });
});
