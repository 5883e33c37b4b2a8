import type { GitContext } from "./process.ts";
import type { ConfigValue } from "./snapshot.ts";

/** The keys by which a configuration names programs that git runs on the content of files (gitattributes(5), "filter", "merge"). */
const driverKey = /^((?:filter|merge)\..+)\.(clean|smudge|process|required|driver)$/s;

/** Agents can write these: the repository's own file, and that of a worktree. */
const isOwn = ({ scope }: ConfigValue) => scope === "local" || scope === "worktree";

/**
 * `filter.x` and `merge.x` that name a program in the repository's own configuration and none in the user's; also a filter whose
 * `process` only the repository names: it hides the user's clean and smudge, and no override can unset it.
 */
export function localDrivers(config: readonly ConfigValue[]): Set<string> {
  const named = config.flatMap((entry) => {
    const [, driver, part] = entry.key.match(driverKey) ?? [];
    return driver === undefined || part === "required" ? [] : [{ driver, part, own: isOwn(entry) }];
  });
  const users = named.filter(({ own }) => !own);
  const isUsers = ({ driver, part }: { driver: string; part: string | undefined }) =>
    users.some((user) => user.driver === driver && (part !== "process" || user.part === "process"));
  return new Set(named.filter((one) => one.own && !isUsers(one)).map(({ driver }) => driver));
}

/**
 * The same context for git processes that must run in the repository itself: whatever program its own configuration names for a filter
 * or a merge is as the user's configuration has it, or off. Measured: `git merge --ff-only` ran a planted `filter.x.clean` on a file
 * that the landing did not even change, to refresh the index. An empty command is none (convert.c, apply_filter).
 */
export function withoutLocalDrivers(context: GitContext, config: readonly ConfigValue[]): GitContext {
  const keys = new Set(config.filter((entry) => isOwn(entry) && driverKey.test(entry.key)).map(({ key }) => key));
  const overrides = [...keys].map((key): readonly [string, string] => {
    const users = config.findLast((entry) => entry.key === key && !isOwn(entry));
    return [key, users?.value ?? (key.endsWith(".required") ? "false" : "")];
  });
  return { ...context, config: overrides };
}
