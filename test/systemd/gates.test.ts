import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canOpenLab, type Lab, openLab } from "./lab.ts";

/* Gates of a run that is a unit of systemd: units of their own, with limits of their own, which end when it ends. */

const service = "tmux-orchestrator-auto-merge.service";

let lab: Lab;

/** A repository with a finished branch in the queue, and a gate for everything. */
const project = (title: string, script: string): string => `
mkdir -p ~/.config/orchestrator-merge
cat > ~/.config/orchestrator-merge/config.toml <<'END'
[gate]
command = ["sh", "-c", ${JSON.stringify(script)}, "sh", "$HOME \${HOME} %h $$"]
env = { OWN = "a b" }
END
git init -q -b main ~/${title}
cd ~/${title}
git commit -q --allow-empty -m start
git worktree add -q -b work-${title} ~/${title}-work
cd ~/${title}-work
echo work > work.txt
git add .
git commit -q -m work
orchestrator-merge add --project ~/${title} --worktree ~/${title}-work -q`;

const start = `systemctl --user start ${service}`;
const gateUnits = "systemctl --user list-units --all --plain --no-legend 'orchestrator-merge-gate-*'";
const sleepers = "grep -lsx sleep /proc/[0-9]*/comm";
const standing = async (id: number) => {
  const { projects } = JSON.parse(await lab.sh(`orchestrator-merge status --json --id ${id}`));
  return projects[0];
};

describe.runIf(canOpenLab())("gates under a real systemd", () => {
  beforeAll(async () => {
    lab = await openLab();
    const program = join(import.meta.dirname, "..", "..", "dist", "orchestrator-merge");
    await lab.put(program, ".local/bin/orchestrator-merge", "755");
    await lab.sh(`git config --global user.name 'Lab User'; git config --global user.email lab@example.com
      systemctl --user set-environment SECRET_OF_THE_SESSION=x SSH_AUTH_SOCK=/x
      mkdir -p ~/.config/orchestrator-merge; touch ~/.config/orchestrator-merge/config.toml
      orchestrator-merge install --every 24h; systemctl --user stop tmux-orchestrator-auto-merge.timer`);
  });
  afterAll(async () => lab?.close());

  test("more processes than the run's unit may have, nothing of the session's variables, its words as they are", async () => {
    // What is left running at its end is ended with it.
    const script = [
      'i=0; while [ $i -lt 40 ]; do sleep 600 & i=$((i + 1)); done; echo "$1" > ~/words; env > ~/seen',
      "cat /proc/self/cgroup > ~/group; pwd > ~/where; git rev-parse HEAD > ~/head; echo said",
    ].join("; ");
    await lab.sh(project("many", script));
    await lab.sh(start);
    expect(await standing(1)).toMatchObject({ mergedStatus: "merged" });
    expect(await lab.sh("cat ~/words")).toBe(`$HOME $${"{HOME}"} %h $$\n`);
    expect(await lab.sh("cat ~/group")).toMatch(/orchestrator-merge-gate-[0-9a-z]{26}\.service$/m);
    expect(await lab.sh("cat ~/head")).toBe(await lab.sh("git -C ~/many rev-parse main"));
    const names = (await lab.sh("cut -d= -f1 ~/seen")).split("\n");
    expect(names).toContain("ORCHESTRATOR_MERGE_TIP");
    for (const name of ["SECRET_OF_THE_SESSION", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "INVOCATION_ID"])
      expect(names).not.toContain(name);
    expect(await lab.sh("cat ~/.local/state/orchestrator-merge/logs/gates/*.log")).toBe("said\n");
    expect(await lab.sh(gateUnits)).toBe("");
    expect(await lab.sh(`${sleepers} | wc -l`)).toBe("0\n");
  });

  test("its exit code is the gate's, a signal too", async () => {
    await lab.sh(project("bad", "test ! -f work.txt || { echo broken; exit 3; }"));
    await lab.attempt(start);
    expect(await standing(2)).toMatchObject({ mergedStatus: "merge_failed", reason: "gate_failed" });
    expect((await standing(2)).detail).toContain("(exit 3): broken");
    await lab.sh(project("term", "test ! -f work.txt || kill -TERM $$"));
    await lab.attempt(start);
    expect(await standing(3)).toMatchObject({ mergedStatus: "merge_failed", reason: "gate_failed" });
  });

  test.each([
    ["stopped", `systemctl --user stop ${service}`],
    ["killed", `systemctl --user kill -s KILL ${service}`],
  ])("the run is %s: the gate ends with it, and the next run lands", async (how, end) => {
    const id = how === "stopped" ? 4 : 5;
    await lab.sh(project(how, `test -e ~/${how}-go && exit 0; touch ~/${how}-begun; setsid sleep 600 & sleep 600`));
    await lab.sh(`systemctl --user start --no-block ${service}`);
    await lab.until(`test -e ~/${how}-begun`);
    expect(await lab.sh(gateUnits)).toContain("running");
    await lab.sh(end);
    await lab.until(`test -z "$(${gateUnits})" && ! ${sleepers}`);
    await lab.sh(`touch ~/${how}-go; systemctl --user reset-failed; ${start}`);
    expect(await standing(id)).toMatchObject({ mergedStatus: "merged" });
    expect(await lab.sh("ls ~/.cache/orchestrator-merge/gates | wc -l")).toBe("0\n");
  });
});
