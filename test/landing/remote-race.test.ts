import { describe, expect, test } from "vitest";
import { queueOf, tick, waitsOver } from "../helpers/landing.ts";
import { colleague, gitWrapper, makeRepo, refsOf, withProject, withRemote } from "../helpers/repo.ts";

describe("a remote that moves between our look and our push", () => {
  /** A colleague who pushes at the very moment of our first push; `times` of our pushes are beaten so. */
  function racing(times: number) {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    const other = colleague(remote);
    const identity = "-c user.name=C -c user.email=c@example.com";
    const clean = `env -i PATH="$PATH" git -C '${other.path}'`;
    const push = `${clean} pull -q --rebase && ${clean} ${identity} commit -q --allow-empty -m "theirs $n" && ${clean} push -q origin HEAD:main`;
    const script = `PATH='${process.env["PATH"]}'
for n in ${Array.from({ length: times }, (_, n) => n).join(" ")}; do
  if [ "$1" = push ] && mkdir '${repo.dir}/once'$n 2>/dev/null; then ${push}; break; fi
done`;
    return { repo, remote, spec, env: gitWrapper(repo.dir, script) };
  }

  test("is taken in, and pushed in the same tick", async () => {
    const { repo, remote, spec, env } = racing(1);
    const db = await queueOf(repo, spec);
    const done = await tick(db, [], { env });
    expect(done.of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(remote.git("log", "--format=%s", "main")).toContain("theirs 0");
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
    expect(Object.keys(refsOf(remote, "refs/tags"))).toHaveLength(1);
    expect(repo.git("status", "--porcelain")).toBe("");
  });

  test("every time is left pending after a few rounds, and pushed later", async () => {
    const { repo, remote, spec, env } = racing(9);
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], { env })).of(1)).toMatchObject({ outcome: "merged", push: "pending" });
    await waitsOver(db);
    expect((await tick(db)).report.pushes[0]).toMatchObject({ state: "pushed" });
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
    expect(Object.keys(refsOf(remote, "refs/tags"))).toHaveLength(1);
  });

  test("whose answer to a push is lost is asked what it holds: that is pushed", async () => {
    const repo = makeRepo();
    const remote = withRemote(repo);
    const { spec } = withProject(repo, "cart");
    const real = `PATH='${process.env["PATH"]}' git`;
    const env = gitWrapper(repo.dir, `if [ "$1" = push ]; then ${real} "$@" >/dev/null 2>&1; exit 128; fi`);
    const db = await queueOf(repo, spec);
    expect((await tick(db, [], { env })).of(1)).toMatchObject({ outcome: "merged", push: "pushed" });
    expect(remote.git("rev-parse", "main")).toBe(repo.head());
  });
});

describe("a remote", () => {
  test.each(["ls-remote", "push"])(
    "that does not answer (%s) is given up at [push] timeout: landed, pending",
    async (command) => {
      const repo = makeRepo();
      const remote = withRemote(repo);
      const { spec } = withProject(repo, "cart");
      const env = gitWrapper(repo.dir, `if [ "$1" = ${command} ]; then sleep 300; fi`);
      const db = await queueOf(repo, spec);
      const done = await tick(db, [], { env, config: `[push]\ntimeout = "500ms"\n` });
      expect(done.of(1)).toMatchObject({ outcome: "merged", push: "pending" });
      expect(repo.read("cart-developer.txt")).toBe("done\n");
      await waitsOver(db);
      expect((await tick(db)).report.pushes[0]).toMatchObject({ state: "pushed" });
      expect(remote.git("rev-parse", "main")).toBe(repo.head());
    },
  );

  test("that is somebody's checkout of the target refuses, and stays as it is", async () => {
    const repo = makeRepo();
    const theirs = makeRepo({ dir: repo.dir, name: "theirs", unborn: true });
    theirs.git("pull", "-q", repo.path, "main");
    repo.git("remote", "add", "origin", theirs.path);
    const { spec } = withProject(repo, "cart");
    const before = [refsOf(theirs), theirs.git("status", "--porcelain")];
    const db = await queueOf(repo, spec);
    expect((await tick(db)).of(1)).toMatchObject({ outcome: "merged", push: "refused" });
    expect([refsOf(theirs), theirs.git("status", "--porcelain")]).toEqual(before);
  });
});
