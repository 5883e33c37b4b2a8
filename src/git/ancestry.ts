import { type GitContext, type GitResult, git } from "./process.ts";

/** Questions about history, each one git process in a directory that can read the objects (a scratch, or the repository). */

/** Whether `ancestor` is reachable from `descendant`; the failing result when git cannot tell (git-merge-base(1)). */
export async function isAncestor(
  context: GitContext,
  gitDir: string,
  ancestor: string,
  descendant: string,
): Promise<boolean | GitResult> {
  const result = await git(context, { gitDir, args: ["merge-base", "--is-ancestor", ancestor, descendant] });
  return result.code === 0 ? true : result.code === 1 ? false : result;
}

/** Those of `commits` that no other of them contains, in no particular order (git-merge-base(1), --independent). */
export async function independent(
  context: GitContext,
  gitDir: string,
  commits: readonly string[],
): Promise<string[] | GitResult> {
  const result = await git(context, { gitDir, args: ["merge-base", "--independent", ...commits] });
  return result.code === 0 ? lines(result) : result;
}

/** `git rev-list` with the given arguments, one id a line. Revisions go through stdin so that any number fits. */
export async function revList(
  context: GitContext,
  gitDir: string,
  options: readonly string[],
  revisions: readonly string[],
): Promise<string[] | GitResult> {
  const result = await git(context, {
    gitDir,
    args: ["rev-list", ...options, "--stdin"],
    input: `${revisions.join("\n")}\n`,
  });
  return result.code === 0 ? lines(result) : result;
}

/** The parents of every commit that `tips` reach and `without` does not; ids of no commit here count for nothing. */
export async function parentsOf(
  context: GitContext,
  gitDir: string,
  tips: readonly string[],
  without: readonly string[],
): Promise<Map<string, string[]> | GitResult> {
  const found = await revList(
    context,
    gitDir,
    ["--parents", "--ignore-missing"],
    [...tips, ...without.map((oid) => `^${oid}`)],
  );
  if (!Array.isArray(found)) return found;
  return new Map(found.map((line) => line.split(" ")).map(([commit = "", ...parents]) => [commit, parents]));
}

function lines(result: GitResult): string[] {
  return result.stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}
