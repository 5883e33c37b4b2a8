/** Branch names here are full (`refs/heads/main`). */

export type BranchFacts = {
  /** every local branch */
  readonly branches: readonly string[];
  /** what `refs/remotes/<remote>/HEAD` points at, if anything */
  readonly remoteDefault: string | null;
  /** prefix of the remote's tracking refs: `refs/remotes/origin/` */
  readonly remotePrefix: string;
  readonly isAgents: (branch: string) => boolean;
};

/**
 * The branch that receives the work: the one that is named; else (`auto`) the remote's default, `main`, `master`, or the only branch
 * that is neither an agent's nor a backup. Null, with the sentence that says why, when there is none.
 */
export function chooseTarget(wanted: string, facts: BranchFacts): { target: string } | { missing: string } {
  const has = (branch: string) => facts.branches.includes(branch);
  if (wanted !== "auto") {
    const target = wanted.startsWith("refs/heads/") ? wanted : `refs/heads/${wanted}`;
    return has(target) ? { target } : { missing: `the configured target ${wanted} is no branch of this repository` };
  }
  if (facts.remoteDefault?.startsWith(facts.remotePrefix)) {
    const target = `refs/heads/${facts.remoteDefault.slice(facts.remotePrefix.length)}`;
    if (has(target)) return { target };
  }
  for (const target of ["refs/heads/main", "refs/heads/master"]) if (has(target)) return { target };
  const others = facts.branches.filter((branch) => !facts.isAgents(branch) && !isBackup(branch));
  const [only] = others;
  if (only !== undefined && others.length === 1) return { target: only };
  if (facts.branches.length === 0) return { missing: "the repository has no commit on any branch yet" };
  return {
    missing:
      others.length === 0
        ? "no branch is left once those of agents are taken away"
        : `neither main nor master, and ${others.length} other branches: set [merge] target`,
  };
}

/** A branch that we, or the program before us, left as a way back. */
export function isBackup(branch: string): boolean {
  return /^refs\/heads\/backup[-/]/.test(branch);
}

export function shortName(ref: string): string {
  return ref.replace(/^refs\/(heads|tags|remotes)\//, "");
}
