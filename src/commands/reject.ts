import { projectName, visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import { option, projectId, text } from "./argv.ts";
import { changedMeanwhile, demandWaiting, headsNow, speaker } from "./decide.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";

export default command({
  name: "reject",
  about: "Refuses a project: it fails with your reason, and is not tried again until somebody says retry.",
  args: { reason: option("TEXT", "why, for its agents and everybody else", text) },
  positionals: { value: "ID", about: "the number of a project", parse: projectId, min: 1, max: 1 },
  examples: [
    ['reject 12 --reason "breaks the public API"', "Project 12 does not land; its commits stay where they are."],
  ],
  async run(context) {
    const [id] = context.rest;
    const { reason } = context.args;
    if (id === undefined || reason === undefined || reason.trim() === "") {
      throw new UserError(exitCode.usage, "--reason is missing.", "Say why: its agents will want to know.");
    }
    await withQueue(context, "write", async (queue) => {
      const { decideProject } = await import("../queue/approvals.ts");
      const candidate = await demandWaiting(queue, id, "reject");
      // Of work that cannot be seen nothing is bound to the word: the row alone is refused.
      const seen = await headsNow(context, queue, candidate);
      const heads = typeof seen === "string" ? [] : seen;
      const by = speaker();
      const at = context.now().getTime();
      const said = await decideProject(queue, candidate, { verdict: "rejected", heads, by, at, reason });
      if (!said) throw changedMeanwhile(id);
      if (context.json) context.printJson({ rejected: { id, heads, by, reason } });
      else {
        context.print(`Rejected project ${id} ${visible(projectName(id, candidate.specPath))}: ${visible(reason)}`);
        context.note(`When it is mended: orchestrator-merge retry ${id}`);
      }
    });
  },
});
