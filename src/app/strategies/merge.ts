import { mergeMessage } from "../../core/messages.ts";
import type { Trouble } from "../../core/reasons.ts";
import { writeCommit } from "../../git/objects.ts";
import { seenWith } from "../absorbed.ts";
import { type Planted, type Planting, plant } from "./planting.ts";

/** One merge commit: the tip its first parent, the head its second. */
export async function plantMerge(planting: Planting, tree: string): Promise<Planted | Trouble> {
  const { chain, work, head, from } = planting;
  const { place, stamp } = chain;
  const { projectId, attemptId, name } = work;
  const commit = async (settled: string) =>
    writeCommit(place.scratch.objects, place.snapshot.sha256, {
      tree: settled,
      parents: [from.commit, head.oid],
      stamp,
      message: mergeMessage({ role: head.role, name, projectId, attemptId }),
    });
  return await plant(planting, tree, commit, (tip) =>
    seenWith(place, tip, from.seen === from.commit ? [] : [from.seen]),
  );
}
