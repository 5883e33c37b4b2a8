import { readFileSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import { isThere, makeRepo, type Repo, withProject, writeFiles } from "../helpers/repo.ts";

/** A program that leaves its name in `<dir>/fired` and fails. */
const canary = (dir: string, name: string) => ({ program: `#!/bin/sh\necho ${name} >> '${dir}/fired'\nexit 1\n` });
const fired = (repo: Repo) =>
  isThere(join(repo.dir, "fired")) ? readFileSync(join(repo.dir, "fired"), "utf8").trim().split("\n") : [];

describe("a changed path that needs a driver", () => {
  const driver = (repo: Repo) => join(repo.dir, "bin/driver");
  const global = (repo: Repo, text: string) => {
    writeFiles(repo.dir, { "home/.gitconfig": text });
    return { env: { HOME: join(repo.dir, "home") } };
  };
  /** A project that changes a.up, whose filter (upper case in the work tree) or merge driver (takes theirs) is somebody's. */
  function needs(kind: "filter" | "merge") {
    const repo = makeRepo({ files: { ".gitattributes": `*.up ${kind}=mine\n`, "a.up": "a\n", "b.txt": "b\n" } });
    const { spec } = withProject(repo, "cart", { files: { "a.up": "agent\n" } });
    if (kind === "merge") repo.commit({ "a.up": "main\n" });
    const cases = `case $1 in smudge) tr a-z A-Z;; clean) tr A-Z a-z;; merge) cat "$3" > "$2";; esac`;
    writeFiles(repo.dir, { "bin/driver": { program: `#!/bin/sh\necho ran >> '${repo.dir}/fired'\n${cases}\n` } });
    const config: Record<string, string> =
      kind === "merge"
        ? { "merge.mine.driver": `${driver(repo)} merge %A %B` }
        : { "filter.mine.smudge": `${driver(repo)} smudge`, "filter.mine.clean": `${driver(repo)} clean` };
    const define = () => Object.entries(config).map(([key, value]) => repo.git("config", key, value));
    return { repo, spec, define, value: config["merge.mine.driver"] ?? "" };
  }

  test.each(["filter", "merge"] as const)(
    "which only the repository's own configuration defines (%s) is repository_untrusted",
    async (kind) => {
      const { repo, spec, define } = needs(kind);
      define();
      const fine = withProject(repo, "fine", { from: "main", files: { "b.txt": "B\n" } });
      utimesSync(join(fine.agent.path, "a.up"), 1, 1); // older than the index, as files are that nobody touched for a second
      fine.agent.git("update-index", "-q", "--refresh");
      rmSync(join(repo.dir, "fired"), { force: true });
      const before = repo.git("rev-parse", "main");
      const db = await queueOf(repo, spec, fine.spec);
      const done = await tick(db);
      expect(done.of(1)).toMatchObject({ outcome: "merge_failed", reason: "repository_untrusted" });
      expect(done.of(1).detail).toMatch(new RegExp(`a\\.up.*${kind}\\.mine`));
      expect(done.of(2).outcome).toBe("merged");
      expect(repo.git("rev-parse", "main~1")).toBe(before);
      expect(fired(repo)).toEqual([]);
    },
  );

  test("and a rule that trusts: the filter is run", async () => {
    const { repo, spec, define } = needs("filter");
    define();
    const db = await queueOf(repo, spec);
    const done = await tick(db, [], { config: `[[rule]]\nmatch = { path = "${repo.dir}/**" }\ntrust = true\n` });
    expect(done.of(1)).toMatchObject({ outcome: "merged" });
    expect(repo.read("a.up")).toBe("AGENT\n");
  });

  test("and a rule that trusts: the merge driver decides", async () => {
    const { repo, spec, define } = needs("merge");
    define();
    const db = await queueOf(repo, spec);
    const done = await tick(db, [], { config: `[[rule]]\nmatch = { name = "cart" }\ntrust = true\n` });
    expect(done.of(1)).toMatchObject({ outcome: "merged" });
    expect(repo.show("a.up")).toBe("agent");
  });

  test("which the user's global configuration defines is used", async () => {
    const { repo, spec, value } = needs("merge");
    const db = await queueOf(repo, spec);
    const done = await tick(db, [], global(repo, `[merge "mine"]\n\tdriver = ${value}\n`));
    expect(done.of(1)).toMatchObject({ outcome: "merged" });
    expect(repo.show("a.up")).toBe("agent");
    expect(fired(repo)).not.toEqual([]);
  });

  test("which the global configuration defines and the repository's redefines: the global one is used", async () => {
    const { repo, spec, value } = needs("merge");
    writeFiles(repo.dir, { "bin/planted": canary(repo.dir, "planted") });
    repo.git("config", "merge.mine.driver", join(repo.dir, "bin/planted"));
    const db = await queueOf(repo, spec);
    const done = await tick(db, [], global(repo, `[merge "mine"]\n\tdriver = ${value}\n`));
    expect(fired(repo)).not.toContain("planted");
    expect(["merged", "merge_failed"]).toContain(done.of(1).outcome);
    if (done.of(1).outcome === "merged") expect(repo.show("a.up")).toBe("agent");
  });

  test.each([
    ["clean and smudge: the global ones write the checkout", ["smudge", "clean"], "merged"],
    ["process, which would hide the global ones: repository_untrusted", ["process"], "repository_untrusted"],
  ])("a filter of the global configuration, redefined by the repository: %s", async (_what, planted, outcome) => {
    const { repo, spec } = needs("filter");
    writeFiles(repo.dir, { "bin/planted": canary(repo.dir, "planted") });
    for (const key of planted) repo.git("config", `filter.mine.${key}`, join(repo.dir, "bin/planted"));
    const mine = `[filter "mine"]\n\tsmudge = ${driver(repo)} smudge\n\tclean = ${driver(repo)} clean\n`;
    const db = await queueOf(repo, spec);
    const done = (await tick(db, [], global(repo, mine))).of(1);
    expect(done.reason ?? done.outcome).toBe(outcome);
    expect(repo.read("a.up")).toBe(outcome === "merged" ? "AGENT\n" : "a\n");
    expect(fired(repo)).not.toContain("planted");
  });

  test("which the agent brings the attribute for, in its own commit, is untrusted all the same", async () => {
    const repo = makeRepo();
    repo.git("config", "filter.mine.smudge", driver(repo));
    writeFiles(repo.dir, { "bin/driver": canary(repo.dir, "smudge") });
    const { spec } = withProject(repo, "cart", { files: { ".gitattributes": "*.up filter=mine\n", "a.up": "a\n" } });
    rmSync(join(repo.dir, "fired"), { force: true });
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merge_failed", reason: "repository_untrusted" });
    expect(fired(repo)).toEqual([]);
  });

  test("which nothing defines is no driver: the path merges as text", async () => {
    const { repo, spec } = needs("filter");
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1).outcome).toBe("merged");
    expect(repo.read("a.up")).toBe("agent\n");
  });
});
