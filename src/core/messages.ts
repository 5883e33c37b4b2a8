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

/** Whose landing a commit is part of. */
type Landing = { role: string; name: string; projectId: number; attemptId: string };

/** The message of one merge commit; the trailers are how a landing is known again (git-interpret-trailers(1)). */
export function mergeMessage(merge: Landing): string {
  return `Merge integration from ${visible(merge.role)}: ${visible(merge.name)}\n\n${trailers(merge, null)}`;
}

/** So many subjects stand in the message of a squash, each so long. */
const most = { subjects: 50, length: 100 };

/** The message of the one commit that a head is squashed to: it names the head, which is no ancestor of it, and what was squashed. */
export function squashMessage(squash: Landing & { head: string; subjects: readonly string[] }): string {
  const { subjects } = squash;
  const listed = subjects.slice(0, most.subjects).map((text) => `* ${visible(text).slice(0, most.length)}`);
  if (subjects.length > listed.length) listed.push(`* ... and ${subjects.length - listed.length} more`);
  const body = listed.length === 0 ? "" : `${listed.join("\n")}\n\n`;
  return `Squash integration from ${visible(squash.role)}: ${visible(squash.name)}\n\n${body}${trailers(squash, squash.head)}`;
}

/** The message of the one commit that a rebase leaves when the target has every change already, or had reverted them. */
export function rebaseMessage(rebase: Landing & { head: string | null; body: string }): string {
  return `Rebase integration from ${visible(rebase.role)}: ${visible(rebase.name)}\n\n${rebase.body}\n\n${trailers(rebase, rebase.head)}`;
}

/**
 * A commit's own message (a byte string) with our trailers after its own. `head` stands on the last commit of a rebased head only. Trailers
 * of ours that the message had already are another landing's, or made up: they go.
 */
export function rebasedMessage(message: string, landing: Landing, head: string | null): string {
  const lines = message.split("\n").filter((line) => !/^Orchestrator-(Project|Attempt|Head): /.test(line));
  const own = lines.join("\n").trimEnd();
  const last = own.slice(own.lastIndexOf("\n\n") + 2).split("\n");
  const hasTrailers = own.includes("\n\n") && last.every((line) => /^[A-Za-z0-9-]+: |^\s+\S/.test(line));
  return `${own}${hasTrailers ? "\n" : "\n\n"}${trailers(landing, head)}`;
}

function trailers({ projectId, attemptId }: Landing, head: string | null): string {
  return [
    `Orchestrator-Project: ${projectId}`,
    `Orchestrator-Attempt: ${attemptId}`,
    ...(head === null ? [] : [`Orchestrator-Head: ${head}`]),
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
