import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Agent, makeRepo, type Repo, type Tree, withProject, withRemote, writeFiles } from "../helpers/repo.ts";

/** A project with a remote and an agent's finished worktree; every path that has a driver in it is changed by the agent. */
export type World = {
  readonly repo: Repo;
  readonly remote: Tree;
  readonly agent: Agent;
  readonly spec: string;
  /** A program that leaves a mark when it runs; `args` are its own business. */
  readonly canary: string;
  /** Types a line into a shell, in the project or the agent's worktree, as a person with plain git would. */
  type(line: string, where?: "repo" | "agent"): void;
  fired(): boolean;
};

const identity = {
  GIT_AUTHOR_NAME: "Pat",
  GIT_AUTHOR_EMAIL: "p@example.com",
  GIT_COMMITTER_NAME: "Pat",
  GIT_COMMITTER_EMAIL: "p@example.com",
};

export function makeWorld(): World {
  const repo = makeRepo({
    files: { "README.md": "start\n", "a.odd": "a\n", "b.txt": "b\n", ".gitattributes": "*.odd diff=odd\n" },
  });
  const remote = withRemote(repo);
  const { spec, agent } = withProject(repo, "cart", { files: { "a.odd": "agent\n", "b.txt": "agent\n" } });
  repo.write({ "README.md": "edited, so that somebody has to look\n" });
  const mark = join(repo.dir, "fired");
  writeFiles(repo.dir, { canary: { program: `#!/bin/sh\necho "$0 $*" >> '${mark}'\n` } });
  return {
    repo,
    remote,
    agent,
    spec,
    canary: join(repo.dir, "canary"),
    type(line, where = "repo") {
      const cwd = where === "repo" ? repo.path : agent.path;
      const env = {
        PATH: process.env["PATH"],
        HOME: "/nonexistent",
        GIT_CONFIG_NOSYSTEM: "1",
        TERM: "xterm",
        ...identity,
      };
      spawnSync("sh", ["-c", line], { cwd, env, stdio: ["ignore", "ignore", "ignore"], timeout: 20_000 });
    },
    fired: () => existsSync(mark) && readFileSync(mark, "utf8") !== "",
  };
}
