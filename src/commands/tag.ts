import { visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import type { Parse } from "./argv.ts";
import { command } from "./frame.ts";
import { withQueue } from "./open-queue.ts";

/** What one word asks for. */
type Word = { readonly id: number } | { readonly add: string } | { readonly remove: string };

const word: Parse<Word> = (given, label) => {
  if (/^[0-9]{1,15}$/.test(given)) return { id: Number(given) };
  const name = given.slice(1);
  if (given.startsWith("+") && name !== "") return { add: name };
  if (given.startsWith("-") && name !== "") return { remove: name };
  throw new UserError(
    exitCode.usage,
    `${label} does not take ${JSON.stringify(given)}.`,
    "Give numbers of projects, and tags with a sign: +critical gives it, -wip takes it away.",
  );
};

export default command({
  name: "tag",
  about: "Gives tags to projects and takes them away, for rules to match; without a sign, shows them.",
  args: {},
  positionals: {
    value: "ID [+TAG] [-TAG]",
    about: "projects, and tags",
    parse: word,
    min: 1,
    max: Number.POSITIVE_INFINITY,
    dashed: true,
  },
  examples: [
    ["tag 3 +critical -wip", "Project 3 is critical now, and no longer in work."],
    ["tag 3", "The tags of project 3."],
  ],
  async run(context) {
    const { rest, json } = context;
    const ids = [...new Set(rest.flatMap((one) => ("id" in one ? [one.id] : [])))];
    const add = rest.flatMap((one) => ("add" in one ? [one.add] : []));
    const remove = rest.flatMap((one) => ("remove" in one ? [one.remove] : []));
    const usage = (sentence: string, wayOut: string) => new UserError(exitCode.usage, sentence, wayOut);
    if (ids.length === 0) throw usage("no project is named.", "Give its number: orchestrator-merge tag 3 +critical.");
    const both = add.find((name) => remove.includes(name));
    if (both !== undefined) throw usage(`${JSON.stringify(both)} is given and taken away.`, "Give it one sign.");
    await withQueue(context, "write", async (queue) => {
      const { changeTags } = await import("../queue/tags.ts");
      const tags = await changeTags(queue, ids, { add, remove });
      for (const [id, found] of tags) {
        if (found !== null) continue;
        throw new UserError(
          exitCode.project,
          `there is no project ${id}.`,
          "orchestrator-merge status --all lists them.",
        );
      }
      if (json) context.printJson({ projects: ids.map((id) => ({ id, tags: tags.get(id) ?? [] })) });
      else for (const id of ids) context.print(`${id}  ${(tags.get(id) ?? []).map(visible).join(" ") || "no tags"}`);
    });
  },
});
