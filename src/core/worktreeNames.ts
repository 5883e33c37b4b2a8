import { createHash } from "node:crypto";
import { posix } from "node:path";

/**
 * The directory names, beside a project, that may hold the agents' worktrees of one spec, exactly as the orchestrator builds them:
 * `<basename>-<stem, lower case, _ to ->-<first 12 of sha256 of the spec>-tmux-worktrees`. Two when the spec has CR LF line ends: the
 * orchestrator reads text (line ends become LF) before it hashes, other writers hash the bytes.
 */
export function specDirectories(projectBasename: string, specPath: string, content: Buffer): string[] {
  const stem = posix.parse(specPath).name.toLowerCase().replaceAll("_", "-");
  const text = content.toString("latin1");
  const variants = [content, Buffer.from(text.replaceAll(/\r\n?/g, "\n"), "latin1")];
  const hashes = new Set(variants.map((bytes) => createHash("sha256").update(bytes).digest("hex").slice(0, 12)));
  return [...hashes].map((hash) => `${projectBasename}-${stem}-${hash}-tmux-worktrees`);
}

/** The directory that an older orchestrator made, one a project. */
export function sharedDirectory(projectBasename: string): string {
  return `${projectBasename}-tmux-worktrees`;
}

export const worktreesSuffix = "-tmux-worktrees";
