import { count, exactTime, isoTime, visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { readAuthToken } from "../host/secrets.ts";
import { dbFlag, shellWord } from "../queue/location.ts";
import { type Migration, migrate } from "../queue/migrate.ts";
import type { Baseline } from "../queue/migrate-rows.ts";
import { parseCompletion } from "../queue/times.ts";
import { flag, offering, option, text } from "./argv.ts";
import { command } from "./frame.ts";
import { type Paint, painter } from "./paint.ts";
import { type Cell, table } from "./table.ts";

export default command({
  name: "migrate",
  about:
    "Makes the queue database if there is none, and adds to an existing one what this program needs: two columns, indexes, " +
    "and tables whose names begin with merge_. Completed projects of which nobody has said anything are marked pending_merge. " +
    "Running it again changes nothing, and the orchestrator may work meanwhile.",
  args: {
    dryRun: flag("only tell what would be done"),
    baseline: option(
      "now|DATE",
      "mark what was completed before this moment as skipped: it will not land",
      offering(["now"], text),
    ),
  },
  examples: [
    ["migrate --dry-run", "Tells what would be added and how many projects would land."],
    ["migrate --baseline now", "Leaves everything that is completed so far as it is."],
    ["migrate --baseline 2026-05-01", "Lands only what was completed since the first of May, local time."],
  ],
  async run({ args, json, color, columns, config, database, env, now, print, printJson }) {
    const { location, kind, source } = await database();
    const authToken = kind === "server" ? readAuthToken(env, (await config()).queue.authTokenFile) : undefined;
    const at = now().getTime();
    const baseline = args.baseline === undefined ? null : parseBaseline(args.baseline);
    const makeDirectory = source === "default";
    const result = await migrate({ location, dryRun: args.dryRun, baseline, now: at, authToken, makeDirectory });
    if (json) printJson(migrationJson(result));
    else {
      const db = source === "--db" ? ` ${dbFlag(location)}` : "";
      const again = args.baseline === undefined ? "" : ` --baseline ${shellWord(args.baseline)}`;
      print(renderMigrate(result, { db, again, width: columns ?? null, paint: painter(color) }));
    }
  },
});

/** Reads --baseline: `now`, or a moment in local time unless it names a zone. Throws UserError(2). */
export function parseBaseline(given: string, hostZoneOffset?: number): Baseline {
  const written = given.trim();
  if (written.toLowerCase() === "now") return "now";
  const moment = /^\d{4}-\d\d-\d\d$/.test(written) ? `${written}T00:00` : written.replace(" ", "T");
  const parsed = parseCompletion(moment, hostZoneOffset);
  if (parsed !== null) return parsed;
  throw new UserError(
    exitCode.usage,
    `--baseline ${JSON.stringify(given)} is no moment.`,
    'Give "now", a day such as 2026-05-01, or a moment such as 2026-05-01T18:00.',
  );
}

function migrationJson(result: Migration): object {
  const { location, oldest, ...rest } = result;
  return {
    database: location,
    ...rest,
    oldest: oldest === null ? null : { ...oldest, completedAt: isoTime(oldest.completedAt) },
  };
}

type How = {
  /** to add to every command that is suggested */
  readonly db: string;
  /** the options that this was a dry run of */
  readonly again: string;
  readonly width: number | null;
  readonly paint: Paint;
};

/** The result as a person reads it. */
function renderMigrate(result: Migration, how: How): string {
  const { dryRun, before, after } = result;
  const { paint } = how;
  const facts: [string, string][] = [["rows", rowsChanged(result)]];
  if (!result.created) {
    facts.unshift(["columns", result.columnsAdded.join(", ")], ["indexes", result.indexesAdded.join(", ")]);
  }
  const told = facts.filter(([, what]) => what !== "");
  const lines = [headline(result), ...told.map(([name, what]) => `${paint("faint", name.padEnd(9))}${what}`)];
  if (before.length > 0 || after.length > 0) {
    const title = dryRun ? "would be" : "after";
    const wanted = [
      { title: "status" },
      { title: "merged_status" },
      { title: "before", align: "right" },
      { title, align: "right" },
    ] as const;
    lines.push("", ...table(wanted, distributionRows(result), how));
  }
  lines.push("", ...outlook(result, how), ...result.notes.map((note) => `\n${note}`));
  return lines.join("\n");
}

function headline({ location, dryRun, created, fromVersion, toVersion, ...rest }: Migration): string {
  const shown = visible(location);
  const changes = rest.columnsAdded.length + rest.indexesAdded.length + rest.backfilled + rest.skipped;
  if (created) return `${dryRun ? "Would make" : "Made"} the queue database ${shown}`;
  if (fromVersion !== toVersion) {
    const from = fromVersion === null ? "" : `from schema ${fromVersion} `;
    return `${dryRun ? "Would migrate" : "Migrated"} ${shown} ${from}to schema ${toVersion}`;
  }
  if (changes === 0) return `${shown} is up to date (schema ${toVersion})`;
  return `${dryRun ? "Would update" : "Updated"} ${shown} (schema ${toVersion})`;
}

function rowsChanged({ backfilled, skipped, undated }: Migration): string {
  const parts: string[] = [];
  if (backfilled > 0) parts.push(`${count(backfilled, "completed project")} to pending_merge`);
  if (skipped > 0) parts.push(`${count(skipped, "completed project")} to skipped`);
  if (undated > 0) parts.push(`${count(undated, "project")} of unknown age left to land`);
  return parts.join(", ");
}

function distributionRows({ before, after }: Migration): Cell[][] {
  const merged = new Map<string, { status: string | null; mergedStatus: string | null; was: number; is: number }>();
  const add = (row: Migration["after"][number], was: number, is: number): void => {
    const key = JSON.stringify([row.status, row.mergedStatus]);
    const sum = merged.get(key) ?? { status: row.status, mergedStatus: row.mergedStatus, was: 0, is: 0 };
    merged.set(key, { ...sum, was: sum.was + was, is: sum.is + is });
  };
  for (const row of before) add(row, row.count, 0);
  for (const row of after) add(row, 0, row.count);
  const alike = (a: string | null, b: string | null): number => (a ?? "").localeCompare(b ?? "", "en");
  const rows = [...merged.values()].sort(
    (a, b) => Math.max(b.was, b.is) - Math.max(a.was, a.is) || alike(a.status, b.status) || b.was - a.was,
  );
  return rows.map(({ status, mergedStatus, was, is }) => [
    { text: status === null ? "NULL" : visible(status) },
    { text: mergedStatus === null ? "-" : visible(mergedStatus) },
    { text: was.toLocaleString("en-US") },
    { text: is.toLocaleString("en-US") },
  ]);
}

function outlook({ dryRun, willLand, oldest, ...rest }: Migration, { db, again }: How): string[] {
  const migrateFirst = dryRun && (rest.created || rest.fromVersion !== rest.toVersion || rest.skipped > 0);
  const next = migrateFirst
    ? `Next: orchestrator-merge migrate${again}${db}`
    : `Next: orchestrator-merge run --dry-run${db}   shows what a run would do`;
  if (oldest === null) return ["Nothing waits to be merged.", ...(migrateFirst ? [next] : [])];
  const when =
    oldest.completedAt === null ? "completed nobody knows when" : `completed ${exactTime(oldest.completedAt)}`;
  return [
    `${count(willLand, "project")} will land. The oldest is ${oldest.id} ${visible(oldest.name)}, ${when}.`,
    next,
    ...(again === "" ? [`To leave them as they are: orchestrator-merge migrate --baseline now${db}`] : []),
  ];
}
