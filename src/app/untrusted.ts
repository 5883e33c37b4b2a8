import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { visible } from "../core/describe.ts";
import { failed, type Trouble } from "../core/reasons.ts";
import { listPaths } from "../git/dirty.ts";
import { localDrivers } from "../git/drivers.ts";
import { type GitResult, git } from "../git/process.ts";
import { copyAttributes } from "../git/trees.ts";
import type { App, Workplace } from "./context.ts";
import type { Plan } from "./plan.ts";
import { unreadable } from "./trouble.ts";

/**
 * The projects whose changed paths need a filter or merge driver that only the repository's own configuration defines. Agents can
 * write that file, so its programs are not run, and merging without them would make another tree than the user's git would. What the
 * user's global configuration defines (LFS) is used. No git process where the repository defines none.
 */
export async function untrusted(app: App, place: Workplace, plan: Plan): Promise<Map<number, Trouble> | Trouble> {
  const found = new Map<number, Trouble>();
  const own = localDrivers(place.snapshot.config);
  const steps = plan.steps.filter((step) => step.changes.length > 0);
  if (place.trusted || own.size === 0 || steps.length === 0) return found;
  // Two sets of attributes count: the target's, which the merge goes by, and the merged tree's, which the checkout goes by.
  for (const tree of new Set([plan.receiver.baseTree, ...steps.map((step) => step.tree)])) {
    const dir = await attributesOf(app, place, tree);
    if (typeof dir !== "string") return unreadable("the attributes", dir);
    for (const step of steps.filter((one) => tree === plan.receiver.baseTree || one.tree === tree)) {
      const trouble = await needs(app, place, dir, own, step.changes);
      if (trouble !== null) found.set(step.work.projectId, trouble);
    }
  }
  return found;
}

/** The same for paths that conflict: with a merge driver of the repository's own they might not. Null when none is needed. */
export async function untrustedConflict(
  app: App,
  place: Workplace,
  tree: string,
  paths: readonly string[],
): Promise<Trouble | null> {
  const own = localDrivers(place.snapshot.config);
  if (place.trusted || own.size === 0) return null;
  const dir = await attributesOf(app, place, tree);
  if (typeof dir !== "string") return unreadable("the attributes", dir);
  return await needs(
    app,
    place,
    dir,
    own,
    paths.map((path) => ({ path })),
  );
}

async function attributesOf(app: App, place: Workplace, tree: string): Promise<string | GitResult> {
  const dir = mkdtempSync(join(place.scratch.cwd, "trust-"));
  return (await copyAttributes(app.git, place.scratch, tree, dir)) ?? dir;
}

async function needs(
  app: App,
  place: Workplace,
  dir: string,
  own: ReadonlySet<string>,
  changes: ReadonlyArray<{ readonly path: string }>,
): Promise<Trouble | null> {
  const result = await git(app.git, {
    gitDir: place.scratch.gitDir,
    workTree: dir,
    cwd: dir,
    args: ["check-attr", "--stdin", "-z", "filter", "merge"],
    input: Buffer.from(changes.map((change) => `${change.path}\0`).join(""), "latin1"),
  });
  if (result.code !== 0) return unreadable("the attributes", result);
  // git-check-attr(1) with -z: path NUL attribute NUL value NUL.
  const fields = result.stdout.toString("latin1").split("\0");
  const paths: string[] = [];
  const names = new Set<string>();
  for (let i = 0; i + 2 < fields.length; i += 3) {
    const name = `${fields[i + 1]}.${fields[i + 2]}`;
    if (!own.has(name)) continue;
    paths.push(fields[i] ?? "");
    names.add(name);
  }
  if (paths.length === 0) return null;
  const where = visible(listPaths([...new Set(paths)]));
  return failed(
    "repository_untrusted",
    `${where} needs ${[...names].map(visible).join(", ")}, which only the repository's own configuration defines: define it globally, or set trust = true in a rule.`,
  );
}
