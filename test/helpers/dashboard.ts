import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { program } from "./cli.ts";

export type Served = {
  /** ends with a slash */
  readonly url: string;
  readonly child: ChildProcess;
  /** Ends it as Ctrl-C's brother does, and gives its exit code. */
  stop(): Promise<number | null>;
};

/** Starts the built program's dashboard on a free port of this host, and waits until it listens. */
export async function startDashboard(
  db: string,
  args: readonly string[] = [],
  options: { readonly env?: Readonly<Record<string, string>>; readonly command?: readonly [string, ...string[]] } = {},
): Promise<Served> {
  const built = program();
  const [file, ...first] = options.command ?? [built.file, ...built.args];
  const child = spawn(file, [...first, "dashboard", "--port", "0", "--db", db, ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env["PATH"], HOME: "/nonexistent", DENO_NO_UPDATE_CHECK: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let complained = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complained += text;
  });
  const ended = once(child, "exit");
  const said: unknown = await Promise.race([once(child.stdout, "data").then(([text]) => String(text).trim()), ended]);
  if (typeof said !== "string") throw new Error(`the dashboard ended: ${complained}`);
  return {
    url: said,
    child,
    async stop() {
      child.kill("SIGTERM");
      const [code] = await ended;
      return typeof code === "number" ? code : null;
    },
  };
}

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
};

/** Asks by plain HTTP, with any header: fetch() sets some of them itself. */
export async function ask(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    asked.on("error", reject).end();
  });
}
