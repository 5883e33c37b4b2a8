import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { locksOfRefs, removeStaleLocks } from "./locks.ts";
import { type GitContext, type GitResult, gitSession } from "./process.ts";

/** One change of a ref, each a compare-and-swap: there is no forced one. */
export type RefChange =
  | { readonly verb: "create"; readonly ref: string; readonly to: string }
  | { readonly verb: "update"; readonly ref: string; readonly to: string; readonly from: string }
  | { readonly verb: "delete"; readonly ref: string; readonly from: string }
  | { readonly verb: "verify"; readonly ref: string; readonly from: string };

export type RefSession = {
  /** All changes or none. Null when done; otherwise the process has ended and this is what it said. */
  transact(changes: readonly RefChange[]): Promise<GitResult | null>;
  end(): Promise<void>;
};

/** The process waits through the checkout and the push between its transactions. Milliseconds. */
const sessionLimit = 3_600_000;

/**
 * One `git update-ref --stdin` on the refs of the repository `commonDir` for as many transactions as a landing needs; started when
 * first used. `reason` goes into the reflogs. A failed transaction ends git: the next one starts another.
 *
 * It runs in `gitDir`, made here like a linked worktree's, whose HEAD is on no branch of the repository. Measured on 2.39: in the real
 * one, `verify` of the branch that HEAD is on wrote "old -> 0000000" into the user's HEAD reflog, and HEAD@{1} led elsewhere.
 * Killed in a transaction, git leaves its lock files, and they are removed at once; `places` is where other gits may be at work.
 */
export function openRefs(
  context: GitContext,
  at: { readonly gitDir: string; readonly commonDir: string; readonly places: readonly string[] },
  reason: string,
): RefSession {
  const { gitDir, commonDir, places } = at;
  let session: ReturnType<typeof gitSession> | null = null;
  const open = () => {
    // gitrepository-layout(5), "commondir". GIT_COMMON_DIR would not do: the store of refs goes by the file alone.
    mkdirSync(gitDir, { recursive: true });
    writeFileSync(join(gitDir, "HEAD"), "ref: refs/orchestrator/nowhere\n");
    writeFileSync(join(gitDir, "commondir"), `${commonDir}\n`);
    const args = ["update-ref", "--stdin", "-z", "-m", reason];
    return gitSession(context, { gitDir, args, timeoutMs: sessionLimit });
  };
  return {
    async transact(changes) {
      session ??= open();
      const commands = changes.map(commandOf).join("");
      const began = Date.now();
      const answer = await session.ask(`start\0${commands}prepare\0commit\0`, (output) =>
        output.toString("latin1").endsWith("commit: ok\n"),
      );
      if (answer !== null) return null;
      const result = await session.end();
      session = null;
      if (result.code === null) {
        const locks = locksOfRefs(
          commonDir,
          changes.map(({ ref }) => ref),
        );
        removeStaleLocks(locks, began, places);
      }
      return result;
    },
    async end() {
      await session?.end();
      session = null;
    },
  };
}

// git-update-ref(1), "-z" format. An empty or short id would mean "delete" or "any": refused here, before git sees it.
function commandOf(change: RefChange): string {
  const id = (oid: string) => {
    if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(oid) || /^0+$/.test(oid)) throw new Error(`not an object id: "${oid}"`);
    return oid;
  };
  if (!change.ref.startsWith("refs/")) throw new Error(`not a full ref name: "${change.ref}"`);
  switch (change.verb) {
    case "create":
      return `create ${change.ref}\0${id(change.to)}\0`;
    case "update":
      return `update ${change.ref}\0${id(change.to)}\0${id(change.from)}\0`;
    case "delete":
      return `delete ${change.ref}\0${id(change.from)}\0`;
    case "verify":
      return `verify ${change.ref}\0${id(change.from)}\0`;
  }
}
