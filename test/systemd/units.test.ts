import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { canOpenLab, type Lab, openLab } from "./lab.ts";

/*
 * The installed program under a real `systemd --user`, in the order of a host's life: the original's timer runs, install takes over,
 * the timer lands what is finished, runs are killed at each limit, uninstall leaves nothing.
 */

const root = join(import.meta.dirname, "..", "..");
const name = "tmux-orchestrator-auto-merge";

let lab: Lab;

/** The original's units as far as systemd is concerned: a timer that requires its service. */
const original = `
mkdir -p ~/.config/systemd/user
cd ~/.config/systemd/user
printf '[Service]\\nExecStart=/bin/sleep 600\\n' > ${name}.service
printf '[Unit]\\nRequires=${name}.service\\n[Timer]\\nOnCalendar=*:0/5\\n[Install]\\nWantedBy=timers.target\\n' > ${name}.timer
systemctl --user daemon-reload
systemctl --user enable --now ${name}.timer`;

/** A project with a remote, and a finished branch of it in the queue. */
const project = (title: string): string => `
test -e ~/${title}.git || {
  git init -q --bare -b main ~/${title}.git
  git init -q -b main ~/${title}
  cd ~/${title}
  echo start > start.txt
  git add .
  git commit -q -m start
  git remote add origin ~/${title}.git
  git push -q origin main
}
cd ~/${title}
git worktree add -q -b work-${title} ~/${title}-work
cd ~/${title}-work
echo work > work.txt
git add .
git commit -q -m work
orchestrator-merge add --project ~/${title} --worktree ~/${title}-work -q`;

const dropIn = (unit: string, ...lines: string[]): string => `
mkdir -p ~/.config/systemd/user/${unit}.d
printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")} > ~/.config/systemd/user/${unit}.d/test.conf
systemctl --user daemon-reload`;

/** The merges of a project's remote: what somebody else sees. */
const landed = (title: string): Promise<string> => lab.sh(`git -C ~/${title}.git log --merges --format=%s main`);

const show = async (property: string, unit = `${name}.service`): Promise<string> =>
  (await lab.sh(`systemctl --user show ${unit} -p ${property} --value`)).trim();

type Line = { readonly MESSAGE: string; readonly PRIORITY: string; readonly SYSLOG_IDENTIFIER?: string };

/** What was said since the mark, by the service or in its name: text and priority. */
async function journal(since: string): Promise<Line[]> {
  // Chosen here: with a filter, journalctl (252) leaves out the first line after a cursor.
  const text = await lab.sh(`journalctl --user -q --no-pager -o json --after-cursor='${since}'`);
  const lines: Line[] = text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
  return lines.filter(({ SYSLOG_IDENTIFIER }) => SYSLOG_IDENTIFIER === "orchestrator-merge");
}

const mark = async (): Promise<string> =>
  (await lab.sh("journalctl --user -q --no-pager -n 1 --show-cursor -o cat")).trim().split("-- cursor: ")[1] ?? "";

describe.runIf(canOpenLab())("under a real systemd", () => {
  beforeAll(async () => {
    lab = await openLab();
    await lab.put(join(root, "dist", "orchestrator-merge"), "clone/dist/orchestrator-merge", "755");
    await lab.sh("git config --global user.name 'Lab User'; git config --global user.email lab@example.com");
  });
  afterAll(async () => lab?.close());

  test("a new host as the README has it: copied, installed, all is well, removed, nothing left but the queue", async () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const blocks = [...readme.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = ""]) => `cd ~/clone\n${block}`);
    const at = (words: string) => blocks.findIndex((block) => block.includes(words));
    const copy = at("dist/orchestrator-merge ~/.local/bin");
    const said = await lab.sh(blocks.slice(copy, at("git init")).join(""));
    expect(said).toMatch(/^Installed: a run every 5 min/m);
    expect(said).toMatch(/^All is well\.$/m);
    await lab.until(`journalctl --user -q -o cat -u ${name}.service | grep -q 'No projects pending merge'`);
    await lab.sh(blocks[at("uninstall")] ?? "");
    const left = await lab.sh("find ~ -path ~/clone -prune -o ! -type d -print");
    expect(left.trim().split("\n").sort()).toEqual(
      [
        ".gitconfig",
        ".local/state/orchestrator-merge/logs/auto_merge.log",
        ".local/state/orchestrator-merge/task_queue.db",
      ].map((file) => `/home/labuser/${file}`),
    );
    await lab.sh(`rm -r ~/.local/state\n${blocks[copy]}`);
  });

  test("the unit files as they are in systemd/: verify says not a word", async () => {
    for (const unit of [`${name}.service`, `${name}.timer`, `${name}-failed.service`])
      await lab.put(join(root, "systemd", unit), `units/${unit}`, "644");
    const { code, stdout, stderr } = await lab.attempt(
      "systemd-analyze verify --user ~/units/*.service ~/units/*.timer",
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "" });
    const security = await lab.sh(
      `mkdir -p ~/.config/systemd/user; cp ~/units/* ~/.config/systemd/user/; systemctl --user daemon-reload
       systemd-analyze --user security --no-pager ${name}.service | tail -1; rm ~/.config/systemd/user/*; systemctl --user daemon-reload`,
    );
    const exposure = Number(/: ([0-9.]+) /.exec(security)?.[1]);
    expect(exposure).toBeLessThanOrEqual(7);
    console.log(`systemd-analyze verify: silent; security: ${exposure}`);
  });

  test("install takes over from the original's timer, and is idempotent", async () => {
    await lab.sh(original);
    expect(await show("ActiveState")).toBe("active");
    const { stderr } = await lab.attempt("orchestrator-merge install");
    expect(stderr).toBe("");
    expect(await show("ActiveState")).toBe("inactive");
    expect(await show("Result")).toBe("success"); // that the original's run was stopped is not held against ours
    expect(await show("ActiveState", `${name}.timer`)).toBe("active");
    expect(await show("FragmentPath")).toBe(`/home/labuser/.config/systemd/user/${name}.service`);
    expect(await lab.sh("cat ~/.local/state/orchestrator-merge/replaced-units/*.service.*")).toContain(
      "/bin/sleep 600",
    );
    expect(await lab.sh("orchestrator-merge install")).toContain("Everything is in place.");
  });

  test("doctor: all is well, after sudo -u without XDG_RUNTIME_DIR too; and not without linger", async () => {
    for (const prefix of ["", "env -u XDG_RUNTIME_DIR "]) {
      expect(await lab.sh(`${prefix}orchestrator-merge doctor`)).toMatch(/\nAll is well\.\n$/);
    }
    await lab.sh("loginctl disable-linger labuser");
    const { checks } = JSON.parse(await lab.sh("orchestrator-merge doctor --json"));
    const doubtful = checks.filter(({ state }: { state: string }) => state !== "ok");
    expect(doubtful).toMatchObject([{ name: "linger", state: "warn" }]);
    await lab.sh("orchestrator-merge install");
  });

  test("the timer fires by itself, lands and pushes, with the right priorities in the journal", async () => {
    const since = await mark();
    await lab.sh(project("shop"));
    await lab.sh(`mkdir -p ~/clash; ${project("clash")}; git -C ~/clash checkout -q -b other; cd ~/clash; git checkout -q main
      echo other > work.txt; git add .; git commit -q -m other; git push -q origin main`);
    await lab.sh(dropIn(`${name}.timer`, "[Timer]", "OnCalendar=", "OnCalendar=*:*:0/1", "AccuracySec=1ms"));
    await lab.sh(`systemctl --user restart ${name}.timer`);
    await lab.until("git -C ~/shop.git log -1 --format=%s main | grep -q 'Merge integration'");
    await lab.until(`journalctl --user -q -o cat -u ${name}.service | grep -q 'Failed to merge'`);
    await lab.until(
      `journalctl --user -q -o cat -u ${name}.service --after-cursor='${since}' | grep -q 'No projects pending'`,
    );
    await lab.sh(
      `systemctl --user stop ${name}.timer; rm -r ~/.config/systemd/user/${name}.timer.d; systemctl --user daemon-reload`,
    );
    await lab.until(`test "$(systemctl --user show ${name}.service -p ActiveState --value)" = inactive`);
    const ours = await journal(since);
    const said = (priority: string) =>
      ours.filter(({ PRIORITY }) => PRIORITY === priority).map(({ MESSAGE }) => MESSAGE);
    expect(said("5").join("\n")).toMatch(/shop/); // notice: a landing
    expect(said("3").join("\n")).toMatch(/Failed to merge project 2: conflict/); // err
    expect(said("6").join("\n")).toContain("No projects pending merge"); // info
    expect(ours.filter(({ MESSAGE }) => /^<\d>/.test(MESSAGE))).toEqual([]);
    expect(ours.filter(({ MESSAGE }) => MESSAGE.includes("died"))).toEqual([]); // a project that failed is no fault of the unit
    expect(await landed("shop")).toBe("Merge integration from shop-work: shop-work\n");
  });

  test("it catches up after downtime", async () => {
    const since = await mark();
    await lab.sh(`touch -d '1 hour ago' ~/.local/share/systemd/timers/stamp-${name}.timer
      systemctl --user start ${name}.timer`);
    await lab.until(`journalctl --user -q -o cat --after-cursor='${since}' | grep -q 'No projects pending'`);
    await lab.sh(`systemctl --user stop ${name}.timer`);
  });

  describe("a run that is killed at a limit loses nothing", () => {
    /** One at a time: each has a project of its own, whose remote does something when it is pushed to. */
    const hook = (title: string, script: string): string =>
      `printf '#!/bin/sh\\n%s\\n' '${script}' > ~/${title}.git/hooks/pre-receive; chmod 755 ~/${title}.git/hooks/pre-receive`;
    const mend = `rm -rf ~/.config/systemd/user/${name}.service.d ~/*.git/hooks/pre-receive; systemctl --user daemon-reload`;

    /** The next runs land and push it, once. `--only`, for they need not wait until the backoff is over. */
    const recovers = async (title: string, id: number): Promise<void> => {
      await lab.sh(mend);
      await lab.until(
        `orchestrator-merge run --only ${id} -q; git -C ~/${title}.git log -1 --format=%s main | grep -q '^Merge'`,
      );
      expect(await landed(title)).toBe(`Merge integration from ${title}-work: ${title}-work\n`);
      expect(await lab.sh(`git -C ~/${title} status --porcelain; find ~/${title}*/ -name '*.lock'`)).toBe("");
      await lab.sh(`systemctl --user start ${name}.service`);
      expect(await show("Result")).toBe("success");
    };

    beforeEach(() => lab.sh(`${mend}; systemctl --user stop ${name}.timer; systemctl --user reset-failed`));

    test("time, while it pushes; the journal has it as an error, and a notifier is told", async () => {
      const since = await mark();
      const config = '[notify]\\ncommand = ["tee", "-a", "told"]\\n';
      await lab.sh(
        `mkdir -p ~/.config/orchestrator-merge; printf '${config}' > ~/.config/orchestrator-merge/config.toml`,
      );
      await lab.sh(project("late"));
      await lab.sh(hook("late", "sleep 300"));
      await lab.sh(dropIn(`${name}.service`, "[Service]", "TimeoutStartSec=2"));
      expect((await lab.attempt(`systemctl --user start ${name}.service`)).code).not.toBe(0);
      expect(await show("Result")).toBe("timeout");
      expect(await landed("late")).toBe("");
      // By its name, not by its unit: journald may look for the unit of so short a process after it has ended.
      await lab.until(`journalctl --user -q -o cat --after-cursor='${since}' | grep -q 'died: timeout'`);
      const told = (await journal(since)).filter(({ MESSAGE }) => MESSAGE.includes("died: timeout."));
      expect(told).toMatchObject([{ PRIORITY: "3" }]);
      expect((await lab.attempt("orchestrator-merge doctor")).stdout).toContain("it died: timeout.");
      await lab.until("grep -q 'systemd says: timeout' ~/told");
      await recovers("late", 3);
      // It is the death that the next run finds, and told once.
      expect(await lab.sh('grep -o \'"event":"[a-z]*"\' ~/told; rm -r ~/told ~/.config/orchestrator-merge')).toBe(
        '"event":"died"\n',
      );
    });

    test("memory, while it pushes", async () => {
      await lab.sh(project("big"));
      // tail keeps all of a line that does not end. With cgroup v1 the kernel ends it alone, with v2 systemd then ends all of the run.
      await lab.sh(hook("big", "head -c 400M /dev/zero | tail -n 1 > /dev/null"));
      await lab.sh(dropIn(`${name}.service`, "[Service]", "MemoryMax=200M", "MemorySwapMax=0"));
      await lab.attempt(`systemctl --user start ${name}.service`);
      expect(await landed("big")).toBe("");
      await recovers("big", 4);
    });

    test("tasks", async () => {
      await lab.sh(project("many"));
      await lab.sh(dropIn(`${name}.service`, "[Service]", "TasksMax=5"));
      await lab.attempt(`systemctl --user start ${name}.service`);
      expect(await landed("many")).toBe("");
      await recovers("many", 5);
    });

    test("and audit proves it of all", async () => {
      expect(await lab.sh("orchestrator-merge audit --json")).toMatch(/"wrong": \[\]/);
    });
  });

  test("status shows what is in hand, and in the end what came of it", async () => {
    await lab.sh(project("seen"));
    await lab.sh(`mkfifo ~/gate
      printf '#!/bin/sh\\nread _ < /home/labuser/gate\\n' > ~/seen.git/hooks/pre-receive
      chmod 755 ~/seen.git/hooks/pre-receive
      systemctl --user start --no-block ${name}.service`);
    await lab.until(`systemctl --user status --no-pager ${name}.service | grep -q 'Status: "pushing main to origin'`);
    await lab.sh(`echo go > ~/gate; rm ~/seen.git/hooks/pre-receive`);
    await lab.until(`test "$(systemctl --user show ${name}.service -p ActiveState --value)" = inactive`);
    expect(await show("StatusText")).toMatch(/^1 merged, 0 failed, 0 held$/);
    expect(await show("Result")).toBe("success");
  });

  test("uninstall leaves nothing", async () => {
    await lab.sh(`systemctl --user start ${name}.timer`);
    await lab.sh("orchestrator-merge uninstall");
    expect(await lab.sh(`systemctl --user list-unit-files --no-legend --no-pager '${name}*' || true`)).toBe("");
    expect(await lab.sh(`systemctl --user list-units --all --no-legend --no-pager '${name}*'`)).toBe("");
    expect(await lab.sh("find ~/.config ~/.local/share/systemd -type f -o -type l | grep -v gitconfig || true")).toBe(
      "",
    );
    expect(await lab.sh("ls ~/.local/state/orchestrator-merge")).toContain("task_queue.db");
    expect((await lab.attempt("loginctl show-user labuser")).stderr).toContain("not logged in or lingering");
  });
});
