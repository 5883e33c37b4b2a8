import { closeSync, mkdirSync, openSync, readdirSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

/** How much of a gate's output is kept on disk, and of its end in the queue. Bytes. */
const wholeLimit = 10_000_000;
const tailLimit = 8_000;

/** How many output files there are at most. */
const kept = 100;

/** Takes what a command says: the first 10 MB go to a file, the last 8 KB are at hand. */
export type Output = {
  take(chunk: Buffer): void;
  /** Closes the file; gives the end of it all. */
  end(): string;
  /** null when it could not be written */
  readonly file: string | null;
};

/** Begins `<directory>/<name>.log`, or `<name>-2.log` and so on where that is taken. A disk that refuses only means that no file is kept. */
export function openOutput(directory: string, name: string): Output {
  const opened = create(directory, name);
  let [written, total] = [0, 0];
  let tail = Buffer.alloc(0);
  const write = (chunk: Buffer | string) => {
    if (opened === null) return;
    try {
      writeSync(opened.fd, Buffer.from(chunk));
    } catch {
      // a full disk: the tail is still there
    }
  };
  return {
    file: opened?.file ?? null,
    take(chunk) {
      total += chunk.length;
      if (written < wholeLimit) {
        const part = chunk.subarray(0, wholeLimit - written);
        written += part.length;
        write(part);
      }
      tail = Buffer.concat([tail, chunk]).subarray(-tailLimit);
    },
    end() {
      if (total > written) {
        write(`\n[${total - written} bytes more are left out here, but for the last]\n`);
        write(tail);
      }
      if (opened !== null) closeSync(opened.fd);
      tidy(directory);
      return tail.toString();
    },
  };
}

function create(directory: string, name: string): { file: string; fd: number } | null {
  try {
    mkdirSync(directory, { recursive: true });
    for (let n = 1; ; n++) {
      const file = join(directory, `${name}${n === 1 ? "" : `-${n}`}.log`);
      try {
        return { file, fd: openSync(file, "wx", 0o600) };
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      }
    }
  } catch {
    return null;
  }
}

/** Removes all but the newest: names begin with the ULID of an attempt, so they sort by time. */
function tidy(directory: string): void {
  try {
    const files = readdirSync(directory).filter((file) => /^[0-9A-Z]{26}-.*\.log$/.test(file));
    for (const file of files.sort().slice(0, -kept)) unlinkSync(join(directory, file));
  } catch {
    // another run tidies as well, or the disk refuses
  }
}
