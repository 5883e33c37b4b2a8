import type { Random } from "./random.ts";

/** What a tree holds at one path. Paths and contents are byte strings: latin1, one character a byte. */
export type Entry = {
  readonly mode: "100644" | "100755" | "120000" | "160000";
  /** The bytes; the target of a symlink; the commit of a submodule. */
  readonly content: string;
};
export type Files = ReadonlyMap<string, Entry>;

const words =
  "apply branch commit delta entry fetch graph hash index journal kernel lock merge node object pack queue ref".split(
    " ",
  );

/** One line of text, long enough that files are told apart when git looks for renames. */
function line(random: Random): string {
  const number = random.int(1_000_000);
  return `${random.pick(words)} ${random.pick(words)} ${number} ${random.pick(words)} ${number % 97}`;
}

export function text(random: Random, lines: number, ending = "\n"): string {
  return Array.from({ length: lines }, () => line(random) + ending).join("");
}

/** Bytes with a NUL among the first, so that git calls them binary. */
export function binary(random: Random, length: number): string {
  return `\x89BIN\0${Array.from({ length }, () => String.fromCharCode(random.int(256))).join("")}`;
}

/** Replaces, inserts or removes a few lines at one place; keeps the file's line endings. */
export function edit(random: Random, content: string): string {
  const ending = content.includes("\r\n") ? "\r\n" : "\n";
  const lines = content.split(ending);
  const at = random.int(Math.max(1, lines.length - 1));
  const fresh = Array.from({ length: 1 + random.int(2) }, () => line(random));
  const gone = random.chance(0.7) ? fresh.length : random.int(3);
  lines.splice(at, gone, ...(random.chance(0.12) ? [] : fresh));
  return lines.join(ending);
}

/** Changes some bytes of a binary file. */
export function scramble(random: Random, content: string): string {
  const at = 5 + random.int(Math.max(1, content.length - 5));
  return content.slice(0, at) + String.fromCharCode(random.int(256)) + content.slice(at + 1);
}

/** The files that a new large project begins with: byte string paths of every awkward kind among plain ones. */
export function firstFiles(random: Random, count: number): Map<string, Entry> {
  const files = new Map<string, Entry>();
  const put = (path: string, content: string, mode: Entry["mode"] = "100644") => files.set(path, { mode, content });
  const areas = [
    "src/core",
    "src/net",
    "src/ui/views",
    "lib/parse",
    "lib/format",
    "docs/guide",
    "docs/ref",
    "test/unit",
    "tools",
  ];
  for (let n = 0; n < count; n++) {
    const area = random.pick(areas);
    put(
      `${area}/${random.pick(words)}${n % 7 === 0 ? "/inner" : ""}/part${n}.${random.pick(["c", "h", "txt", "md", "py"])}`,
      text(random, 8 + random.int(60)),
    );
  }
  for (let n = 0; n < 24; n++) {
    put(`assets/image${n}.bin`, binary(random, 200 + random.int(400)));
    put(`legacy/old${n}.txt`, text(random, 12 + random.int(20), "\r\n"));
    put(`changes/part${n}.log`, text(random, 6 + random.int(10)));
    put(`locks/part${n}.lock`, text(random, 10 + random.int(10)));
    put(`win/script${n}.bat`, text(random, 10 + random.int(20)));
    put(`bin/tool${n}`, text(random, 10 + random.int(10)), "100755");
    put(`links/link${n}`, `../bin/tool${random.int(24)}`, "120000");
    put(`mixed/plain${n}`, `${text(random, 6)}${text(random, 2, "\r\n")}${text(random, 6)}`);
  }
  for (const name of awkwardNames) put(`${name}.txt`, text(random, 14 + random.int(20)));
  for (const name of awkwardNames) put(`odd ${name}/caf\xe9/${name}.md`, text(random, 14));
  put(`${"deep-directory-of-some-length/".repeat(24)}${"n".repeat(200)}.txt`, text(random, 20));
  put(`${"d".repeat(250)}/${"e".repeat(250)}/${"f".repeat(240)}.txt`, text(random, 20));
  put(".gitattributes", attributesAtFirst);
  put("odd caf\xe9/caf\xe9/.gitattributes", "*.md merge=union\n");
  return files;
}

const awkwardNames = [
  "caf\xe9", // latin1, no UTF-8
  "\xff\xfe bytes",
  "two words",
  " leading",
  "new\nline",
  "tab\there",
  'quo"te',
  "back\\slash",
  "-dash",
  ":(top)magic",
  "star*[x]?",
  "gr\xc3\xbc\xc3\x9fe", // UTF-8
  "#hash",
  "!bang",
  "HEAD~1",
  "$(id)",
];

const attributesAtFirst = `* text=auto
[attr]together merge=union
*.bin binary
*.bat text eol=crlf
*.log together
*.lock -merge
legacy/*.txt -text
`;

/** What may become of the .gitattributes at the top: every line changes how some of the files above merge. */
export const attributesLater = [
  attributesAtFirst,
  `${attributesAtFirst}docs/**/*.md merge=union\n`,
  `${attributesAtFirst}*.h merge=binary\n`,
  `${attributesAtFirst}lib/** -merge\n*.log !merge\n`,
  "* text=auto\n*.bin binary\n*.bat text eol=crlf\nlegacy/*.txt -text\n",
  `${attributesAtFirst}src/** conflict-marker-size=20\n*.py merge=union\n`,
];

/** The same for a directory's own. */
export const attributesNested = [
  "*.txt merge=union\n",
  "* -merge\n",
  "*.md merge=binary\n",
  "*.c merge=union\n*.h !merge\n",
  "# none\n",
];
