import { projectName, visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import type { ShownHeads } from "../queue/approvals.ts";
import type { Candidate } from "../queue/candidates.ts";
import type { Queue } from "../queue/database.ts";
import { list, projectId, text } from "./argv.ts";
import { changedMeanwhile, demandWaiting, headsNow, shownHeads, speaker } from "./decide.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";

export default command({
  name: "approve",
  about:
    "Lets projects land that a rule holds for approval: the very commits that are there now. A new commit needs a new word.",
  args: { head: list("OID", "only if these are its commits, each with at least seven digits", text, ",") },
  positionals: { value: "ID", about: "numbers of projects", parse: projectId, min: 1, max: Number.POSITIVE_INFINITY },
  examples: [
    ["approve 12", "Project 12 lands at the next run, as status has last shown it."],
    ["approve 12 --head 3f2a91c0aa", "Only if that is still its commit."],
  ],
  async run(context) {
    if (context.args.head.length > 0 && context.rest.length > 1) {
      throw new UserError(
        exitCode.usage,
        "--head is for one project.",
        "Approve them one by one, or leave out --head.",
      );
    }
    await withQueue(context, "write", async (queue) => {
      const { decideProject } = await import("../queue/approvals.ts");
      const approved = [];
      const [by, at] = [speaker(), context.now().getTime()];
      // All are looked at before anything is written: one that cannot be approved stops the others.
      for (const id of new Set(context.rest)) {
        const candidate = await demandWaiting(queue, id, "approve");
        const heads = await headsNow(context, queue, candidate);
        if (typeof heads === "string") {
          throw new UserError(exitCode.project, `project ${id} cannot be approved yet. ${heads}`, "Mend that first.");
        }
        await demandShown(queue, candidate, heads, context.args.head);
        approved.push({ candidate, heads });
      }
      for (const { candidate, heads } of approved) {
        const word = { verdict: "approved", heads, by, at, reason: null } as const;
        if (!(await decideProject(queue, candidate, word))) throw changedMeanwhile(candidate.id);
      }
      if (context.json) {
        context.printJson({ approved: approved.map(({ candidate, heads }) => ({ id: candidate.id, heads, by })) });
        return;
      }
      for (const { candidate, heads } of approved) {
        const name = visible(projectName(candidate.id, candidate.specPath));
        context.print(`Approved project ${candidate.id} ${name}: ${shownHeads(heads)}`);
      }
      context.note("They land at the next run; a new commit takes the approval back.");
    });
  },
});

/**
 * An approval is for what a person has seen: the commits that --head names, or else those that the last run has shown. Throws UserError(5)
 * when there are others now.
 */
async function demandShown(
  queue: Queue,
  { id, known }: Candidate,
  heads: ShownHeads,
  named: readonly string[],
): Promise<void> {
  const now = `orchestrator-merge approve ${id} --head ${heads.map(({ oid }) => oid.slice(0, 10)).join(",")}`;
  if (named.length > 0) {
    const fits = (oid: string) => named.some((start) => start.length >= 7 && oid.startsWith(start.toLowerCase()));
    if (heads.length === named.length && heads.every(({ oid }) => fits(oid))) return;
    throw new UserError(
      exitCode.project,
      `project ${id} has other commits: ${shownHeads(heads)}.`,
      `For those: ${now}`,
    );
  }
  if (known?.attemptId == null) return;
  const { readAttemptFacts } = await import("../queue/attempts.ts");
  const shown = (await readAttemptFacts(queue, known.attemptId))?.heads ?? [];
  const isShown = ({ oid }: { oid: string }) => shown.some((head) => head.oid === oid);
  if (shown.length === 0 || heads.every(isShown)) return;
  throw new UserError(
    exitCode.project,
    `project ${id} has other commits than the last run has shown: ${shownHeads(heads)}.`,
    `Look at them, then: ${now}`,
  );
}
