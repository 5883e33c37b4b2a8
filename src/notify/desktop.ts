import type { Message } from "./message.ts";
import type { Outcome } from "./outcome.ts";
import { runProgram } from "./program.ts";

/** By notify-send of libnotify, where it is. The body takes markup: https://specifications.freedesktop.org/notification-spec. */
export async function sendDesktop(
  env: Readonly<Record<string, string | undefined>>,
  message: Message,
  signal: AbortSignal,
): Promise<Outcome> {
  const body = message.body.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  return await runProgram(["notify-send", "--app-name=orchestrator-merge", "--", message.title, body], "", env, signal);
}
