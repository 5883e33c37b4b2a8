import { squashMessage } from "../../core/messages.ts";
import { isTrouble, type Trouble } from "../../core/reasons.ts";
import { authorOf, subjectOf } from "../../git/commits.ts";
import { writeCommit, writeRetold } from "../../git/objects.ts";
import { seenWith } from "../absorbed.ts";
import { type Planted, type Planting, plant } from "./planting.ts";
import { newCommits } from "./replay.ts";

/**
 * One commit that follows on the tip and does all that the head's commits do. It is its author's where all of those have one author
 * (with the date of the last), ours otherwise.
 */
export async function plantSquash(planting: Planting, tree: string): Promise<Planted | Trouble> {
  const { chain, work, head, from } = planting;
  const { place, stamp } = chain;
  const commits = await newCommits(chain, head.oid, from.seen);
  if (isTrouble(commits)) return commits;
  const own = commits.filter(({ parents }) => parents.length < 2);
  const { projectId, attemptId, name } = work;
  const subjects = own.map(subjectOf);
  const message = squashMessage({ role: head.role, name, projectId, attemptId, head: head.oid, subjects });
  const last = own.at(-1);
  const isOne = last !== undefined && own.every((commit) => authorOf(commit) === authorOf(last));
  const { objects } = place.scratch;
  const { sha256 } = place.snapshot;
  const commit = async (settled: string) =>
    isOne
      ? writeRetold(objects, sha256, {
          tree: settled,
          parent: from.commit,
          author: last.author,
          encoding: null,
          committer: stamp,
          message: Buffer.from(message).toString("latin1"),
        })
      : writeCommit(objects, sha256, { tree: settled, parents: [from.commit], stamp, message });
  return await plant(planting, tree, commit, (tip) => seenWith(place, tip, [from.seen, head.oid]));
}
