import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import install from "../../src/commands/install.ts";
import uninstall from "../../src/commands/uninstall.ts";
import { queueDb } from "../helpers/queueDb.ts";
import { service, timer, user, userHost } from "../helpers/systemd.ts";

function putFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "");
}

describe("install", () => {
  test("on a new host makes the queue, writes the units, has them verified, and switches on timer and linger", async () => {
    const { home, type, told, unit, state } = userHost();
    const { stdout, stderr } = await type(install, "--every 15m");
    expect(stderr).toBe("");
    expect(stdout).toContain("a run every 15 min");
    expect(stdout).toContain(join(state, "task_queue.db"));
    const [verified, ...others] = told();
    expect(verified).toMatch(/^systemd-analyze verify --user \S+service \S+timer \S+failed\.service$/);
    expect(others).toEqual([
      "systemctl --user daemon-reload",
      `systemctl --user enable ${timer}`,
      `systemctl --user restart ${timer}`,
      `loginctl enable-linger ${user}`,
    ]);
    expect(unit(service)).toContain(`Environment="ORCHESTRATOR_MERGE_DB=${state}/task_queue.db"`);
    expect(unit(timer)).toContain("OnCalendar=*:0/15");
    expect(existsSync(join(state, "task_queue.db"))).toBe(true);
    expect(existsSync(join(home, ".config", "orchestrator-merge"))).toBe(false);
  });

  test("again changes nothing, and keeps how often it runs", async () => {
    const { type, told, unit, switchOn, linger } = userHost();
    await type(install, "--every 15m");
    const before = [unit(service), unit(timer)];
    told();
    switchOn();
    linger();
    expect((await type(install)).stdout).toContain("Everything is in place.");
    expect(told()).toEqual([]);
    expect([unit(service), unit(timer)]).toEqual(before);
    await type(install, "--every 1h");
    expect(unit(timer)).toContain("OnCalendar=0/1:00");
    expect(told()).toContain(`systemctl --user restart ${timer}`);
  });

  test("--dry-run shows files and commands and touches nothing", async () => {
    const { home, type, told, units, state } = userHost();
    const before = readdirSync(home).sort();
    const { stdout } = await type(install, "--dry-run");
    expect(stdout).toContain(`make    ${state}/task_queue.db`);
    expect(stdout).toContain(`write   ${units}/${service}`);
    expect(stdout).toContain("ExecStart=");
    expect(stdout).toContain(`run     systemctl --user enable ${timer}`);
    expect(told()).toEqual([]);
    expect(
      readdirSync(home)
        .filter((name) => name !== "told")
        .sort(),
    ).toEqual(before);
  });

  test("a unit that was changed by hand is left alone, with a word on drop-ins", async () => {
    const { type, unit, units, home, state } = userHost();
    await type(install);
    const changed = unit(service).replace("MemoryMax=1G", "MemoryMax=4G");
    writeFileSync(join(units, service), changed);
    const other = await queueDb(home, { name: "other.db" });
    const { stdout, stderr } = await type(install, `--every 1h --db ${other}`);
    expect(stderr).toContain(`systemctl --user edit ${service}`);
    expect(unit(service)).toBe(changed);
    // It goes on with what the unit says, and that is what is shown.
    expect(stdout).toContain(`database  ${state}/task_queue.db\n`);
    expect(unit(timer)).toContain("OnCalendar=0/1:00");
  });

  test("the original's timer is stopped, kept as a copy, and replaced", async () => {
    const { type, told, unit, units, state } = userHost();
    mkdirSync(join(units, `${service}.d`), { recursive: true });
    writeFileSync(join(units, timer), "[Timer]\nOnCalendar=*:0/5\n");
    symlinkSync("/dev/null", join(units, service)); // masked
    const { stdout, stderr } = await type(install);
    const commands = told();
    expect(commands.slice(1, 5)).toEqual([
      `systemctl --user stop ${timer} ${service}`,
      `systemctl --user disable ${timer}`,
      `systemctl --user reset-failed ${service}`,
      "systemctl --user daemon-reload",
    ]);
    expect(unit(service)).toContain("ExecStart=");
    expect(readFileSync("/dev/null", "utf8")).toBe("");
    const copies = readdirSync(join(state, "replaced-units"));
    const copy = copies.find((name) => name.startsWith(timer)) ?? "";
    expect(readFileSync(join(state, "replaced-units", copy), "utf8")).toBe("[Timer]\nOnCalendar=*:0/5\n");
    expect(stdout).toContain(copy);
    expect(stderr).toContain(`${service}.d still apply`);
  });

  test("the original goes on as it was where its files cannot be replaced", async () => {
    const { type, told, units, state } = userHost();
    putFile(join(units, timer));
    mkdirSync(dirname(state), { recursive: true });
    await type(install, "--dry-run");
    putFile(join(state, "replaced-units")); // so that there is no place for the copy
    await expect(type(install)).rejects.toMatchObject({
      code: 2,
      message: expect.stringContaining("cannot be changed"),
    });
    expect(told().filter((line) => line.startsWith("systemctl"))).toEqual([]);
  });

  test("one in another directory that systemd reads is stopped too, and stays where it is", async () => {
    const { type, told, home, property } = userHost();
    const theirs = join(home, timer);
    writeFileSync(theirs, "[Timer]\nOnCalendar=*:0/5\n");
    property(timer, "FragmentPath", theirs);
    const { stderr } = await type(install);
    expect(stderr).toContain(`${theirs}, which is not ours, stays`);
    expect(told().slice(1, 3)).toEqual([
      `systemctl --user stop ${timer} ${service}`,
      `systemctl --user disable ${timer}`,
    ]);
    expect(readFileSync(theirs, "utf8")).toContain("OnCalendar");
  });

  test("what an install that was cut short has written is read by systemd at the next", async () => {
    const { type, told, switchOn, property } = userHost();
    await type(install);
    told();
    switchOn();
    property(service, "NeedDaemonReload", "yes");
    await type(install);
    expect(told()).toContain("systemctl --user daemon-reload");
  });

  test.each([
    ["a directory", (path: string) => mkdirSync(path, { recursive: true }), "cannot be read: EISDIR"],
    ["a file where the directory belongs", (path: string) => putFile(dirname(path)), "cannot be changed: E"],
  ])("%s in a unit's place is no bug", async (_what, plant, said) => {
    const { type, units } = userHost();
    plant(join(units, timer));
    await expect(type(install)).rejects.toMatchObject({ code: 2, message: expect.stringContaining(said) });
  });

  test("what systemd does not accept is not installed", async () => {
    const { type, units, home } = userHost();
    const script = `#!/bin/sh\necho "$3:7: Unknown key name" >&2\n`;
    writeFileSync(join(home, "bin", "systemd-analyze"), script);
    await expect(type(install)).rejects.toThrow(`systemd does not accept the units: ${service}:7: Unknown key name`);
    expect(existsSync(units)).toBe(false);
  });

  test("a timer of the whole system is not raced", async () => {
    const { type, answer, units } = userHost();
    answer(`systemctl show ${timer} -p ActiveState -p UnitFileState`, "ActiveState=inactive\nUnitFileState=enabled\n");
    await expect(type(install)).rejects.toThrow("two programs must not merge one queue");
    expect(existsSync(units)).toBe(false);
  });

  test("a queue that somebody named must be there and migrated", async () => {
    const { type, home } = userHost();
    await expect(type(install, `--db ${home}/no.db`)).rejects.toMatchObject({ code: 3 });
    const raw = await queueDb(home, { name: "raw.db", migrated: false, rows: [{}] });
    await expect(type(install, `--db ${raw}`)).rejects.toThrow("orchestrator-merge migrate");
    const db = await queueDb(home, { name: "ready.db" });
    expect((await type(install, `--db ${db}`)).stdout).toContain(`${db} (--db)`);
    const { stderr } = await type(install, "");
    expect(stderr).toContain(`the timer used ${db} so far`);
  });

  test("nothing is written where the manager does not answer, or reads units from elsewhere", async () => {
    const question = "systemctl --user show -p UnitPath --value";
    const { type, units, home, state, answer, refuse } = userHost();
    answer(question, `${home}/other/systemd/user /etc/systemd/user\n`);
    for (const command of [install, uninstall]) await expect(type(command)).rejects.toThrow(`does not read ${units}`);
    refuse(question, "Failed to connect to bus: No such file or directory\n");
    for (const command of [install, uninstall]) await expect(type(command)).rejects.toThrow("Failed to connect to bus");
    expect([existsSync(units), existsSync(state)]).toEqual([false, false]);
  });

  test("a home that the manager knows by another name, and with a space in it, is the same", async () => {
    const { type, home, units, answer } = userHost();
    const link = join(home, "a link");
    symlinkSync(home, link);
    answer("systemctl --user show -p UnitPath --value", `/etc/systemd/user "${link}/.config/systemd/user"\n`);
    await type(install);
    expect(existsSync(join(units, timer))).toBe(true);
  });

  test("without a user manager it says what to do", async () => {
    const { type, home } = userHost();
    await expect(type(install, "", { env: { XDG_RUNTIME_DIR: join(home, "none") } })).rejects.toThrow(
      /no service manager of systemd runs for the user .*loginctl enable-linger/,
    );
    await expect(type(install, "", { env: { HOME: join(home, "none") } })).rejects.toThrow("sudo does it with -H");
  });

  test("a command of systemd that fails is told with its words", async () => {
    const { type, refuse } = userHost();
    refuse("systemctl --user daemon-reload", "Failed to reload: Access denied.\n");
    await expect(type(install)).rejects.toThrow(
      "systemctl --user daemon-reload failed: Failed to reload: Access denied. See what",
    );
  });

  test("a setting that only this shell has is told of", async () => {
    const { type } = userHost();
    const { stderr } = await type(install, "--dry-run", { env: { ORCHESTRATOR_MERGE_PUSH_MODE: "off" } });
    expect(stderr).toContain(
      "push.mode is set by environment ORCHESTRATOR_MERGE_PUSH_MODE, which the timer does not see.",
    );
  });

  test("a token that only this shell has is refused", async () => {
    const { type } = userHost();
    const env = { ORCHESTRATOR_MERGE_AUTH_TOKEN: "s3cret", ORCHESTRATOR_MERGE_DB: "libsql://queue.example.com" };
    await expect(type(install, "", { env })).rejects.toThrow("which the timer does not see");
  });
});

describe("uninstall", () => {
  test("takes away what install made, linger too where install switched it on", async () => {
    const { type, told, units, state } = userHost();
    await type(install);
    told();
    const { stdout } = await type(uninstall);
    expect(stdout.match(/^Removed /gm)).toHaveLength(3);
    const commands = told();
    expect(commands[0]).toBe(`systemctl --user disable --now ${timer}`);
    expect(commands.slice(-2)).toEqual(["systemctl --user daemon-reload", `loginctl disable-linger ${user}`]);
    expect(readdirSync(units)).toEqual([]);
    expect(readdirSync(state).filter((name) => !name.startsWith("task_queue.db"))).toEqual([]);
    expect((await type(uninstall)).stdout).toBe("There is nothing of install here.\n");
    expect(told()).toEqual([]);
  });

  test("takes away what is left when somebody has removed the files by hand", async () => {
    const { type, told, units } = userHost();
    const wants = join(units, "timers.target.wants");
    mkdirSync(wants, { recursive: true });
    symlinkSync(join(units, timer), join(wants, timer));
    expect((await type(uninstall)).stdout).toContain("Removed what was left");
    expect(told()).toContain(`systemctl --user disable --now ${timer}`);
    writeFileSync(join(units, timer), "[Timer]\n"); // somebody else's, and on
    expect((await type(uninstall)).stdout).toMatch(/^There is nothing of install here\.\nLeft /);
  });

  test("leaves linger that was on before, or could not be switched on", async () => {
    const { type, told, linger } = userHost();
    linger();
    await type(install);
    await type(uninstall);
    expect(told().filter((line) => line.startsWith("loginctl"))).toEqual([]);
    const other = userHost();
    other.refuse(`loginctl enable-linger ${user}`, "Access denied\n");
    expect((await other.type(install)).stderr).toContain("loginctl enable-linger");
    await other.type(uninstall);
    expect(other.told()).not.toContain(`loginctl disable-linger ${user}`);
  });

  test("keeps a copy of what the user changed, leaves what is not ours, and --dry-run does nothing", async () => {
    const { type, told, units, unit, state } = userHost();
    await type(install);
    writeFileSync(join(units, service), `${unit(service)}# mine\n`);
    writeFileSync(join(units, timer), "[Timer]\n");
    told();
    expect((await type(uninstall, "--dry-run")).stdout).toContain(`remove  ${units}/${service}`);
    expect(told()).toEqual([]);
    const { stdout } = await type(uninstall);
    expect(stdout).toContain(`Left ${units}/${timer}`);
    expect(told()).not.toContain(`systemctl --user disable --now ${timer}`);
    expect(readdirSync(units)).toEqual([timer]);
    const [copy = ""] = readdirSync(join(state, "replaced-units"));
    expect(readFileSync(join(state, "replaced-units", copy), "utf8")).toMatch(/# mine\n$/);
  });
});
