// A queue with a month of history that nobody lived through, for pictures and for tests of the page.
import { createClient, type InStatement, type InValue } from "@libsql/client/sqlite3";
import { generationOf } from "../src/queue/generation.ts";
import { migrate } from "../src/queue/migrate.ts";

const minute = 60_000;
const day = 24 * 60 * minute;
const words = [
  "checkout",
  "search",
  "billing",
  "profile",
  "export",
  "login",
  "mobile",
  "reports",
  "invoices",
  "reviews",
];
const works = ["page", "api", "cache", "retries", "dark_mode", "tests", "pagination", "limits", "import", "cleanup"];
const hex = (n: number): string =>
  Math.imul(n + 7, 2654435761)
    .toString(16)
    .replace("-", "")
    .padStart(8, "0")
    .repeat(5);
/** Numbers from 0 to 1 in the same order every time. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const failures = [
  ["conflict", "developer conflicts with the target in src/cart.ts, src/price.ts."],
  ["conflict", "tester conflicts with project 12 (search_api), which lands first, in docs/api.md."],
  ["gate_failed", "npm test ended with 1 after 41 s."],
  ["no_worktree", "no worktree of an agent was found beside the project."],
] as const;
const holds = [
  ["dirty_source", "developer has 2 uncommitted changes: src/reviews.ts, todo.txt."],
  ["awaiting_approval", "a rule wants approval for it."],
  ["worktree_active", "tester is in the middle of a rebase."],
] as const;
const said = (files: readonly string[]): string =>
  files.map((file) => `Auto-merging ${file}\nCONFLICT (content): Merge conflict in ${file}`).join("\n");

/** Makes a queue of `n` projects at `path`, completed one after the other until `now` (unix milliseconds). The ids count from 1. */
export async function makeDemoQueue(path: string, n: number, now: number): Promise<void> {
  await migrate({ location: path, dryRun: false, baseline: null, now });
  const client = createClient({ url: `file:${path}`, concurrency: 1 });
  const random = chance(3);
  const statements: InStatement[] = [];
  const into = (table: string, values: Record<string, InValue>): void => {
    const names = Object.keys(values);
    const sql = `INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`;
    statements.push({ sql, args: Object.values(values) });
  };
  for (let id = 1; id <= n; id++) {
    const left = n - id;
    const at = now - Math.round(29 * day * (left / n) ** 1.6) - Math.round((2 + random() * 9) * minute);
    const recent = left < 14;
    const kind =
      left < 3
        ? "waiting"
        : recent && left % 4 === 3
          ? "held"
          : (recent ? left % 5 === 4 : random() < 0.07)
            ? "failed"
            : "merged";
    const name = `${words[id % 10]}_${works[Math.floor(id / 10 + id) % 10]}`;
    const completed = Math.round(at / 1000);
    const row = { spec_path: `/srv/specs/${name}.md`, started_at: completed - 1900, completed_at: completed };
    const waited = Math.round((20 + 320 * random() + (random() < 0.06 ? 9000 * random() : 0)) * 1000);
    const finished = Math.min(now - 4000, completed * 1000 + waited);
    const failure = failures[Math.floor(random() * failures.length)] ?? failures[0];
    const hold = holds[id % holds.length] ?? holds[0];
    const status =
      kind === "merged"
        ? "merged"
        : kind === "failed" && recent
          ? "merge_failed"
          : kind === "failed"
            ? "merged"
            : "pending_merge";
    into("project_queue", {
      id,
      ...row,
      project_path: "/srv/shop",
      status: "completed",
      priority: 0,
      merged_status: status,
      merged_at: status === "merged" ? Math.round(finished / 1000) : null,
    });
    if (kind === "waiting") continue;
    const attempt = (order: number, outcome: string, more: Record<string, InValue>): string => {
      const id26 = `01JD${String(id).padStart(16, "0")}${String(order).padStart(6, "0")}`;
      into("merge_attempt", {
        attempt_id: id26,
        project_id: id,
        name,
        run_id: "01JD",
        started_at: finished - 400 - Math.round(random() * 900),
        finished_at: finished,
        completed_at: completed * 1000,
        outcome,
        gates_json:
          outcome === "merged" || more["reason"] === "gate_failed"
            ? JSON.stringify([
                { name: "npm test", verdict: outcome === "merged" ? "pass" : "fail", durationMs: 41_000 },
              ])
            : null,
        repository: "/srv/shop/.git",
        target: "refs/heads/main",
        heads_json: JSON.stringify([
          { role: "developer", oid: hex(id), branch: `refs/heads/${name}-developer` },
          ...(id % 3 === 0 ? [{ role: "tester", oid: hex(id + 5), branch: `refs/heads/${name}-tester` }] : []),
        ]),
        ...more,
      });
      return id26;
    };
    let last = "";
    if (kind === "failed") {
      const conflicts = failure[0] === "conflict" ? (failure[1].match(/\b(src|docs)\/\w+\.\w+/g) ?? []) : [];
      last = attempt(1, "merge_failed", {
        reason: failure[0],
        detail: failure[1],
        conflicts_json: JSON.stringify(conflicts),
        output: conflicts.length > 0 ? said(conflicts) : null,
      });
    }
    if (kind === "held") last = attempt(1, "held", { reason: hold[0], detail: hold[1] });
    if (status === "merged") {
      const tag = `integration-20261122-${String(100_000 + id).slice(-6)}-p${id}`;
      last = attempt(2, "merged", {
        base: hex(id + 1),
        merge_commit: hex(id + 2),
        tag,
        backup_ref: `refs/heads/backup-before-merge-p${id}`,
        push: "pushed",
      });
    }
    const state = status === "merged" ? "merged" : kind;
    const told = state === "failed" ? failure : state === "held" ? hold : [null, null];
    into("merge_project", {
      project_id: id,
      generation: generationOf({ ...row } as never),
      recorded_status: status,
      state,
      reason: told[0],
      detail: told[1],
      since: finished,
      attempt_id: last,
    });
    if (id % 9 === 0) into("merge_project_tag", { project_id: id, tag: id % 2 === 0 ? "critical" : "ui" });
  }
  into("merge_meta", { key: "last_tick", value: String(now - 70_000) });
  for (let start = 0; start < statements.length; start += 5000)
    await client.batch(statements.slice(start, start + 5000), "write");
  client.close();
}
