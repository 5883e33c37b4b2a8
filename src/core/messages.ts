import { visible } from "./describe.ts";

/** Names and messages that end up in repositories. They are public: people grep for them. */

/** `20261122-153012`, from unix milliseconds, UTC. */
function compactTime(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}

/** The branch that marks the target as it was just before a project: with the project's number, so two in one second differ. */
export function backupRef(at: number, projectId: number): string {
  return `refs/heads/backup-before-merge-${compactTime(at)}-p${projectId}`;
}

/** The short name of the annotated tag at a project's landing. */
export function tagName(at: number, projectId: number): string {
  return `integration-${compactTime(at)}-p${projectId}`;
}

/** The message of one merge commit; the trailers are how a landing is known again (git-interpret-trailers(1)). */
export function mergeMessage(merge: { role: string; name: string; projectId: number; attemptId: string }): string {
  return [
    `Merge integration from ${visible(merge.role)}: ${visible(merge.name)}`,
    "",
    `Orchestrator-Project: ${merge.projectId}`,
    `Orchestrator-Attempt: ${merge.attemptId}`,
    "",
  ].join("\n");
}

export function tagMessage(tag: {
  name: string;
  projectId: number;
  attemptId: string;
  roles: readonly string[];
}): string {
  return [
    `Integration of ${visible(tag.name)} (${tag.roles.map(visible).join(", ")})`,
    "",
    `Orchestrator-Project: ${tag.projectId}`,
    `Orchestrator-Attempt: ${tag.attemptId}`,
    "",
  ].join("\n");
}

/** The message of the merge that takes in a remote which has moved on. */
export function syncMessage(remote: string, branch: string): string {
  return `Merge remote-tracking branch '${visible(`${remote}/${branch}`)}'\n`;
}
