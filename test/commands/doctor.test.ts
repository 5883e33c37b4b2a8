import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import doctor from "../../src/commands/doctor.ts";
import install from "../../src/commands/install.ts";
import { readUnits, renderUnits } from "../../src/host/units.ts";
import { now, queueDb, sql } from "../helpers/queueDb.ts";
import { makeRepo, withRemote } from "../helpers/repo.ts";
import { service, timer, userHost } from "../helpers/systemd.ts";

const document = z.strictObject({
  schema: z.literal(1),
  checks: z.array(
    z.strictObject({
      name: z.string(),
      state: z.enum(["ok", "warn", "fail"]),
      says: z.string(),
      fix: z.nullable(z.string()),
    }),
  ),
});

/** A host on which all is well, and doctor's document there: one check by its name. */
async function healthy() {
  const host = userHost();
  await host.type(install);
  host.switchOn();
  host.linger();
  host.property(service, "Result", "success");
  host.property(timer, "NextElapseUSecRealtime", "Mon 2026-05-04 10:05:00 UTC");
  const db = join(host.state, "task_queue.db");
  const see = async (words = "", more: Parameters<typeof host.type>[2] = {}) => {
    const { code, stdout } = await host.type(doctor, `--json ${words}`, more);
    const { checks } = document.parse(JSON.parse(stdout));
    return { code, checks, of: (name: string) => checks.find((check) => check.name === name) };
  };
  return { ...host, db, see };
}

test("where all is well every check says so, and which database it is and why", async () => {
  const { type, see, db } = await healthy();
  const { code, checks, of } = await see();
  expect(checks.map(({ name, state }) => `${name} ${state}`)).toEqual([
    "git ok",
    "config ok",
    "database ok",
    "units ok",
    "timer ok",
    "last run ok",
    "linger ok",
    "clock ok",
    "leftovers ok",
    "remotes ok",
  ]);
  expect(code).toBe(0);
  expect(of("database")?.says).toBe(`${db} (default)`);
  expect(of("timer")?.says).toContain("10:05:00");
  const { stdout } = await type(doctor);
  expect(stdout).toMatch(/^✔ ok {4}git +git version /);
  expect(stdout).toMatch(/\n\nAll is well\.\n$/);
});

describe("git", () => {
  test("too old", async () => {
    const { see, program } = await healthy();
    program("git", "echo git version 2.37.4\n");
    const { code, of } = await see();
    expect(of("git")).toMatchObject({ state: "fail", says: "git version 2.37.4 is too old to merge in memory." });
    expect(code).toBe(2);
    program("git", "echo git version 2.38.0.rc1\n");
    expect((await see()).of("git")?.state).toBe("ok");
    program("git", "echo hello\n");
    expect((await see()).of("git")).toMatchObject({ state: "fail", says: expect.stringContaining("no version") });
  });

  test("not there", async () => {
    const { see, home } = await healthy();
    rmSync(join(home, "bin"), { recursive: true });
    mkdirSync(join(home, "bin"));
    const { of } = await see("", { env: { PATH: join(home, "bin") } });
    expect(of("git")).toMatchObject({ state: "fail", says: expect.stringContaining("git is not on PATH") });
  });
});

describe("configuration and database", () => {
  test("a wrong configuration, and what depends on it is left out", async () => {
    const { see, home } = await healthy();
    const file = join(home, "wrong.toml");
    writeFileSync(file, "[run]\nbatch_sise = 5\n[push]\nmod = 1\n");
    const { code, of } = await see(`--config ${file}`);
    expect(of("config")).toMatchObject({ state: "fail", says: expect.stringContaining(`${file}:2`) });
    expect(of("config")?.fix).toContain("1 more");
    expect(of("database")).toBeUndefined();
    expect(of("units")?.state).toBe("ok");
    expect(code).toBe(2);
    const gone = await see("--config /nonexistent/config.toml");
    expect(gone.of("config")).toMatchObject({ state: "fail", says: expect.stringContaining("is not there") });
  });

  test("a database that is missing or not migrated is exit code 3", async () => {
    const { see, home } = await healthy();
    const gone = await see(`--db ${home}/no.db`);
    expect(gone.of("database")).toMatchObject({
      state: "fail",
      fix: expect.stringContaining("orchestrator-merge migrate"),
    });
    expect(gone.code).toBe(3);
    const raw = await queueDb(home, { name: "raw.db", migrated: false });
    const { code, of } = await see(`--db ${raw}`);
    expect(of("database")?.says).toMatch(/is not migrated for this program \(.*raw\.db: --db\)\.$/);
    expect(code).toBe(3);
  });

  test("a shell that looks at another queue than the timer", async () => {
    const { see, home, db } = await healthy();
    const other = await queueDb(home, { name: "other.db" });
    const { code, of } = await see(`--db ${other}`);
    expect(of("one queue")).toMatchObject({ state: "warn", says: `the timer uses ${db}, this shell ${other} (--db).` });
    expect(code).toBe(0);
  });
});

describe("units", () => {
  test("not installed, or only in part", async () => {
    const host = userHost();
    await queueDb(host.home);
    expect((await host.type(doctor)).stdout).toMatch(/warn {2}units +not installed: .*→ orchestrator-merge install\n/);
    const { see, units } = await healthy();
    rmSync(join(units, timer));
    expect((await see()).of("units")).toMatchObject({
      state: "warn",
      says: expect.stringContaining(`${timer} is missing`),
    });
  });

  test("of somebody else", async () => {
    const { see, units } = await healthy();
    writeFileSync(join(units, service), "[Service]\nExecStart=python3 auto_merge_runner.py\n");
    const { code, of } = await see();
    expect(of("units")).toMatchObject({ state: "fail", fix: "orchestrator-merge install" });
    expect(code).toBe(2);
  });

  test("changed by hand, of another version, of a program that is gone", async () => {
    const { see, units, unit } = await healthy();
    const good = unit(service);
    writeFileSync(join(units, service), `${good}\n# mine`);
    expect((await see()).of("units")).toMatchObject({
      state: "warn",
      says: expect.stringContaining("changed by hand"),
    });
    const { program, database, configFile } = readUnits(good, unit(timer));
    const settings = {
      version: "0.0.1",
      program: program ?? "",
      database: database ?? "",
      configFile,
      calendar: "*:0/5",
    };
    const put = (more: object) =>
      writeFileSync(join(units, service), renderUnits({ ...settings, ...more }).get(service) ?? "");
    put({});
    expect((await see()).of("units")).toMatchObject({
      state: "warn",
      says: expect.stringContaining("by version 0.0.1"),
    });
    put({ program: "/nonexistent/orchestrator-merge" });
    expect((await see()).of("units")).toMatchObject({
      state: "fail",
      says: expect.stringContaining("which is not there"),
    });
  });

  test("a drop-in that has them start something else, or use another queue", async () => {
    const { see, property, db } = await healthy();
    const start = (path: string) => `{ path=${path} ; argv[]=${path} run ; ignore_errors=no ; pid=0 }`;
    property(service, "ExecStart", start("/bin/true"));
    property(service, "Environment", `A=1 ORCHESTRATOR_MERGE_DB=${db} "ORCHESTRATOR_MERGE_DB=/a b/\\$x.db"`);
    const { of } = await see();
    expect(of("units")).toMatchObject({ state: "warn", says: "a drop-in has them start /bin/true." });
    expect(of("one queue")).toMatchObject({ state: "warn", says: expect.stringContaining("timer uses /a b/$x.db,") });
    property(service, "ExecStart", start(process.execPath));
    expect((await see()).of("units")?.state).toBe("ok");
  });

  test("a configuration that is gone", async () => {
    const { type, see, home } = await healthy();
    const config = join(home, "merge.toml");
    writeFileSync(config, "");
    await type(install, `--config ${config}`);
    expect((await see(`--config ${config}`)).of("units")?.state).toBe("ok");
    rmSync(config);
    expect((await see()).of("units")).toMatchObject({
      state: "fail",
      says: `they name the configuration ${config}, which is not there.`,
    });
  });

  test("one that cannot be read", async () => {
    const { see, units } = await healthy();
    rmSync(join(units, timer));
    mkdirSync(join(units, timer));
    expect((await see()).of("units")).toMatchObject({
      state: "fail",
      says: expect.stringContaining("cannot be read"),
    });
  });

  test("without a service manager, which only matters where units are installed", async () => {
    const { see, home } = await healthy();
    const env = { XDG_RUNTIME_DIR: join(home, "none") };
    expect((await see("", { env })).of("units")).toMatchObject({
      state: "fail",
      fix: expect.stringContaining("loginctl enable-linger"),
    });
    const host = userHost();
    await queueDb(host.home);
    expect((await host.type(doctor, "", { env })).code).toBe(0);
  });

  test("the timer stopped, or not enabled", async () => {
    const { see, property } = await healthy();
    property(timer, "UnitFileState", "disabled");
    expect((await see()).of("timer")).toMatchObject({ state: "fail", says: expect.stringContaining("it is disabled") });
    property(timer, "ActiveState", "inactive");
    const { code, of } = await see();
    expect(of("timer")).toMatchObject({ state: "fail", fix: `systemctl --user enable --now ${timer}` });
    expect(code).toBe(2);
  });

  test("a last run that died, and no linger", async () => {
    const { see, property, answer, home } = await healthy();
    property(service, "Result", "oom-kill");
    expect((await see()).of("last run")).toMatchObject({ state: "fail", says: "it died: oom-kill." });
    rmSync(join(home, "answers"), { recursive: true });
    mkdirSync(join(home, "answers"));
    answer("nothing", "");
    expect((await see()).of("linger")).toMatchObject({
      state: "warn",
      fix: expect.stringMatching(/^loginctl enable-linger /),
    });
  });
});

describe("clock, leftovers, remotes", () => {
  const attempt =
    "INSERT INTO merge_attempt (attempt_id, project_id, name, run_id, started_at, repository) VALUES (?,1,'p','r',0,?)";

  test("a clock before this program, and one before the last run", async () => {
    const { see, db } = await healthy();
    expect((await see("", { now: 0 })).of("clock")).toMatchObject({
      state: "fail",
      says: expect.stringContaining("1970"),
    });
    await sql(db, "INSERT INTO merge_meta (key, value) VALUES ('last_tick', ?)", [String(now + 3_600_000)]);
    const { code, of } = await see();
    expect(of("clock")).toMatchObject({ state: "fail", fix: expect.stringContaining("timedatectl") });
    expect(code).toBe(2);
    expect((await see("", { now: now + 3_600_000 })).of("clock")?.state).toBe("ok");
  });

  test("a killed run's lease, and not a living one's", async () => {
    const { see, db } = await healthy();
    const lease =
      "INSERT OR REPLACE INTO merge_lease (repository, fence, run_id, host, boot_id, pid, pid_start) VALUES (?,1,'r',?,?,?,?)";
    await sql(db, lease, ["/repo/.git", "another-host", "b", 1, "1"]);
    expect((await see()).of("leftovers")?.state).toBe("ok");
    const { self } = await import("../../src/git/orphans.ts");
    const { host, bootId, pid, pidStart } = self();
    await sql(db, lease, ["/repo/.git", host, bootId, pid, pidStart]);
    expect((await see()).of("leftovers")?.state).toBe("ok");
    await sql(db, lease, ["/repo/.git", host, bootId, pid, `${pidStart}1`]);
    const { code, of } = await see();
    expect(of("leftovers")).toMatchObject({ state: "warn", fix: "orchestrator-merge run" });
    expect(of("leftovers")?.says).toContain("/repo/.git");
    expect(code).toBe(0);
  });

  test("a remote that does not answer, and a repository that is gone", async () => {
    const { see, db, home } = await healthy();
    const repo = makeRepo();
    await sql(db, attempt, ["A", join(repo.path, ".git")]);
    expect((await see()).of("remotes")?.state).toBe("ok");
    repo.git("remote", "add", "origin", join(home, "nowhere.git"));
    const { code, of } = await see();
    expect(of("remotes")).toMatchObject({ state: "warn", fix: expect.stringContaining("ls-remote origin") });
    expect(code).toBe(0);
    await sql(db, attempt, ["B", join(home, "gone", ".git")]);
    expect((await see()).of("remotes")?.says).toContain("the repository is gone");
  });

  test("a remote that answers with this shell's ssh agent only, which the timer has not", async () => {
    const { see, db, program, answer } = await healthy();
    const repo = makeRepo();
    repo.git("remote", "add", "origin", `ssh://host${withRemote(repo, { name: "bare" }).path}`);
    program(
      "ssh",
      `test -n "$SSH_AUTH_SOCK" || { echo 'Permission denied (publickey).' >&2; exit 255; }
      for last; do :; done
      eval "exec $last"\n`,
    );
    await sql(db, attempt, ["A", join(repo.path, ".git")]);
    const env = { SSH_AUTH_SOCK: "/run/agent" };
    expect((await see("", { env })).of("remotes")).toMatchObject({
      state: "warn",
      fix: expect.stringMatching(
        /^Let the timer use your ssh agent: systemctl --user import-environment SSH_AUTH_SOCK/,
      ),
    });
    answer("systemctl --user show-environment", "HOME=/home/pat\nSSH_AUTH_SOCK=/run/agent\n");
    expect((await see("", { env })).of("remotes")?.state).toBe("ok");
  });
});
