import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { type CliResult, cli, program } from "./cli.ts";
import { type QueueRow, queueDb, sql } from "./queueDb.ts";
import { type Repo, writeFiles } from "./repo.ts";

const oid = z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/);
const time = z.iso.datetime();
const push = z.enum(["none", "pushed", "pending", "withheld", "refused", "off"]);

const result = z.strictObject({
  id: z.int(),
  name: z.string(),
  outcome: z.enum(["merged", "merge_failed", "held", "already_merged"]),
  reason: z.nullable(z.string()),
  detail: z.nullable(z.string()),
  target: z.nullable(z.string()),
  mergeCommit: z.nullable(oid),
  strategy: z.nullable(z.enum(["merge", "squash", "rebase", "ff"])),
  heads: z.array(z.strictObject({ role: z.string(), oid })),
  backupRef: z.nullable(z.string()),
  tag: z.nullable(z.string()),
  push: z.nullable(push),
  conflicts: z.array(z.string()),
  warnings: z.array(z.string()),
  durationMs: z.number().nonnegative(),
});

/** The document of `run --json`, CONTRACT 6: every test that reads one checks its whole shape. */
const report = z.strictObject({
  schema: z.literal(1),
  runId: z.string().regex(/^[0-9A-HJKMNP-TV-Z]{26}$/),
  startedAt: time,
  finishedAt: time,
  dryRun: z.boolean(),
  recovered: z.array(z.looseObject({ repository: z.string() })),
  results: z.array(result),
  pushes: z.array(z.looseObject({ repository: z.string(), target: z.string(), state: push })),
  summary: z.strictObject({ merged: z.int(), alreadyMerged: z.int(), failed: z.int(), held: z.int() }),
});

export type Result = z.infer<typeof result>;
type Report = z.infer<typeof report>;

type Tick = CliResult & {
  readonly report: Report;
  /** the result of a project; throws when it was not looked at */
  of(id: number): Result;
};

export type Settings = {
  /** TOML, put into `<dir of the database>/config.toml` */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
};

/** Runs `orchestrator-merge <args> --db <db>` as a user would. */
export async function onQueue(db: string, args: readonly string[], settings: Settings = {}): Promise<CliResult> {
  const dir = dirname(db);
  if (settings.config !== undefined) writeFiles(dir, { "config.toml": settings.config });
  const config = settings.config === undefined ? [] : ["--config", join(dir, "config.toml")];
  return await cli([...args, "--db", db, ...config], settings.env === undefined ? {} : { env: settings.env });
}

/** Starts a tick without waiting for it, to be met in the middle or ended: its process, and what it said in the end. */
export function startTick(
  db: string,
  env: Readonly<Record<string, string>>,
): { child: ChildProcess; ended: Promise<CliResult> } {
  const { file, args } = program();
  const child = spawn(file, [...args, "run", "--json", "--db", db], {
    cwd: dirname(db),
    env: { HOME: "/nonexistent", PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  }
  const ended = new Promise<CliResult>((resolve) => child.on("close", (code) => resolve({ code, ...said })));
  return { child, ended };
}

/** Runs one tick with --json and reads its report. Throws when there is none. */
export async function tick(db: string, args: readonly string[] = [], settings: Settings = {}): Promise<Tick> {
  const said = await onQueue(db, ["run", "--json", ...args], settings);
  if (said.code !== 0 && said.code !== 4 && said.code !== 75) {
    throw new Error(`run ended with ${said.code}: ${said.stderr}${said.stdout}`);
  }
  const read = report.parse(JSON.parse(said.stdout));
  const of = (id: number): Result => {
    const found = read.results.filter((one) => one.id === id);
    const [only] = found;
    if (only === undefined || found.length > 1) throw new Error(`${found.length} results for ${id}: ${said.stdout}`);
    return only;
  };
  return { ...said, report: read, of };
}

/** The queue of a project's directory: one completed row a spec, numbered from 1; an object instead of a path adds columns. */
export async function queueOf(repo: Repo, ...projects: (string | QueueRow)[]): Promise<string> {
  return await queueDb(repo.dir, { rows: projects.map((one) => rowOf(repo, one)) });
}

export function rowOf(repo: Repo, project: string | QueueRow): QueueRow {
  const more = typeof project === "string" ? { spec_path: project } : project;
  return { project_path: repo.path, ...more };
}

/** What the orchestrator's table says of a project. */
export async function outcomeOf(db: string, id: number) {
  const [row] = await sql(
    db,
    "SELECT merged_status, merged_at, typeof(merged_at) AS kind, error_message FROM project_queue WHERE id = ?",
    [id],
  );
  return { status: row?.["merged_status"], at: row?.["merged_at"], kind: row?.["kind"], error: row?.["error_message"] };
}

/** The push state of a project's newest attempt. */
export async function pushOf(db: string, id: number): Promise<unknown> {
  const [row] = await sql(db, "SELECT push FROM merge_attempt WHERE project_id = ? ORDER BY attempt_id DESC LIMIT 1", [
    id,
  ]);
  return row?.["push"];
}

/** Ends every wait that the queue remembers, as the passing of time would. */
export async function waitsOver(db: string): Promise<void> {
  await sql(db, "UPDATE merge_project SET next_attempt_at = NULL");
  await sql(db, "UPDATE merge_push SET next_at = NULL");
}

/** The log file's lines without their times and ids. */
export function logOf(db: string): string[] {
  const text = readFileSync(join(dirname(db), "logs", "auto_merge.log"), "utf8");
  return text
    .split("\n")
    .map((line) => line.replace(/^\S+ +/, "").replace(/( (project|attempt|run)=\S+)+$/, ""))
    .filter((line) => line !== "");
}
