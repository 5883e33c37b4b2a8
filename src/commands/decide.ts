import { hostname, userInfo } from "node:os";
import { projectName, visible } from "../core/describe.ts";
import { exitCode, UserError } from "../core/errors.ts";
import type { ShownHeads } from "../queue/approvals.ts";
import type { Candidate } from "../queue/candidates.ts";
import type { Queue } from "../queue/database.ts";
import type { Context } from "./frame.ts";
import { silent } from "./silent.ts";

/** What `approve` and `reject` share: a project that waits, its heads as they are now, and who is speaking. */

type World = Pick<Context<Record<never, never>, never>, "config" | "env" | "interruption" | "now">;

/** The project of that number, when it waits for landing. Throws UserError(5) for any other. */
export async function demandWaiting(queue: Queue, id: number, verb: string): Promise<Candidate> {
  const { readCandidate } = await import("../queue/candidates.ts");
  const found = await readCandidate(queue, id);
  if (found === null) {
    throw new UserError(exitCode.project, `there is no project ${id}.`, "orchestrator-merge status --all lists them.");
  }
  const { standing, candidate } = found;
  if (standing === "pending" || standing === "held") return candidate;
  const name = visible(projectName(id, candidate.specPath));
  const [said, wayOut] =
    standing === "failed"
      ? [`has failed: ${candidate.known?.reason ?? "by somebody else's word"}`, `First: orchestrator-merge retry ${id}`]
      : standing === "not_completed"
        ? [`is ${visible(candidate.status)}, not completed`, "Wait until its agents have finished."]
        : [`is ${standing.replaceAll("_", " ")}`, `There is nothing left to ${verb}.`];
  throw new UserError(exitCode.project, `project ${id} ${name} ${said}.`, wayOut);
}

/** Its heads as git has them at this moment; what is in the way otherwise. */
export async function headsNow(context: World, queue: Queue, candidate: Candidate): Promise<ShownHeads | string> {
  const { startLook } = await import("../app/start.ts");
  const { heads, troubles } = await startLook(
    {
      queue,
      config: await context.config(),
      log: silent,
      env: context.env,
      signal: context.interruption(),
      now: () => context.now().getTime(),
      progress: () => {},
    },
    candidate,
  );
  if (heads !== null) return heads.map(({ role, oid }) => ({ role, oid }));
  const [first] = troubles;
  return first === undefined ? "somebody has changed its row just now." : `${first.reason}: ${first.detail}`;
}

/** `alice@host`: who types this. */
export function speaker(): string {
  return `${userInfo().username}@${hostname()}`;
}

/** The row has changed between our look and our word. */
export function changedMeanwhile(id: number): UserError {
  return new UserError(
    exitCode.project,
    `project ${id} has changed while you spoke.`,
    `Look again: orchestrator-merge explain ${id}`,
  );
}

/** `developer 3f2a91c0aa, tester 88ab01c2dd` */
export const shownHeads = (heads: ShownHeads): string =>
  heads.map(({ role, oid }) => `${visible(role)} ${oid.slice(0, 10)}`).join(", ");
