import { attributesLater, attributesNested, binary, type Entry, edit, scramble, text } from "./files.ts";
import type { Random } from "./random.ts";

/** What one commit of a developer does to the files. `submodule` are the commits a submodule may stand at. */
export type Change = (files: Map<string, Entry>, random: Random, submodule: readonly string[]) => void;

const isText = (path: string, entry: Entry) =>
  entry.mode.startsWith("100") && !entry.content.includes("\0") && !path.endsWith(".gitattributes");

function pickPath(
  files: Map<string, Entry>,
  random: Random,
  wanted: (path: string, entry: Entry) => boolean,
): string | null {
  // A developer works in one corner: near picks make two branches meet in the same files now and then, not always.
  const paths = [...files].filter(([path, entry]) => wanted(path, entry)).map(([path]) => path);
  return paths.length === 0 ? null : random.pick(paths);
}

function rewrite(files: Map<string, Entry>, path: string | null, content: (old: string) => string): void {
  const entry = path === null ? undefined : files.get(path);
  if (path !== null && entry !== undefined) files.set(path, { ...entry, content: content(entry.content) });
}

/** Puts an entry where no file and no directory is in the way: a tree cannot hold both. */
function place(files: Map<string, Entry>, path: string, entry: Entry): void {
  for (const other of [...files.keys()])
    if (other.startsWith(`${path}/`) || path.startsWith(`${other}/`)) files.delete(other);
  files.set(path, entry);
}

const directoryOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
const inside = (directory: string, name: string) => (directory === "" ? name : `${directory}/${name}`);
const baseOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);

const editText: Change = (files, random) => rewrite(files, pickPath(files, random, isText), (old) => edit(random, old));
const editOdd: Change = (files, random) =>
  rewrite(
    files,
    pickPath(files, random, (path, entry) => isText(path, entry) && /[^a-z0-9./_-]/.test(path)),
    (old) => edit(random, old),
  );
const editShared: Change = (files, random) =>
  rewrite(
    files,
    pickPath(files, random, (path, entry) => isText(path, entry) && /^(changes|locks|legacy|win|mixed)\//.test(path)),
    (old) => edit(random, old),
  );
const editBinary: Change = (files, random) =>
  rewrite(
    files,
    pickPath(files, random, (_, entry) => entry.content.includes("\0")),
    (old) => scramble(random, old),
  );

const add: Change = (files, random) => {
  const near = pickPath(files, random, isText) ?? "src/a";
  place(files, inside(directoryOf(near), `new${random.int(400)}.${random.pick(["c", "txt", "md"])}`), {
    mode: "100644",
    content: text(random, 5 + random.int(30)),
  });
};
const addBinary: Change = (files, random) =>
  place(files, `assets/image${random.int(40)}.bin`, { mode: "100644", content: binary(random, 100 + random.int(200)) });
const remove: Change = (files, random) => {
  const path = pickPath(files, random, isText);
  if (path !== null && files.size > 200) files.delete(path);
};

const rename: Change = (files, random) => {
  const path = pickPath(files, random, (each, entry) => entry.mode !== "160000" && !each.endsWith(".gitattributes"));
  const entry = path === null ? undefined : files.get(path);
  if (path === null || entry === undefined) return;
  files.delete(path);
  const away = random.chance(0.5) ? directoryOf(path) : random.pick(["src/core", "lib/moved", "docs/guide"]);
  const to = inside(away, `moved${random.int(60)}-${baseOf(path).slice(0, 120)}`);
  place(
    files,
    to,
    random.chance(0.5) && isText(path, entry) ? { ...entry, content: edit(random, entry.content) } : entry,
  );
};

/** Moves a whole directory, so that what the other side adds to the old one should follow. */
const renameDirectory: Change = (files, random) => {
  const some = pickPath(files, random, (path) => path.split("/").length > 2 && path.length < 120);
  if (some === null) return;
  const from = `${directoryOf(some)}/`;
  const to = inside(
    directoryOf(directoryOf(some)),
    `${random.pick(["core", "shared", "attic", "next"])}${random.int(4)}/`,
  );
  if (to.startsWith(from)) return;
  for (const [path, entry] of [...files]) {
    if (!path.startsWith(from)) continue;
    files.delete(path);
    place(files, to + path.slice(from.length), entry);
  }
};

const flipMode: Change = (files, random) => {
  const path = pickPath(files, random, (_, entry) => entry.mode.startsWith("100"));
  const entry = path === null ? undefined : files.get(path);
  if (path !== null && entry !== undefined)
    files.set(path, { ...entry, mode: entry.mode === "100644" ? "100755" : "100644" });
};

const relink: Change = (files, random) =>
  place(files, `links/link${random.int(40)}`, {
    mode: "120000",
    content: `../${random.pick(["bin/tool1", "src", "no\xffwhere", "lib/parse"])}`,
  });
const fileToLink: Change = (files, random) => {
  const path = pickPath(files, random, isText);
  if (path !== null) files.set(path, { mode: "120000", content: `to-${random.int(9)}` });
};
const fileToDirectory: Change = (files, random) => {
  const path = pickPath(files, random, (each, entry) => isText(each, entry) && each.length < 200);
  if (path !== null) place(files, `${path}/inside${random.int(3)}.txt`, { mode: "100644", content: text(random, 12) });
};
const directoryToFile: Change = (files, random) => {
  const path = pickPath(files, random, (each) => each.split("/").length > 3);
  if (path !== null) place(files, directoryOf(path), { mode: "100644", content: text(random, 12) });
};

const attributes: Change = (files, random) =>
  place(files, ".gitattributes", { mode: "100644", content: random.pick(attributesLater) });
const nestedAttributes: Change = (files, random) => {
  const near = random.chance(0.4)
    ? "odd caf\xe9/caf\xe9/x"
    : (pickPath(files, random, (path) => path.includes("/")) ?? "src/x");
  const path = `${directoryOf(near)}/.gitattributes`;
  if (files.has(path) && random.chance(0.3)) files.delete(path);
  else place(files, path, { mode: "100644", content: random.pick(attributesNested) });
};
/** What `git add --renormalize` commits: an attribute says that the old files are text, and they lose their carriage returns. */
const renormalize: Change = (files) => {
  place(files, "legacy/.gitattributes", { mode: "100644", content: renormalized });
  asTheirAttributesSay(files);
};
const renormalized = "*.txt text\n";

/**
 * Takes the carriage returns out of what a .gitattributes calls text, as `git add` would. A tree that breaks this looks modified in every
 * checkout of it, and `git merge` refuses, or not, by whether a file and the index were written in the same second.
 */
export function asTheirAttributesSay(files: Map<string, Entry>): void {
  const places = [...files].filter(
    ([path, entry]) => entry.content === renormalized && path.endsWith("/.gitattributes"),
  );
  for (const [place] of places) {
    for (const [path, entry] of files) {
      if (!path.startsWith(`${directoryOf(place)}/`) || !path.endsWith(".txt") || !entry.content.includes("\r"))
        continue;
      files.set(path, { ...entry, content: entry.content.replaceAll("\r\n", "\n") });
    }
  }
}

const bumpSubmodule: Change = (files, random, submodule) =>
  place(files, `vendor/dep${random.int(3)}`, { mode: "160000", content: random.pick(submodule) });
const dropSubmodule: Change = (files, random) => {
  const path = pickPath(files, random, (_, entry) => entry.mode === "160000");
  if (path !== null) files.delete(path);
};

/** Every kind of change with how often it happens. */
const kinds: readonly (readonly [weight: number, change: Change])[] = [
  [30, editText],
  [6, editOdd],
  [8, editShared],
  [3, editBinary],
  [8, add],
  [2, addBinary],
  [3, remove],
  [7, rename],
  [2, renameDirectory],
  [3, flipMode],
  [2, relink],
  [1, fileToLink],
  [1, fileToDirectory],
  [1, directoryToFile],
  [2, attributes],
  [4, nestedAttributes],
  [0.4, renormalize],
  [2, bumpSubmodule],
  [0.4, dropSubmodule],
];
const deck: readonly Change[] = kinds.flatMap(([weight, change]) => Array.from({ length: weight * 10 }, () => change));

/** The work of one commit. */
export function develop(files: Map<string, Entry>, random: Random, submodule: readonly string[]): void {
  for (let left = 1 + random.int(4); left > 0; left--) random.pick(deck)(files, random, submodule);
  asTheirAttributesSay(files);
}
