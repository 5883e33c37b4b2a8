import { visible } from "../../core/describe.ts";
import { isAlive, self } from "../../git/orphans.ts";
import { type GitContext, git } from "../../git/process.ts";
import { lastWords, listRemote, remoteOf } from "../../git/remote.ts";
import { locateRepository } from "../../git/repository.ts";
import { makeScratch, removeScratch } from "../../git/scratch.ts";
import { readSnapshot } from "../../git/snapshot.ts";
import type { Config } from "../../host/config.ts";
import type { Queue } from "../../queue/database.ts";
import type { Health } from "../../queue/health.ts";
import { openIntents } from "../../queue/journal.ts";
import { type Check, fail, failed, ok, warn } from "./check.ts";

const oldest = [2, 38] as const;

export async function checkGit(context: GitContext): Promise<Check> {
  const fix = `Install git ${oldest.join(".")} or newer, and see that PATH leads to it.`;
  try {
    const said = (await git(context, { gitDir: context.cwd, args: ["--version"] })).stdout.toString().trim();
    const [, major, minor] = /(\d+)\.(\d+)/.exec(said)?.map(Number) ?? [];
    if (major === undefined || minor === undefined)
      return fail("git", `what it says of itself is no version: ${visible(said)}.`, fix);
    const tooOld = major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
    return tooOld ? fail("git", `${visible(said)} is too old to merge in memory.`, fix) : ok("git", visible(said));
  } catch (error) {
    return failed("git", error);
  }
}

/** What killed runs have left, which the next one takes up. */
export async function checkLeftovers(queue: Queue, health: Health, db: string): Promise<Check> {
  const here = self();
  const isDead = ({ host, bootId, pid, pidStart }: Health["leases"][number]): boolean =>
    host === here.host && (bootId !== here.bootId || !isAlive(pid, pidStart));
  const dead = health.leases.filter(isDead).map(({ repository }) => repository);
  const held = new Set(health.leases.filter((lease) => !isDead(lease)).map(({ repository }) => repository));
  const open = (await openIntents(queue)).filter(({ repository }) => !held.has(repository));
  const left = [...new Set([...dead, ...open.map(({ repository }) => repository)])];
  if (left.length === 0) return ok("leftovers", "none of a killed run");
  return warn(
    "leftovers",
    `a killed run has left work in ${left.map(visible).join(", ")}.`,
    `orchestrator-merge run${db}`,
  );
}

/** How long one remote may take to answer, in milliseconds. */
const patience = 10_000;

/**
 * Asks the remotes of the repositories for their branches, as a run of the timer does before it pushes; `context` has the timer's
 * environment. `agentHere`: this shell has an ssh agent that the timer has not.
 */
export async function checkRemotes(
  context: GitContext,
  config: Config,
  repositories: readonly string[],
  agentHere: boolean,
  progress: (step: string) => void,
): Promise<Check[]> {
  if (config.push.mode === "off") return [ok("remotes", "not used: [push] mode is off")];
  const checks: Check[] = [];
  for (const path of repositories) {
    progress(`asking the remote of ${path}`);
    const trouble = await troubleWithRemote(context, config, path);
    if (trouble === null) continue;
    const agent = agentHere
      ? "Let the timer use your ssh agent: systemctl --user import-environment SSH_AUTH_SOCK. "
      : "";
    const fix = `${agent}Try it by hand: git --git-dir=${visible(path)} ls-remote ${config.push.remote}; pushes are tried again.`;
    checks.push(warn("remotes", `that of ${visible(path)}: ${visible(trouble).replace(/\.?$/, ".")}`, fix));
  }
  if (checks.length > 0) return checks;
  return [ok("remotes", repositories.length === 0 ? "nothing has been landed yet" : "all that there are answer")];
}

/** Null when the remote answers, or there is none. */
async function troubleWithRemote(context: GitContext, config: Config, path: string): Promise<string | null> {
  const repository = locateRepository(path);
  if (repository === null) return "the repository is gone";
  const snapshot = await readSnapshot(context, repository);
  if ("transcript" in snapshot) return lastWords(snapshot);
  const remote = remoteOf(snapshot, config.push.remote);
  if (remote === null) return null;
  const scratch = makeScratch(snapshot, false);
  try {
    const heads = await listRemote(context, scratch, remote, Math.min(patience, config.push.timeoutMs));
    return "transcript" in heads ? lastWords(heads) : null;
  } finally {
    removeScratch(scratch);
  }
}
