export type Level = "error" | "warn" | "notice" | "info" | "debug";

/** Where events go. One call is one line, whatever the text holds. */
export type Log = { readonly [L in Level]: (text: string) => void };

type Stream = { write(text: string): unknown; readonly isTTY?: boolean };

export function openLog(_given: {
  readonly file: string;
  readonly maxBytes: number;
  readonly level: "error" | "warn" | "info" | "debug";
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: Stream;
  now(): Date;
}): Log {
  const line = (text: string): void => void _given.stderr.write(`${text}\n`);
  return { error: line, warn: line, notice: line, info: line, debug: line };
}
