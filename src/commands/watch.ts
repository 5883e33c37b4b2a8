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
  let again = false;
  let painted = "";
  /** At once, also when that is asked for while the queue is being read. */
  const redraw = (): void => {
    again = true;
    wake();
  };
  const end = (): void => {
    ended = true;
    wake();
  };
  const raw = (on: boolean): void => {
    if (stdin.isTTY) stdin.setRawMode(on);
  };
  /** Ctrl-Z: nothing is written until the shell lets us go on, or it would stay in what was on the terminal before. */
  let suspended = false;
  const suspend = (): void => {
    suspended = true;
    stdout.write(leave);
    raw(false);
    process.kill(process.pid, "SIGTSTP");
  };
  const resume = (): void => {
    raw(true);
    stdout.write(enter);
    suspended = false;
    painted = "";
    redraw();
  };
  const onKey = (keys: Buffer): void => {
    const pressed = keys.toString("utf8");
    // Raw mode hands the key over instead of the signal; main.ts owns what SIGINT means, and its exit code.
    if (pressed.includes("\x03")) process.kill(process.pid, "SIGINT");
    else if (pressed.includes("\x1a")) suspend();
    // What follows an escape is an arrow or the like; the end of input comes as Ctrl-D.
    else if (pressed === "\x1b" || ["q", "Q", "\x04"].some((key) => pressed.split("\x1b")[0]?.includes(key))) end();
    else if (!pressed.startsWith("\x1b")) redraw();
  };
  // A terminal whose size changed has moved lines about: all of them are written again.
  const onResize = (): void => {
    painted = "";
    redraw();
  };
  signal.addEventListener("abort", end);
  stdout.on("resize", onResize);
  process.on("SIGCONT", resume);
  // Without keys (stdin elsewhere) signals still end it.
  raw(true);
  if (stdin.isTTY) stdin.on("data", onKey).on("end", end);
  stdout.write(enter);
  try {
    while (!ended) {
      const size = { columns: stdout.columns || 80, rows: stdout.rows || 24 };
      again = false;
      const next = frame(await draw(size), size.rows);
      if (!ended && !suspended && next !== painted) {
        stdout.write(next);
        painted = next;
      }
      if (again) continue;
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
    process.off("SIGCONT", resume);
    raw(false);
    if (stdin.isTTY) stdin.off("data", onKey).off("end", end).pause();
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
