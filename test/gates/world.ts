import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { onQueue, queueOf, tick } from "../helpers/landing.ts";
import { sql } from "../helpers/queueDb.ts";
import { type Files, type Repo, withProject } from "../helpers/repo.ts";

/* Projects whose gate is a script of sh that counts its runs. */

export type World = {
  readonly repo: Repo;
  readonly db: string;
  run(args?: readonly string[], config?: string): ReturnType<typeof tick>;
  command(...args: string[]): ReturnType<typeof onQueue>;
  /** A line for each time that the gate ran: `<project> <files it saw, in order>`. */
  runs(): string[];
  /** What the newest attempt of a project keeps of its gates. */
  gatesOf(id: number): Promise<Record<string, unknown>[]>;
  /** What is left of checkouts. */
  left(): string[];
};

/** A gate that notes that it ran, what was asked of it, and then does what `script` says. */
export function gate(repo: Repo, script: string, more = ""): string {
  const note = `echo "$ORCHESTRATOR_MERGE_PROJECT" $(git ls-files '*.txt') >> ${repo.dir}/runs`;
  return `[gate]\ncommand = ["sh", "-c", ${JSON.stringify(`${note}\n${script}`)}]\n${more}\n`;
}

/** Projects of these names, each with a file `<name>.txt` of its own, and `more`. */
export async function world(
  repo: Repo,
  names: readonly string[],
  more: Readonly<Record<string, Files>> = {},
): Promise<World> {
  const specs = names.map(
    (name) => withProject(repo, name, { files: { [`${name}.txt`]: `${name}\n`, ...more[name] } }).spec,
  );
  const db = await queueOf(repo, ...specs);
  const env = { XDG_CACHE_HOME: join(repo.dir, "cache"), HOME: repo.dir };
  let last: string | undefined;
  return {
    repo,
    db,
    run: (args = [], config) => {
      last = config ?? last;
      return tick(db, args, { env, ...(last === undefined ? {} : { config: last }) });
    },
    command: (...args) => onQueue(db, args, { env, ...(last === undefined ? {} : { config: last }) }),
    runs: () =>
      existsSync(join(repo.dir, "runs")) ? readFileSync(join(repo.dir, "runs"), "utf8").split("\n").slice(0, -1) : [],
    async gatesOf(id) {
      const [row] = await sql(
        db,
        "SELECT gates_json FROM merge_attempt WHERE project_id = ? ORDER BY attempt_id DESC LIMIT 1",
        [id],
      );
      return JSON.parse(String(row?.["gates_json"] ?? "[]"));
    },
    left: () => {
      const directory = join(repo.dir, "cache", "orchestrator-merge", "gates");
      return existsSync(directory) ? readdirSync(directory) : [];
    },
  };
}
