/** Exit codes of the program; the numbers are public and never change. */
export const exitCode = {
  ok: 0,
  bug: 1,
  usage: 2,
  database: 3,
  failed: 4,
  project: 5,
  busy: 75,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/**
 * Bad input or a hostile environment: something the person at the keyboard can mend.
 * `sentence` says what is wrong, `wayOut` what to do. Caught once, in main.ts; shown without a stack.
 */
export class UserError extends Error {
  readonly code: ExitCode;
  readonly sentence: string;
  readonly wayOut: string;
  constructor(code: ExitCode, sentence: string, wayOut: string, options?: ErrorOptions) {
    super(`${sentence} ${wayOut}`, options);
    this.name = "UserError";
    this.code = code;
    this.sentence = sentence;
    this.wayOut = wayOut;
  }
}

/** What a disk or directory said when it refused (permission, no space, too many files); null for any other error, which is a bug. */
export function refusal(error: unknown): string | null {
  return error instanceof Error && "syscall" in error && "code" in error ? error.message : null;
}
