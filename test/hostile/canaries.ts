import { join } from "node:path";
import { writeFiles } from "../helpers/repo.ts";
import type { World } from "./world.ts";

/**
 * One thing that an agent can leave behind so that a program of its choice runs: how it is planted, and the plain git that sets it off. A
 * canary that plain git does not set off proves nothing, so each is first shown to fire.
 */
export type Canary = {
  readonly name: string;
  readonly plant: (world: World) => void;
  readonly provoke: (world: World) => void;
};

/** A key of the repository's own configuration, and the line that makes git run what it names. */
const key = (name: string, line: string, value = (canary: string) => canary): Canary => ({
  name,
  plant: ({ repo, canary }) => repo.git("config", name, value(canary)),
  provoke: ({ type }) => type(line),
});

/** The same, with other keys that it needs to be looked at. */
const keys = (settings: Record<string, string>, ...rest: Parameters<typeof key>): Canary => {
  const one = key(...rest);
  return {
    ...one,
    plant(world) {
      for (const [name, value] of Object.entries(settings)) world.repo.git("config", name, value);
      one.plant(world);
    },
  };
};

/** A key for the driver `odd`, with the attribute that asks for it. */
const driver = (kind: string, ...rest: Parameters<typeof key>): Canary => {
  const one = key(...rest);
  return {
    name: `${one.name}, asked for by an attribute`,
    plant(world) {
      writeFiles(join(world.repo.path, ".git"), { "info/attributes": `* ${kind}=odd\n` });
      one.plant(world);
    },
    provoke: one.provoke,
  };
};

const terminal = (line: string) => `script -qec '${line}' /dev/null`;
const credential = "printf 'protocol=https\\nhost=x.invalid\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill";

const configuration: readonly Canary[] = [
  key("core.fsmonitor", "git status"),
  key("core.editor", "git commit --allow-empty"),
  key("sequence.editor", "git stash -q; git rebase -i --root"),
  key("core.pager", terminal("git log")),
  key("pager.status", terminal("git status")),
  key("core.sshCommand", "git ls-remote ssh://x.invalid/x"),
  key("core.gitProxy", "git ls-remote git://x.invalid/x"),
  key("core.askPass", credential),
  key("credential.helper", credential),
  key("diff.external", "git diff"),
  keys({ "commit.gpgSign": "true" }, "gpg.program", "git commit --allow-empty -m x"),
  keys({ "tag.gpgSign": "true" }, "gpg.openpgp.program", "git tag -m x x"),
  keys(
    { "commit.gpgSign": "true", "gpg.format": "ssh", "user.signingKey": "key::ssh-ed25519 AAAA" },
    "gpg.ssh.program",
    "git commit --allow-empty -m x",
  ),
  key("alias.anything", "git anything", (canary) => `!${canary}`),
  key("remote.origin.uploadpack", "git ls-remote origin"),
  key("remote.origin.receivepack", "git push origin main:other"),
  keys({ "protocol.ext.allow": "always" }, "remote.origin.url", "git ls-remote origin", (canary) => `ext::${canary}`),
  keys(
    { "protocol.ext.allow": "always" },
    "remote.origin.pushurl",
    "git push origin main:x",
    (canary) => `ext::${canary}`,
  ),
  {
    name: "url.ext::….insteadOf",
    plant({ repo, remote, canary }) {
      repo.git("config", "protocol.ext.allow", "always");
      repo.git("config", `url.ext::${canary} .insteadOf`, remote.path);
    },
    provoke: ({ type }) => type("git ls-remote origin"),
  },
  {
    name: "an URL that looks like an option",
    plant: ({ repo, canary }) => repo.git("config", "remote.origin.url", `--upload-pack=${canary}`),
    provoke: ({ type, repo, canary }) => type(`git ls-remote '--upload-pack=${canary}' '${repo.dir}/origin.git'`),
  },
  key("trailer.x.command", "echo body | git interpret-trailers --trailer x=y"),
  key("tar.x.command", "git archive --format=x HEAD"),
  keys(
    { "merge.tool": "x" },
    "mergetool.x.cmd",
    "git stash -q; git checkout -q -b x; echo 1 > a.odd; git commit -qam x; git merge cart/developer; yes | git mergetool -y",
  ),
  keys({ "diff.tool": "x" }, "difftool.x.cmd", "git difftool -y"),
  {
    name: "core.alternateRefsCommand",
    plant({ repo, remote, canary }) {
      writeFiles(join(repo.path, ".git"), { "objects/info/alternates": `${remote.path}/objects\n` });
      repo.git("config", "core.alternateRefsCommand", canary);
    },
    provoke: ({ type }) => type("git rev-list --alternate-refs"),
  },
  driver("diff", "diff.odd.command", "git diff"),
  driver("diff", "diff.odd.textconv", "git diff"),
  driver("filter", "filter.odd.clean", "git add README.md"),
  driver("filter", "filter.odd.smudge", "git checkout -f README.md"),
  driver("filter", "filter.odd.process", "git add README.md"),
  driver("merge", "merge.odd.driver", "git stash -q; echo 1 > b.txt; git commit -qam x; git merge cart/developer"),
  {
    name: "include.path",
    plant({ repo, canary }) {
      writeFiles(join(repo.path, ".git"), { evil: `[core]\n\tfsmonitor = ${canary}\n` });
      repo.git("config", "include.path", "evil");
    },
    provoke: ({ type }) => type("git status"),
  },
  {
    name: "config.worktree of the agent",
    plant({ repo, agent, canary }) {
      repo.git("config", "extensions.worktreeConfig", "true");
      agent.git("config", "--worktree", "core.fsmonitor", canary);
    },
    provoke: ({ type }) => type("git status", "agent"),
  },
];

/** A hook of githooks(5), and the line that fires it. */
const hook = (name: string, line: string): Canary => ({
  name: `hook ${name}`,
  plant: ({ repo, canary }) =>
    repo.write({ [`.git/hooks/${name}`]: { program: `#!/bin/sh\nexec '${canary}' ${name}\n` } }),
  provoke: ({ type }) => type(line),
});

const branches = "git stash -q; git checkout -q -b x; git commit -q --allow-empty -m x";
const patch = "git stash -q; git format-patch -q -1 --stdout cart/developer > ../p; git am ../p";

const hooks: readonly Canary[] = [
  ...["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"].map((name) =>
    hook(name, "git commit --allow-empty -m x"),
  ),
  ...["pre-merge-commit", "post-merge"].map((name) => hook(name, `${branches}; git merge --no-edit cart/developer`)),
  hook("post-checkout", "git checkout -q -b x"),
  hook("pre-push", "git push origin main:x"),
  hook("reference-transaction", "git branch x"),
  hook("post-index-change", "git add README.md"),
  hook("pre-rebase", `${branches}; git rebase cart/developer`),
  hook("post-rewrite", "git commit --amend --no-edit --allow-empty"),
  ...["applypatch-msg", "pre-applypatch", "post-applypatch"].map((name) => hook(name, patch)),
  hook("pre-receive", "git push . main:x"),
  hook("update", "git push . main:x"),
  hook("post-receive", "git push . main:x"),
  hook("post-update", "git push . main:x"),
  {
    name: "core.hooksPath",
    plant({ repo, canary }) {
      writeFiles(repo.dir, { "hooks/post-index-change": { program: `#!/bin/sh\nexec '${canary}'\n` } });
      repo.git("config", "core.hooksPath", join(repo.dir, "hooks"));
    },
    provoke: ({ type }) => type("git add README.md"),
  },
  {
    name: "core.fsmonitor that is a hook",
    plant({ repo, canary }) {
      repo.write({ ".git/hooks/fsmonitor-watchman": { program: `#!/bin/sh\nexec '${canary}'\n` } });
      repo.git("config", "core.fsmonitor", ".git/hooks/fsmonitor-watchman");
    },
    provoke: ({ type }) => type("git status"),
  },
];

/** Files of the agent's worktree that lead a git which runs there to another repository's configuration. */
const forged: readonly Canary[] = [
  {
    name: "a .git file that points elsewhere",
    plant: (world) => writeFiles(world.agent.path, { ".git": `gitdir: ${otherRepository(world)}\n` }),
    provoke: ({ type }) => type("git status", "agent"),
  },
  {
    name: "a commondir file that points elsewhere",
    plant(world) {
      const admin = world.agent.git("rev-parse", "--absolute-git-dir");
      const other = otherRepository(world);
      writeFiles(admin, { commondir: `${other}\n` });
    },
    provoke: ({ type }) => type("git status", "agent"),
  },
  {
    name: "a .git directory in the worktree's place",
    plant(world) {
      const other = otherRepository(world);
      world.type(`rm .git && cp -r '${other}' .git`, "agent");
    },
    provoke: ({ type }) => type("git status", "agent"),
  },
];

/** A git directory whose configuration names the canary, with the same commits. */
function otherRepository({ repo, agent, canary }: World): string {
  const path = join(repo.dir, "other");
  repo.git("clone", "-q", "--bare", repo.path, path);
  repo.git("--git-dir", path, "config", "core.fsmonitor", canary);
  repo.git("--git-dir", path, "config", "core.bare", "false");
  repo.git("--git-dir", path, "update-ref", "--no-deref", "HEAD", agent.head());
  return path;
}

export const canaries: readonly Canary[] = [...configuration, ...hooks, ...forged];
