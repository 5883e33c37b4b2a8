import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import {
  isThere,
  makeRepo,
  type Repo,
  refsOf,
  withClone,
  withProject,
  withRemote,
  writeFiles,
  writeSpec,
} from "../helpers/repo.ts";

/** Every client-side hook of githooks(5) that a commit, merge, checkout, push or ref update may start. */
const hooks = [
  "applypatch-msg pre-commit pre-merge-commit prepare-commit-msg commit-msg post-commit post-checkout post-merge",
  "pre-push reference-transaction pre-auto-gc post-rewrite post-index-change pre-rebase fsmonitor-watchman",
].flatMap((line) => line.split(" "));

/** A program that leaves its name in `<dir>/fired` and fails. */
const canary = (dir: string, name: string) => ({ program: `#!/bin/sh\necho ${name} >> '${dir}/fired'\nexit 1\n` });
const fired = (repo: Repo) =>
  isThere(join(repo.dir, "fired")) ? readFileSync(join(repo.dir, "fired"), "utf8").trim().split("\n") : [];

function withHooks(repo: Repo, path: string): void {
  writeFiles(path, Object.fromEntries(hooks.map((name) => [name, canary(repo.dir, name)])));
}

describe("nothing that a repository plants is run", () => {
  test("hooks that would fail neither fire nor stop a landing, and nothing stays staged", async () => {
    const repo = makeRepo();
    withRemote(repo);
    const { spec } = withProject(repo, "cart");
    withHooks(repo, join(repo.path, ".git/hooks"));
    expect(() => repo.commit({})).toThrow();
    expect(fired(repo)).toContain("pre-commit"); // they would
    rmSync(join(repo.dir, "fired"));
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(fired(repo)).toEqual([]);
    repo.git("config", "core.hooksPath", "/dev/null");
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("hooks of core.hooksPath neither, in the project, a worktree and a clone", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const other = writeSpec(repo, "other.md");
    const clone = withClone(repo, other);
    withHooks(repo, join(repo.dir, "hooks"));
    withHooks(repo, join(clone.path, ".git/hooks"));
    repo.git("config", "core.hooksPath", join(repo.dir, "hooks"));
    expect(() => agent.commit({})).toThrow();
    expect(fired(repo)).toContain("pre-commit");
    rmSync(join(repo.dir, "fired"));
    const db = await queueOf(repo, spec, other);
    expect((await tick(db)).report.summary.merged).toBe(2);
    expect(fired(repo)).toEqual([]);
  });

  test("programs that the repository's configuration names", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    repo.write({ "README.md": "edited, so that somebody has to look\n" });
    writeFiles(repo.dir, { "bin/canary": canary(repo.dir, "program") });
    const program = join(repo.dir, "bin/canary");
    const keys = [
      "core.fsmonitor",
      "core.pager",
      "core.editor",
      "core.alternateRefsCommand",
      "diff.external",
      "gpg.program",
    ];
    for (const key of [...keys, "core.sshCommand", "core.askPass", "credential.helper", "uploadpack.packObjectsHook"]) {
      repo.git("config", key, program);
    }
    for (const key of ["uploadpack", "receivepack"]) repo.git("config", `remote.origin.${key}`, program);
    for (const key of ["commit.gpgSign", "tag.gpgSign", "merge.verifySignatures", "merge.autoStash"])
      repo.git("config", key, "true");
    expect(() => repo.git("commit", "-q", "--allow-empty", "-m", "signed")).toThrow();
    expect(fired(repo)).toContain("program"); // they would
    rmSync(join(repo.dir, "fired"));
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(fired(repo)).toEqual([]);
    expect(remote.git("rev-parse", "main")).toBe(repo.git("rev-parse", "main"));
  });

  test.each(["url", "pushurl"])("a remote whose %s is made to look like an option", async (key) => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    const planted = (option: string) => `--${option}=:;echo option >> '${repo.dir}/fired';`;
    expect(() => repo.git("ls-remote", planted("upload-pack"), remote.path)).toThrow();
    expect(fired(repo)).toContain("option"); // it would
    rmSync(join(repo.dir, "fired"));
    repo.git("config", `remote.origin.${key}`, planted(key === "url" ? "upload-pack" : "receive-pack"));
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "pending" });
    expect(fired(repo)).toEqual([]);
  });

  test("variables of the caller that would lead git elsewhere", async () => {
    const repo = makeRepo();
    const elsewhere = makeRepo({ dir: repo.dir, name: "elsewhere" });
    const { spec } = withProject(repo, "cart");
    const before = refsOf(elsewhere);
    writeFiles(repo.dir, { "bin/canary": canary(repo.dir, "variable") });
    const program = join(repo.dir, "bin/canary");
    const env = {
      GIT_DIR: join(elsewhere.path, ".git"),
      GIT_WORK_TREE: elsewhere.path,
      GIT_INDEX_FILE: join(elsewhere.path, ".git/index"),
      GIT_OBJECT_DIRECTORY: join(elsewhere.path, ".git/objects"),
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "core.fsmonitor",
      GIT_CONFIG_VALUE_0: program,
      GIT_SSH_COMMAND: program,
      GIT_EXTERNAL_DIFF: program,
    };
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], { env })).of(1).outcome).toBe("merged");
    expect(repo.show("cart-developer.txt")).toBe("done");
    expect(refsOf(elsewhere)).toEqual(before);
    expect(fired(repo)).toEqual([]);
  });

  test("a worktree whose .git file was forged is not believed", async () => {
    const repo = makeRepo();
    const { spec, agent } = withProject(repo, "cart");
    const forged = makeRepo({ dir: repo.dir, name: "forged" });
    writeFiles(repo.dir, { "bin/canary": canary(repo.dir, "forged") });
    forged.git("config", "core.fsmonitor", join(repo.dir, "bin/canary"));
    expect(() => forged.git("status")).not.toThrow();
    expect(fired(repo)).toContain("forged"); // it would
    rmSync(join(repo.dir, "fired"));
    const oid = agent.head();
    rmSync(join(agent.path, ".git"));
    writeFiles(agent.path, { ".git": `gitdir: ${forged.path}/.git\n` });
    const db = await queueOf(repo, spec);
    const done = await tick(db);
    expect(fired(repo)).toEqual([]);
    expect(done.of(1).heads.filter((head) => head.oid !== oid)).toEqual([]);
    expect(forged.git("-c", "core.fsmonitor=false", "rev-list", "--count", "main")).toBe("1");
  });
});
