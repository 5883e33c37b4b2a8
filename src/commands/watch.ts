import { shorten } from "./table.ts";

const every = 2000;
const enter = "\x1b[?1049h\x1b[?25l";
const leave = "\x1b[?25h\x1b[?1049l";

/**
 * Paints what `draw` gives on the alternate screen, every two seconds and when the window changes, until q or Ctrl-C. Calm: lines are
 * overwritten in place and only what is left of longer ones is cleared, so nothing flickers, and what was on the
 * terminal before comes back at the end, also when `draw` throws.
 */
export async function watch(
  draw: (size: { columns: number; rows: number }) => Promise<readonly string[]>,
  signal: AbortSignal,
): Promise<void> {
  const { stdin, stdout } = process;
  let wake = (): void => {};
  let ended = signal.aborted;
  const end = (): void => {
    ended = true;
    wake();
  };
  const onKey = (keys: Buffer): void => {
    const pressed = keys.toString("utf8");
    // Raw mode hands the key over instead of the signal; main.ts owns what SIGINT means, and its exit code.
    if (pressed.includes("\x03")) process.kill(process.pid, "SIGINT");
    // What follows an escape is an arrow or the like; the end of input comes as Ctrl-D.
    else if (pressed === "\x1b" || ["q", "Q", "\x04"].some((key) => pressed.split("\x1b")[0]?.includes(key))) end();
    else if (!pressed.startsWith("\x1b")) wake();
  };
  const onResize = (): void => wake();
  signal.addEventListener("abort", end);
  stdout.on("resize", onResize);
  // Without keys (stdin elsewhere) signals still end it.
  if (stdin.isTTY) stdin.setRawMode(true).on("data", onKey).on("end", end);
  stdout.write(enter);
  try {
    while (!ended) {
      const size = { columns: stdout.columns || 80, rows: stdout.rows || 24 };
      const lines = await draw(size);
      if (!ended) stdout.write(frame(lines, size.rows));
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, every);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (ended) wake();
      });
    }
  } finally {
    stdout.write(leave);
    signal.removeEventListener("abort", end);
    stdout.off("resize", onResize);
    if (stdin.isTTY) stdin.setRawMode(false).off("data", onKey).off("end", end).pause();
  }
}

/** One repaint: home, each line with the rest of its row cleared, then the rows below; held back by terminals until it is whole. */
export function frame(lines: readonly string[], rows: number): string {
  const shown = lines.slice(0, rows).map((line) => `${line}\x1b[K`);
  return `\x1b[?2026h\x1b[H${shown.join("\r\n")}\x1b[J\x1b[?2026l`;
}

/** Cuts what does not fit in `rows` out of the middle: the last block, after a blank line, stays whole if it is short. */
export function cutMiddle(lines: readonly string[], rows: number, columns: number): readonly string[] {
  if (lines.length <= rows) return lines;
  const lastBlock = lines.length - 1 - lines.lastIndexOf("");
  const end = lines.slice(lines.length - Math.min(lastBlock, Math.floor(rows / 2)));
  const begin = lines.slice(0, Math.max(0, rows - end.length - 1));
  return [...begin, shorten(`  … ${lines.length - begin.length - end.length} lines more`, columns), ...end];
}
