import { projectName, visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { projectId } from "./argv.ts";
import { changedMeanwhile, demandWaiting, headsNow, shownHeads, speaker } from "./decide.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";

export default command({
  name: "approve",
  about:
    "Lets projects land that a rule holds for approval: the very commits that are there now. A new commit needs a new word.",
  args: {},
  positionals: { value: "ID", about: "numbers of projects", parse: projectId, min: 1, max: Number.POSITIVE_INFINITY },
  examples: [["approve 12", "Project 12 lands at the next run, as its agents have left it."]],
  async run(context) {
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
