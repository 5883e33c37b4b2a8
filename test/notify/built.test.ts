import { chmodSync, existsSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { bundle, run } from "../helpers/cli.ts";
import { onQueue, outcomeOf, queueOf, rowOf, startTick, tick } from "../helpers/landing.ts";
import { insert } from "../helpers/memory.ts";
import { insertRows, sql } from "../helpers/queueDb.ts";
import { gitWrapper, makeRepo, withProject, withRemote, writeFiles } from "../helpers/repo.ts";
import { certificate, closedPort, httpServer, login, type Request, smtpServer } from "./servers.ts";

/* The built program and real servers: what is told, when, and what it costs when nobody answers. */

const deno = join(import.meta.dirname, "../../node_modules/@deno", `linux-${process.arch}-glibc`, "deno");

const payload = z.looseObject({
  id: z.string(),
  events: z.array(
    z.looseObject({
      id: z.string(),
      event: z.string(),
      project: z.nullable(z.object({ id: z.number(), name: z.string(), path: z.nullable(z.string()) })),
      reason: z.nullable(z.string()),
      detail: z.nullable(z.string()),
    }),
  ),
});

/** What was told, as `event project reason`. */
const told = (requests: readonly Request[]): string[] =>
  requests.flatMap(({ body }) =>
    payload.parse(JSON.parse(body)).events.map(({ event, project, reason }) => `${event} ${project?.id} ${reason}`),
  );

const webhook = (url: string, more = "") => `[notify]\nwebhook = { url = "${url}" }\n${more}`;
const everything = 'on = ["merged", "failed", "held", "approval", "push", "died"]';

/** What waits for its time is due, as the passing of time would have it. */
const timePasses = (db: string) => sql(db, "UPDATE merge_outbox SET next_at = 1 WHERE next_at IS NOT NULL");

test("what landed, failed and is held is told once each; then nothing, while nothing changes", async () => {
  const server = await httpServer();
  const config = webhook(server.url, everything);
  const repo = makeRepo();
  const dirty = withProject(repo, "dirty");
  dirty.agent.write({ "left.txt": "uncommitted\n" });
  const [clean, rival] = [withProject(repo, "cart"), withProject(repo, "shop", { files: { "cart.txt": "shop\n" } })];
  repo.commit({ "cart.txt": "main\n" });
  const db = await queueOf(repo, clean.spec, rival.spec, dirty.spec);
  expect((await tick(db, [], { config })).code).toBe(4);
  expect(told(server.requests).sort()).toEqual(["failed 2 conflict", "merged 1 null"]);
  // Held for a moment only, so far. Later it is told, of an otherwise idle world too.
  await tick(db, [], { config });
  expect(server.requests).toHaveLength(2);
  await timePasses(db);
  await tick(db, [], { config });
  expect(told(server.requests).at(-1)).toBe("held 3 dirty_source");
  expect(server.requests[2]?.body).toContain("left.txt");
  await tick(db, [], { config });
  // Another commit, the same conflict: no news.
  repo.commit({ "cart.txt": "somebody else\n" });
  await tick(db, [], { config });
  expect((await outcomeOf(db, 2)).status).toBe("merge_failed");
  expect(server.requests).toHaveLength(3);
  dirty.agent.commit({ "left.txt": "committed\n" });
  await tick(db, [], { config });
  expect(told(server.requests).at(-1)).toBe("merged 3 null");
  const left = await sql(db, "SELECT count(*) AS n FROM merge_outbox WHERE next_at IS NOT NULL");
  expect(left).toMatchObject([{ n: 0 }]);
});

test("a rule tells of its projects more than the rest hears, or nothing", async () => {
  const server = await httpServer();
  const page = readFileSync(join(import.meta.dirname, "../../docs/notifications.md"), "utf8");
  const [example = ""] = [...page.matchAll(/^```toml\n(.*?)^```/gms)].flatMap(([, text = ""]) =>
    text.includes("notify = false") ? text : [],
  );
  const config = example.replace("https://ci.example.com/merges", server.url);
  const repo = makeRepo();
  const [plain, critical] = [withProject(repo, "plain"), withProject(repo, "critical")];
  const quiet = withProject(repo, "mad-experiment", { files: { "plain-developer.txt": "conflict\n" } });
  const db = await queueOf(repo, plain.spec, critical.spec, quiet.spec);
  await onQueue(db, ["tag", "2", "+critical"]);
  expect((await tick(db, [], { config })).of(3).reason).toBe("conflict");
  expect(told(server.requests)).toEqual(["merged 2 null"]);
});

test("a hold that is over by the time it would be told is not told", async () => {
  const server = await httpServer();
  const repo = makeRepo();
  const { spec, agent } = withProject(repo, "dirty");
  agent.write({ "left.txt": "uncommitted\n" });
  const db = await queueOf(repo, spec);
  const config = webhook(server.url);
  await tick(db, [], { config });
  agent.commit({ "left.txt": "committed\n" });
  await tick(db, [], { config });
  await timePasses(db);
  await tick(db, [], { config });
  expect([server.requests, await sql(db, "SELECT * FROM merge_outbox")]).toEqual([[], []]);
});

test("a server that is down costs the landing nothing, and is told later, by an idle run, under the same id", async () => {
  const server = await httpServer((n) => ({ status: n === 0 ? 503 : 200, headers: { "Retry-After": "7200" } }));
  const config = webhook(server.url, 'on = ["merged"]');
  const repo = makeRepo();
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  const before = Date.now();
  const first = await tick(db, [], { config });
  expect([first.code, first.of(1).outcome]).toEqual([0, "merged"]);
  expect(first.stderr).toContain("webhook could not be told: it answered 503. It is tried again in 2 h.");
  const [row] = await sql(db, "SELECT attempts, next_at, last_error, sent_at FROM merge_outbox");
  expect(row).toMatchObject({ attempts: 1, last_error: "it answered 503", sent_at: null });
  expect(Number(row?.["next_at"])).toBeGreaterThanOrEqual(before + 7_200_000);
  await tick(db, [], { config });
  expect(server.requests).toHaveLength(1);
  const listed = await onQueue(db, ["notify", "list"], { config });
  expect(listed.stdout).toMatch(
    /^webhook {2}merged 1 cart {2}.* waiting, next in (1|2) h, tried once: it answered 503\n$/,
  );
  await timePasses(db);
  await tick(db, [], { config });
  const [one, two] = server.requests.map(({ headers }) => headers["x-orchestrator-merge-id"]);
  expect(one).toMatch(/^merged:[0-9A-Z]{26}$/);
  expect(two).toBe(one);
  expect((await onQueue(db, ["notify", "list"], { config })).stdout).toBe("Everything is told.\n");
});

test("what is refused is given up at the third time, and told in the log", async () => {
  const server = await httpServer(() => ({ status: 410 }));
  const config = webhook(server.url, 'on = ["merged"]');
  const repo = makeRepo();
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  const said: string[] = [];
  for (let n = 0; n < 4; n++) {
    said.push((await tick(db, [], { config })).stderr);
    await timePasses(db);
  }
  expect(server.requests).toHaveLength(3);
  expect(said[2]).toContain("Given up: 1 event, see orchestrator-merge notify list");
  const { events } = JSON.parse((await onQueue(db, ["notify", "list", "--json"], { config })).stdout);
  expect(events).toMatchObject([{ state: "given up", attempts: 3, error: "it answered 410", nextAt: null }]);
});

test("a server that never answers: everything is landed, pushed, written down and given back before it is asked", async () => {
  const server = await httpServer(() => null);
  const repo = makeRepo();
  const remote = withRemote(repo);
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  writeFiles(dirname(db), { "config.toml": webhook(server.url, 'on = ["merged"]') });
  const config = join(dirname(db), "config.toml");
  const first = startTick(db, { ORCHESTRATOR_MERGE_CONFIG: config });
  await server.arrived(1);
  const facts = `SELECT (SELECT merged_status FROM project_queue) AS row, (SELECT state FROM merge_push) AS push,
    (SELECT count(*) FROM merge_lease WHERE run_id IS NOT NULL) AS leased,
    (SELECT count(*) FROM merge_run WHERE finished_at IS NULL) AS unfinished`;
  expect(await sql(db, facts)).toMatchObject([{ row: "merged", push: "pushed", leased: 0, unfinished: 0 }]);
  expect(remote.git("rev-parse", "main")).toBe(repo.head());
  // Meanwhile the next run has the repository to itself, and does not tell the same again.
  await insertRows(db, [rowOf(repo, withProject(repo, "next").spec)]);
  const second = await tick(db, [], {
    env: { ORCHESTRATOR_MERGE_NOTIFY_ON: "died", ORCHESTRATOR_MERGE_CONFIG: config },
  });
  expect(second.of(2).outcome).toBe("merged");
  server.drop();
  expect(await first.ended).toMatchObject({ code: 0 });
  expect(server.requests).toHaveLength(1);
});

test("more than five at once are one message", async () => {
  const server = await httpServer();
  const repo = makeRepo();
  const specs = Array.from({ length: 7 }, (_, n) => withProject(repo, `p${n}`).spec);
  const db = await queueOf(repo, ...specs);
  await tick(db, ["--limit", "all"], { config: webhook(server.url, 'on = ["merged"]') });
  expect(server.requests).toHaveLength(1);
  const { id, text, events } = JSON.parse(server.requests[0]?.body ?? "");
  expect(id).toMatch(/^digest:[0-9a-f]{32}$/);
  expect(text).toBe("7 events: 7 landed");
  expect(events.map(({ event }: { event: string }) => event)).toEqual(Array(7).fill("merged"));
});

test("a push that is owed for too long is told; one that went through in the meantime is not", async () => {
  const server = await httpServer();
  const config = webhook(server.url);
  const repo = makeRepo();
  const remote = withRemote(repo);
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  renameSync(remote.path, `${remote.path}.away`);
  expect((await tick(db, [], { config })).of(1).push).toBe("pending");
  expect(server.requests).toEqual([]);
  await timePasses(db);
  await tick(db, [], { config });
  expect(told(server.requests)).toEqual(["push undefined pending"]);
  await sql(db, "UPDATE merge_outbox SET sent_at = NULL, next_at = 1");
  renameSync(`${remote.path}.away`, remote.path);
  await sql(db, "UPDATE merge_push SET next_at = NULL");
  await tick(db, [], { config });
  expect(server.requests).toHaveLength(1);
  expect(await sql(db, "SELECT * FROM merge_outbox")).toEqual([]);
});

describe("a run that died", () => {
  test("is told by the run that finishes its landing, and the landing too", async () => {
    const server = await httpServer();
    const config = webhook(server.url, 'on = ["died", "merged"]');
    const repo = makeRepo();
    const db = await queueOf(repo, withProject(repo, "cart").spec);
    const script = `if [ "$1" = merge ] && mkdir '${repo.dir}/once' 2>/dev/null; then kill -9 $PPID $$; fi`;
    await onQueue(db, ["run"], { config, env: gitWrapper(repo.dir, script) });
    expect(server.requests).toEqual([]);
    await tick(db, [], { config });
    expect(told(server.requests).sort()).toEqual(["died undefined null", "merged 1 null"]);
    const [died] = server.requests.map(({ body }) => body).filter((body) => body.includes("died:"));
    expect(died).toContain("1 cart finished");
    await tick(db, [], { config });
    expect(server.requests).toHaveLength(2);
  });

  test("is told by systemd's word, once with what the next run finds; without a queue too", async () => {
    const server = await httpServer();
    const config = webhook(server.url);
    const repo = makeRepo();
    const db = await queueOf(repo, withProject(repo, "cart").spec);
    const dead = { run_id: "01K6ZC9V3T8Q4W5E6R7T8Y9P0A", host: hostname(), pid: 2 ** 22 - 1, started_at: 1 };
    await insert(db, "merge_run", dead);
    const lease = { run_id: dead.run_id, host: dead.host, pid: dead.pid, boot_id: "x", expires_at: 1 };
    await insert(db, "merge_lease", { repository: join(repo.path, ".git"), fence: 1, ...lease });
    const env = { MONITOR_SERVICE_RESULT: "oom-kill", MONITOR_INVOCATION_ID: "abc" };
    expect(await onQueue(db, ["notify", "died"], { config, env })).toMatchObject({ code: 0 });
    expect(payload.parse(JSON.parse(server.requests[0]?.body ?? "")).events).toMatchObject([
      {
        id: "died:01K6ZC9V3T8Q4W5E6R7T8Y9P0A",
        event: "died",
        runId: "01K6ZC9V3T8Q4W5E6R7T8Y9P0A",
        detail: "systemd says: oom-kill.",
      },
    ]);
    await tick(db, [], { config });
    await onQueue(db, ["notify", "died"], { config, env });
    expect(server.requests.map(({ headers }) => headers["x-orchestrator-merge-id"])).toEqual([
      "died:01K6ZC9V3T8Q4W5E6R7T8Y9P0A",
      "died:unit:abc",
    ]);
    const gone = join(repo.dir, "gone.db");
    expect(await onQueue(gone, ["notify", "died"], { config, env })).toMatchObject({ code: 0 });
    expect(server.requests.at(-1)?.body).toContain("The queue could not be used");
  });
});

test("secrets are in no log, no database, no output and no error, whatever the servers say", async () => {
  const secrets = ["T0K3N-slack", "T0K3N-hook", "h0ok-s3cret", "sm7p-s3cret"];
  const repo = makeRepo();
  const files = { slack: "", hook: secrets[2] ?? "", smtp: secrets[3] ?? "" };
  const echo = await httpServer((_, { path, headers }) => ({
    status: 500,
    body: `${path} ${JSON.stringify(headers)}`,
  }));
  const moved = await httpServer((_, { path }) => ({
    status: 301,
    headers: { Location: `http://localhost:1${path}` },
  }));
  const own = certificate();
  const mail = await smtpServer({ key: own.key, cert: own.cert });
  writeFiles(join(repo.dir, "secrets"), { ...files, slack: `${moved.url}/${secrets[0]}` });
  const config = `[notify]
on = ["merged"]
slack = { url_file = "secrets/slack" }
webhook = { url = "${echo.url}/${secrets[1]}", secret_file = "secrets/hook" }
email = { host = "localhost", port = ${mail.port}, user = "${login.user}", password_file = "secrets/smtp", from = "a@example.com", to = ["b@example.com"] }
command = ["/nowhere/tell"]`;
  const db = await queueOf(repo, withProject(repo, "cart").spec);
  const env = { NODE_EXTRA_CA_CERTS: own.file };
  const said = [
    await onQueue(db, ["run", "-v", "--json"], { config, env }),
    await onQueue(db, ["notify", "test", "-v"], { config, env }),
    await onQueue(db, ["notify", "list", "--json"], { config }),
    await onQueue(db, ["config", "show", "--json"], { config }),
    await onQueue(db, ["config", "show"], { config }),
    await onQueue(db, ["doctor"], { config }),
  ];
  expect(mail.logins).toEqual([secrets[3], secrets[3]]);
  expect([echo.requests.length, moved.requests.length]).toEqual([2, 2]);
  expect(said[1]).toMatchObject({ code: 4 });
  expect(said[1]?.stdout).toMatch(
    /^slack {4}failed: it answered 301: .*\nwebhook {2}failed: it answered 500\nemail {4}failed: the server refused the login \(EAUTH 535\)\ncommand {2}failed: it cannot be started \(ENOENT\)\n$/,
  );
  expect(said[1]?.stderr).toContain("chmod 600");
  const rows = await sql(db, "SELECT channel, last_error FROM merge_outbox ORDER BY outbox_id");
  expect(rows.map(({ channel }) => channel)).toEqual(["slack", "webhook", "email", "command"]);
  const written = readdirSync(repo.dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith("/secrets") && entry.name !== "config.toml")
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
  expect(written.length).toBeGreaterThan(2);
  for (const secret of secrets) {
    for (const text of [...written, ...said.flatMap(({ stdout, stderr }) => [stdout, stderr])])
      expect(text.includes(secret)).toBe(false);
  }
});

describe("notify test", () => {
  test("sends one message by every channel, also on the desktop and by a command", async () => {
    const repo = makeRepo();
    const own = certificate();
    const server = await httpServer(undefined, own);
    const mail = await smtpServer({ key: own.key, cert: own.cert });
    writeFiles(join(repo.dir, "bin"), {
      "notify-send": { program: `#!/bin/sh\nprintf '%s\\n' "$@" > '${repo.dir}/desktop'\n` },
      tell: { program: `#!/bin/sh\ncat > '${repo.dir}/command'\n` },
    });
    writeFiles(repo.dir, { password: `${login.password}\n` });
    chmodSync(join(repo.dir, "password"), 0o600);
    const config = `[notify]
webhook = { url = "${server.url}" }
email = { host = "localhost", port = ${mail.port}, user = "bot", password_file = "password", from = "a@example.com", to = ["b@example.com"] }
desktop = true
command = ["bin/tell"]`;
    const env = {
      NODE_EXTRA_CA_CERTS: own.file,
      PATH: `${join(repo.dir, "bin")}:${process.env["PATH"]}`,
      ORCHESTRATOR_MERGE_NOTIFY_SLACK_URL: server.url,
    };
    const db = join(repo.dir, "none.db");
    const said = await onQueue(db, ["notify", "test", "--json"], { config, env });
    expect(JSON.parse(said.stdout)).toMatchObject({
      schema: 1,
      channels: ["slack", "webhook", "email", "desktop", "command"].map((channel) => ({
        channel,
        sent: true,
        error: null,
      })),
    });
    expect(said).toMatchObject({ code: 0, stderr: "" });
    expect(server.requests.map(({ body }) => body.includes("A test of orchestrator-merge's notifications"))).toEqual([
      true,
      true,
    ]);
    expect(mail.mails).toHaveLength(1);
    expect(readFileSync(join(repo.dir, "desktop"), "utf8").split("\n").slice(0, 3)).toEqual([
      "--app-name=orchestrator-merge",
      "--",
      "A test of orchestrator-merge's notifications",
    ]);
    expect(JSON.parse(readFileSync(join(repo.dir, "command"), "utf8"))).toMatchObject({ events: [{ event: "test" }] });
    const one = await onQueue(db, ["notify", "test", "--channel", "command"], { config });
    expect(one.stdout).toMatch(/^command {2}sent \(\d\.\d s\)\n$/);
    expect(existsSync(db)).toBe(false);
  });

  test("works as one file under Deno and Node too", async () => {
    const repo = makeRepo();
    const own = certificate();
    const server = await httpServer(undefined, own);
    const mail = await smtpServer({ key: own.key, cert: own.cert });
    writeFiles(repo.dir, {
      password: login.password,
      "config.toml": `[notify]
webhook = { url = "${server.url}", secret_file = "password" }
email = { host = "localhost", port = ${mail.port}, user = "bot", password_file = "password", from = "a@example.com", to = ["b@example.com"] }
command = ["cat"]`,
    });
    const env = { NODE_EXTRA_CA_CERTS: own.file, DENO_CERT: own.file, DENO_NO_UPDATE_CHECK: "1", HOME: repo.dir };
    const args = [bundle, "notify", "test", "--config", join(repo.dir, "config.toml")];
    for (const said of [await run(deno, ["run", "-A", ...args], { env }), await run(process.execPath, args, { env })]) {
      expect(said.stdout).toMatch(/^webhook {2}sent \(.*\nemail {4}sent \(.*\ncommand {2}sent \(.*\n$/);
      expect(said.code).toBe(0);
    }
    expect([server.requests.length, mail.mails.map(({ secure }) => secure)]).toEqual([2, [true, true]]);
  });

  test("without a channel, or with one that is not configured, is a mistake", async () => {
    const db = join(makeRepo().dir, "none.db");
    expect(await onQueue(db, ["notify", "test"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no channel is configured"),
    });
    const config = webhook(`http://localhost:${await closedPort()}`);
    const other = await onQueue(db, ["notify", "test", "--channel", "slack"], { config });
    expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining("the channel slack is not configured") });
    const failed = await onQueue(db, ["notify", "test"], { config });
    expect(failed).toMatchObject({ code: 4, stdout: "webhook  failed: it could not be reached (ECONNREFUSED)\n" });
  });
});
