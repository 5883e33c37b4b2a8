// Puts what `demo` prints into README.md, between the two marks. Run: node build.mjs --run docs/transcript.ts
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const between =
  /(?<=<!-- transcript of the built program: node build\.mjs --run docs\/transcript\.ts -->\n```text\n).*?(?=```\n)/s;

/** Runs the built program's `demo` and gives what a terminal would show, stdout and stderr in their order. Throws when it fails. */
export function takeTranscript(): string {
  const home = mkdtempSync(join(tmpdir(), "transcript-"));
  try {
    // One file for both streams: two pipes would lose the order between them.
    const file = join(home, "said");
    const said = openSync(file, "w");
    const env = { PATH: process.env["PATH"], HOME: home, TZ: "UTC", COLUMNS: "100" };
    const { status } = spawnSync(join(root, "dist", "orchestrator-merge"), ["demo"], {
      env,
      stdio: ["ignore", said, said],
    });
    closeSync(said);
    const text = readFileSync(file, "utf8").replaceAll(/ +$/gm, "");
    if (status !== 0) throw new Error(`demo ended with ${status}:\n${text}`);
    return text;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** The transcript that stands in a README; throws when there is none. */
export function transcriptIn(readme: string): string {
  const found = between.exec(readme)?.[0];
  if (found === undefined) throw new Error("README.md has no place for the transcript");
  return found;
}

/**
 * The same with everything that differs from run to run (days, times, object ids, costs) written as `#`, and without the lines of the
 * graph: which of two commits of one second comes first is chance too.
 */
export function withoutChance(transcript: string): string[] {
  const lines = transcript
    .replaceAll(/\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?|\d{8}-\d{6}|\b[0-9a-f]{7,12}\b/g, "#")
    .replaceAll(/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) #/g, "#")
    .replaceAll(/\([\d.]+ m?s, \d+ git processes\)/g, "(#)")
    .replaceAll(/\b(just now|\d+ s ago)/g, "#")
    .replaceAll(/(\d min) \d+ s\b/g, "$1")
    .replaceAll(/ {2,}/g, "  ")
    .split("\n");
  const commit = /^[*|\\/_ ]*\* [*|\\/_ ]*(?=#)/;
  const commits = lines.filter((line) => commit.test(line)).map((line) => line.replace(commit, ""));
  const rest = lines.filter((line) => !commit.test(line) && !/^[*|\\/_ ]+$/.test(line));
  return [...rest, ...commits.sort()];
}

if (import.meta.main) {
  const readme = join(root, "README.md");
  const text = readFileSync(readme, "utf8");
  transcriptIn(text);
  writeFileSync(readme, text.replace(between, takeTranscript));
}
