import { asTheirAttributesSay, develop } from "./changes.ts";
import { type Entry, type Files, firstFiles } from "./files.ts";
import { type Random, seeded } from "./random.ts";

/** One commit of the made-up history; its number is its place in the list, parents come before it. */
export type Commit = { readonly parents: readonly number[]; readonly files: Files };

/** Heads that land on a target one after the other, as git would be told to merge them. Numbers of commits. */
export type Landing = { readonly target: number; readonly heads: readonly number[] };

/**
 * Makes a history of `commits` commits on a dozen branches that fork, merge each other and cross. The same seed gives the same history.
 * `submodule` are the commits that a submodule may stand at.
 */
export function makeHistory(
  seed: number,
  options: { commits: number; files: number; submodule: readonly string[] },
): Commit[] {
  const random = seeded(seed);
  const history: Commit[] = [{ parents: [], files: firstFiles(random, options.files) }];
  const tips: number[] = Array.from({ length: 12 }, () => 0);
  const tip = (branch: number) => tips[branch] ?? 0;
  const commit = (parents: number[], files: Files): number => history.push({ parents, files }) - 1;
  const merge = (into: number, from: number) => commit([into, from], combine(history, into, from, random));
  while (history.length < options.commits) {
    const branch = random.int(tips.length);
    const other = (branch + 1 + random.int(tips.length - 1)) % tips.length;
    const [mine, theirs] = [tip(branch), tip(other)];
    const files = history[mine]?.files ?? new Map();
    if (random.chance(0.03)) {
      tips[branch] = commit([mine], files); // an empty commit
    } else if (random.chance(0.06) && mine !== theirs) {
      // Criss-cross: each takes the other in as it was, so that later merges have two bases that differ.
      tips[branch] = merge(mine, theirs);
      tips[other] = merge(theirs, mine);
    } else if (random.chance(0.1) && mine !== theirs) {
      tips[branch] = merge(mine, theirs);
    } else if (random.chance(0.12)) {
      tips[branch] = tip(0); // a new topic begins
    } else {
      const next = new Map(files);
      develop(next, random, options.submodule);
      tips[branch] = commit([mine], next);
    }
  }
  return history;
}

/** Picks what to merge: pairs of branches that have parted, some near, some far apart; chains of two or three heads among them. */
export function pickLandings(seed: number, history: readonly Commit[], merges: number): Landing[] {
  const random = seeded(seed);
  const ancestors = ancestry(history);
  const parted = (a: number, b: number) => a !== b && !ancestors[a]?.has(b) && !ancestors[b]?.has(a);
  const landings: Landing[] = [];
  let left = merges;
  while (left > 0) {
    const target = 20 + random.int(history.length - 20);
    const reach = random.pick([8, 20, 60]);
    const heads: number[] = [];
    const wanted = Math.min(left, random.pick([1, 1, 1, 2, 3]));
    for (let tries = 0; tries < 60 && heads.length < wanted; tries++) {
      const head = target - reach + random.int(2 * reach);
      if (head > 0 && head < history.length && parted(target, head) && heads.every((one) => parted(one, head)))
        heads.push(head);
    }
    if (heads.length === 0) continue;
    landings.push({ target, heads });
    left -= heads.length;
  }
  // Neighbours in the history differ little: a checkout that goes from one to the next has less to write.
  return landings.sort((a, b) => a.target - b.target);
}

/** For every commit all that it contains, itself too. */
function ancestry(history: readonly Commit[]): Set<number>[] {
  const found: Set<number>[] = [];
  history.forEach(({ parents }, number) => {
    const all = new Set([number]);
    for (const parent of parents) for (const each of found[parent] ?? []) all.add(each);
    found.push(all);
  });
  return found;
}

/** What a developer makes of a merge: path by path the side that changed; where both did, one of them, as people do. */
function combine(history: readonly Commit[], ours: number, theirs: number, random: Random): Files {
  const base = history[commonAncestor(history, ours, theirs)]?.files ?? new Map<string, Entry>();
  const [mine, yours] = [history[ours]?.files ?? base, history[theirs]?.files ?? base];
  const merged = new Map<string, Entry>();
  for (const path of new Set([...mine.keys(), ...yours.keys()])) {
    const [was, a, b] = [base.get(path), mine.get(path), yours.get(path)];
    const chosen = same(a, b) || same(was, b) ? a : same(was, a) ? b : random.chance(0.5) ? a : b;
    if (chosen !== undefined) merged.set(path, chosen);
  }
  // A file and a directory of one name: the file gives way.
  const directories = new Set([...merged.keys()].flatMap((path) => prefixes(path)));
  for (const path of [...merged.keys()]) if (directories.has(path)) merged.delete(path);
  asTheirAttributesSay(merged);
  return merged;
}

const same = (a: Entry | undefined, b: Entry | undefined) => a?.mode === b?.mode && a?.content === b?.content;

function prefixes(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}

function commonAncestor(history: readonly Commit[], a: number, b: number): number {
  const seen = new Set<number>();
  const walk = [a];
  for (let at = walk.pop(); at !== undefined; at = walk.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    walk.push(...(history[at]?.parents ?? []));
  }
  const queue = [b];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    if (seen.has(at)) return at;
    queue.push(...(history[at]?.parents ?? []));
  }
  return 0;
}

/**
 * The history as `git fast-import` reads it (git-fast-import(1)); commit n has mark n + 1 and is kept by refs/history/n. A commit that
 * shares no history with them is kept by refs/elsewhere: it has nothing but attributes, with which every file would merge otherwise.
 */
export function fastImport(history: readonly Commit[]): Buffer {
  const out: string[] = [];
  history.forEach(({ parents, files }, number) => {
    const when = `${1_600_000_000 + number * 60} +0000`;
    const message = `commit ${number}\n`;
    out.push(`commit refs/history/${number}\nmark :${number + 1}\n`);
    out.push(`author A Developer <a@example.com> ${when}\ncommitter A Developer <a@example.com> ${when}\n`);
    out.push(`data ${message.length}\n${message}`);
    parents.forEach((parent, index) => {
      out.push(`${index === 0 ? "from" : "merge"} :${parent + 1}\n`);
    });
    const before = parents[0] === undefined ? new Map<string, Entry>() : (history[parents[0]]?.files ?? new Map());
    // All deletions first: a directory may have made room for a file.
    for (const path of before.keys()) if (!files.has(path)) out.push(`D ${quoted(path)}\n`);
    for (const [path, entry] of files) {
      if (same(entry, before.get(path))) continue;
      if (entry.mode === "160000") out.push(`M 160000 ${entry.content} ${quoted(path)}\n`);
      else out.push(`M ${entry.mode} inline ${quoted(path)}\ndata ${entry.content.length}\n${entry.content}\n`);
    }
    out.push("\n");
  });
  const everyLine = "* merge=union\n";
  out.push("commit refs/elsewhere\ncommitter A Developer <a@example.com> 1600000000 +0000\ndata 10\nelsewhere\n");
  out.push(`M 100644 inline .gitattributes\ndata ${everyLine.length}\n${everyLine}\n`);
  return Buffer.from(out.join(""), "latin1");
}

/** A path in C style, every byte that is not plain as three octal digits. */
function quoted(path: string): string {
  const plain = [...path].map((c) =>
    /[A-Za-z0-9./_-]/.test(c) ? c : `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`,
  );
  return `"${plain.join("")}"`;
}
