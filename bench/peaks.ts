import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { userInfo } from "node:os";
import { join } from "node:path";
import { openQueue } from "../src/queue/database.ts";
import { type Peak, watched } from "./measure.ts";
import { makeProject, withQueue } from "./small.ts";
import type { World } from "./world.ts";

/** What one run needed at its worst: for the unit's TasksMax and MemoryMax. */
export type PeakRow = { readonly name: string; readonly peak: Peak };

/** A way to reach a bare repository, and how to end what serves it. */
type Served = { url(path: string): string; readonly env: Readonly<Record<string, string>>; stop(): void };

/** How many repositories one run lands, each with a remote: enough for one to be pushed while the next lands. */
const repositories = 6;

/** Whole runs against remotes on a path, over http and over ssh, then with 10,000 rows that wait and with a file of 1 GB. */
export async function* peaks(world: World, progress: (text: string) => void): AsyncGenerator<PeakRow> {
  for (const [kind, serve] of [
    ["a path", onPath],
    ["http", overHttp],
    ["ssh", overSsh],
  ] as const) {
    progress(`peaks: remotes over ${kind}`);
    const place = join(world.dir, `peaks-${kind.replace(" ", "-")}`);
    mkdirSync(place);
    const served = await serve(world, place);
    try {
      for (let n = 0; n < repositories; n++) {
        makeProject(world, join(place, String(n)));
        const at = join(place, String(n));
        world.git(join(at, "origin.git"), ["config", "http.receivepack", "true"]);
        world.git(join(at, "project"), ["remote", "set-url", "origin", served.url(join(at, "origin.git"))]);
      }
      const command = world.program(["run", "--limit", "all", "--db", await withQueue(place, repositories)]);
      const peak = await watched({ ...command, env: { ...command.env, ...served.env } });
      for (let n = 0; n < repositories; n++) {
        const pushed = world.git(join(place, String(n), "origin.git"), ["tag"]);
        if (!pushed.startsWith("integration-")) throw new Error(`${kind}: ${n} was not pushed`);
      }
      yield { name: `${repositories} repositories, remotes over ${kind}`, peak };
    } finally {
      served.stop();
    }
  }
  progress("peaks: 10,000 rows");
  yield { name: "10,000 rows that wait", peak: await watched(await manyRows(world)) };
  progress("peaks: 1 GB");
  yield { name: "a file of 1 GB", peak: await watched(await oneLargeFile(world)) };
}

async function onPath(): Promise<Served> {
  return { url: (path) => path, env: {}, stop() {} };
}

/** git-http-backend(1) behind a server of our own, as CGI (RFC 3875). */
async function overHttp(world: World, place: string): Promise<Served> {
  const backend = join(world.git(place, ["--exec-path"]), "git-http-backend");
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? "/", "http://x");
    const env = {
      ...world.env,
      GIT_PROJECT_ROOT: place,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method ?? "GET",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      REMOTE_USER: "bench",
      ...(request.headers["content-encoding"] === undefined
        ? {}
        : { HTTP_CONTENT_ENCODING: request.headers["content-encoding"] }),
    };
    const child = spawn(backend, { env, stdio: ["pipe", "pipe", "inherit"] });
    request.pipe(child.stdin);
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("close", () => {
      const answer = Buffer.concat(chunks);
      const end = answer.indexOf("\r\n\r\n");
      for (const line of answer.toString("latin1", 0, end).split("\r\n")) {
        const [name = "", value = ""] = line.split(/: (.*)/s);
        if (name.toLowerCase() === "status") response.statusCode = Number.parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.end(answer.subarray(end + 4));
    });
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const address = server.address();
  const port = address === null || typeof address === "string" ? 0 : address.port;
  return { url: (path) => `http://127.0.0.1:${port}${path.slice(place.length)}`, env: {}, stop: () => server.close() };
}

/** A real sshd on loopback, with keys of its own; Debian's openssh-server, installed where this is root. */
async function overSsh(world: World, place: string): Promise<Served> {
  const dir = join(place, "ssh");
  mkdirSync(dir, { mode: 0o700 });
  const run = (file: string, ...args: string[]) =>
    spawnSync(file, args, { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
  if (run("/usr/sbin/sshd", "-V").error !== undefined) {
    if (run("apt-get", "install", "-y", "-q", "openssh-server").status !== 0) run("apt-get", "update", "-q");
    run("apt-get", "install", "-y", "-q", "openssh-server");
  }
  mkdirSync("/run/sshd", { recursive: true });
  for (const key of ["host", "user"]) run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(dir, key));
  writeFileSync(join(dir, "authorized"), readFileSync(join(dir, "user.pub")), { mode: 0o600 });
  const port = 20_000 + (process.pid % 20_000);
  const options = [
    `ListenAddress=127.0.0.1:${port}`,
    `HostKey=${dir}/host`,
    `AuthorizedKeysFile=${dir}/authorized`,
    "StrictModes=no",
    "UsePAM=no",
    "PermitRootLogin=yes",
  ];
  const child = spawn(
    "/usr/sbin/sshd",
    ["-D", "-e", "-f", "/dev/null", ...options.flatMap((option) => ["-o", option])],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  await new Promise<void>((ready, failed) => {
    child.on("error", failed).on("exit", () => failed(new Error("sshd ended: is openssh-server installed?")));
    child.stderr.on("data", (text: Buffer) => text.includes("listening") && ready());
  });
  const client = join(dir, "config");
  writeFileSync(
    client,
    `Host *\n IdentityFile ${dir}/user\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n`,
  );
  // The program believes the user's global configuration, as it would the user's ssh.
  const home = join(dir, "home");
  mkdirSync(home);
  writeFileSync(
    join(home, ".gitconfig"),
    `${readFileSync(join(world.env["HOME"] ?? "", ".gitconfig"), "utf8")}[core]\n\tsshCommand = ssh -F ${client}\n`,
  );
  const { username } = userInfo();
  return { url: (path) => `ssh://${username}@127.0.0.1:${port}${path}`, env: { HOME: home }, stop: () => child.kill() };
}

/** A queue in which 10,000 projects wait that have no place on this disk, and one that lands. */
async function manyRows(world: World) {
  const place = join(world.dir, "peaks-rows");
  mkdirSync(place);
  makeProject(world, join(place, "0"));
  const database = await withQueue(place, 1);
  const queue = await openQueue({ location: database, mode: "write" });
  await queue.write((tx) =>
    tx.run(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
       INSERT INTO project_queue (spec_path, project_path, status, completed_at) SELECT '/specs/p' || i || '.md', '/projects/p' || i, 'completed', 1700000000 + i FROM n`,
    ),
  );
  await queue.write((tx) => tx.run("UPDATE project_queue SET priority = 1 WHERE id = 1"));
  await queue.close();
  return world.program(["run", "--limit", "1", "--db", database]);
}

async function oneLargeFile(world: World) {
  const place = join(world.dir, "peaks-large");
  const at = join(place, "0");
  mkdirSync(place);
  makeProject(world, at);
  const block = Buffer.alloc(1 << 24, "one of many lines that are alike\n");
  for (let n = 0; n < 64; n++) writeFileSync(join(at, "agent", "large.bin"), block, { flag: "a" });
  world.git(join(at, "agent"), ["add", "large.bin"]);
  world.git(join(at, "agent"), ["commit", "-q", "-m", "large"]);
  const database = await withQueue(place, 1);
  return world.program(["run", "--db", database]);
}
