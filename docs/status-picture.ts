// Draws docs/pictures/status.svg: what `status` shows on a terminal after the demo. Run: node build.mjs --run docs/status-picture.ts
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { columnsOf } from "../src/commands/table.ts";

const root = join(import.meta.dirname, "..");
export const picture = join(root, "docs", "pictures", "status.svg");
const columns = 100;

/** Runs the built program on the queue that `demo` leaves, with one more project waiting, and gives what `status` prints in colour. */
export function takeStatus(): string {
  const home = mkdtempSync(join(tmpdir(), "picture-"));
  const env = { PATH: process.env["PATH"], HOME: home, TMPDIR: home, TZ: "UTC", COLUMNS: String(columns) };
  const say = (file: string, args: readonly string[], more = {}): string =>
    execFileSync(file, args, {
      env: { ...env, ...more },
      cwd: home,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  const program = join(root, "dist", "orchestrator-merge");
  try {
    say(program, ["demo", "--keep"]);
    const [sandbox = ""] = say("sh", ["-c", "ls -d orchestrator-merge-demo-*"]).split("\n");
    const shop = join(home, sandbox, "shop");
    const queue = { ORCHESTRATOR_MERGE_DB: join(home, sandbox, "task_queue.db") };
    say("git", ["-C", shop, "worktree", "add", "-q", "-b", "wishlist", join(home, "wishlist")]);
    say(program, ["add", "--project", shop, "--worktree", join(home, "wishlist")], queue);
    return say(program, ["status", "--color", "always"], queue);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

type Look = { readonly color: string; readonly bold: boolean; readonly dim: boolean };
const plain: Look = { color: "#d6dce4", bold: false, dim: false };
/** The colours of paint.ts by their SGR numbers; all of them 7:1 or more on the background. */
const colors: Readonly<Record<string, string>> = {
  31: "#ff8b85",
  32: "#7ee08f",
  33: "#f0c85c",
  36: "#76d9e6",
  39: plain.color,
};

function changed(look: Look, sgr: string): Look {
  if (sgr === "1") return { ...look, bold: true };
  if (sgr === "2") return { ...look, dim: true };
  if (sgr === "22") return { ...look, bold: false, dim: false };
  const color = colors[sgr];
  if (color === undefined) throw new Error(`the picture knows no SGR ${sgr}`);
  return { ...look, color };
}

/** What sets a colour; in its group the number. */
const sequence = new RegExp(`${"\x1b"}\\[(\\d+)m`);
const cell = { width: 8.43, height: 20 };
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
const escaped = (text: string): string => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** A terminal that shows `command` and its coloured output, as SVG. Every character stands where a terminal would put it, in any font. */
export function drawTerminal(command: string, output: string): string {
  const lines = [`\x1b[2m$\x1b[22m \x1b[1m${command}\x1b[22m`, ...output.trimEnd().split("\n")];
  let look = plain;
  const rows = lines.map((line, row) => {
    let column = 0;
    const texts: string[] = [];
    const put = (text: string): void => {
      const style = [`x="${(16 + column * cell.width).toFixed(1)}"`, `fill="${look.color}"`];
      if (look.bold) style.push('font-weight="bold"');
      if (look.dim) style.push('fill-opacity=".75"');
      const wide = columnsOf(text);
      // Pictures and signs are as wide as their font likes; words are held to the grid.
      if (/^[ -~]+$/.test(text)) style.push(`textLength="${(wide * cell.width).toFixed(1)}"`);
      if (text.trim() !== "") texts.push(`<tspan ${style.join(" ")}>${escaped(text)}</tspan>`);
      column += wide;
    };
    for (const [i, part] of line.split(sequence).entries()) {
      if (i % 2 === 1) look = changed(look, part);
      else for (const run of part.match(/[ -~]+|[^ -~]+/g) ?? []) for (const piece of pieces(run)) put(piece);
    }
    return `<text y="${52 + row * cell.height}">${texts.join("")}</text>`;
  });
  const [width, height] = [Math.ceil(32 + columns * cell.width), 64 + lines.length * cell.height];
  const dots = ["#ff5f57", "#febc2e", "#28c840"].map(
    (fill, i) => `<circle cx="${20 + i * 20}" cy="18" r="6" fill="${fill}"/>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"
  aria-label="${escaped(command)} on a terminal" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14">
<rect width="100%" height="100%" rx="10" fill="#1b1f27"/>
${dots.join("")}
<g>
${rows.join("\n")}
</g>
</svg>
`;
}

/** ASCII stays together as far as single blanks join it, everything else goes character by character: browsers fold blanks. */
const pieces = (run: string): string[] =>
  /^[ -~]/.test(run)
    ? run.split(/(^ +| +$| {2,})/).filter((piece) => piece !== "")
    : [...graphemes.segment(run)].map(({ segment }) => segment);

/** The words of a picture, and `#` for what differs from run to run. */
export const wordsOf = (svg: string): string[] =>
  svg
    .split("\n")
    .filter((line) => line.startsWith("<text "))
    .map((line) =>
      line
        .replaceAll(/<[^>]*>/g, "")
        .replaceAll(/just now|\d+ s ago|in \d+ \w+/g, "#")
        .trim(),
    );

if (import.meta.main) {
  mkdirSync(dirname(picture), { recursive: true });
  writeFileSync(picture, drawTerminal("orchestrator-merge status", takeStatus()));
}
