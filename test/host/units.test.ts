import { describe, expect, test } from "vitest";
import { demandLasting } from "../../src/host/executable.ts";
import {
  calendarOf,
  everyOf,
  failedUnit,
  originOf,
  readUnits,
  renderUnits,
  serviceUnit,
  timerUnit,
  type UnitSettings,
} from "../../src/host/units.ts";
import { temporaryDirectory } from "../helpers/directory.ts";

const settings: UnitSettings = {
  version: "1.2.3",
  program: "/opt/bin/orchestrator-merge",
  database: "/queue/task_queue.db",
  configFile: null,
  calendar: "*:0/5",
};

const rendered = (more: Partial<UnitSettings> = {}) => {
  const units = renderUnits({ ...settings, ...more });
  return {
    service: units.get(serviceUnit) ?? "",
    timer: units.get(timerUnit) ?? "",
    failed: units.get(failedUnit) ?? "",
  };
};

describe("a rendered unit", () => {
  test("is ours, and of a version, and no longer as we wrote it after any change", () => {
    for (const text of Object.values(rendered())) {
      expect(originOf(text)).toEqual({ by: "us", version: "1.2.3" });
      expect(originOf(`${text}MemoryMax=2G\n`)).toEqual({ by: "us, edited", version: "1.2.3" });
      expect(originOf(text.replace("[Unit]", "[Unit] "))).toEqual({ by: "us, edited", version: "1.2.3" });
      expect(originOf(text.slice(text.indexOf("\n") + 1))).toEqual({ by: "others" });
    }
    expect(originOf("")).toEqual({ by: "others" });
  });

  test("has the program, the database and the configuration, and keeps everything else", () => {
    const { service, timer } = rendered({ configFile: "/etc/merge.toml", calendar: "*:0/15" });
    expect(service).toMatch(/^ExecStart="\/opt\/bin\/orchestrator-merge" run$/m);
    expect(service).toMatch(/^Environment="ORCHESTRATOR_MERGE_DB=\/queue\/task_queue.db"$/m);
    expect(service).toMatch(/^Environment="ORCHESTRATOR_MERGE_CONFIG=\/etc\/merge.toml"$/m);
    expect(service.match(/^ExecStart=/gm)).toHaveLength(1);
    for (const line of [
      "MemoryMax=1G",
      "CPUQuota=70%",
      "TasksMax=20",
      "TimeoutStartSec=600",
      `OnFailure=${failedUnit}`,
    ])
      expect(service.split("\n")).toContain(line);
    for (const line of ["OnCalendar=*:0/15", "Persistent=true", "AccuracySec=30s"])
      expect(timer.split("\n")).toContain(line);
    expect(timer.match(/^OnCalendar=/gm)).toHaveLength(1);
  });

  test.each([
    "/a b/task_queue.db",
    "/100%/%h.db",
    '/say "hi"/x.db',
    "/back\\slash/n.db",
    "/$HOME/$&.db",
    "/ümlaut/x.db",
    "libsql://queue.example.com",
  ])("reads back the database %s", (database) => {
    const { service, timer } = rendered({ database, configFile: database });
    expect(readUnits(service, timer)).toEqual({ ...settings, version: undefined, database, configFile: database });
  });

  test.each(["/a\nExecStartPost=/bin/sh", "/tab\there", "/bell\x07"])("refuses the path %j", (database) => {
    expect(() => rendered({ database })).toThrow(`the path ${JSON.stringify(database)} cannot stand in a unit file`);
  });

  test.each(["/a$b/x", '/a"b', "/a\\b", "/a'b"])("refuses the program %s", (program) => {
    expect(() => rendered({ program })).toThrow("cannot stand in a unit file");
  });
});

describe("--every", () => {
  test.each([
    ["1m", "*:0/1", "every 1 min"],
    ["5m", "*:0/5", "every 5 min"],
    ["300s", "*:0/5", "every 5 min"],
    ["60m", "0/1:00", "every 1 h"],
    ["6h", "0/6:00", "every 6 h"],
    ["1d", "*-*-* 00:00", "every 24 h"],
  ])("%s is %s", (every, calendar, shown) => {
    expect(calendarOf(every, "--every")).toBe(calendar);
    expect(everyOf(calendar)).toBe(shown);
  });

  test.each(["7m", "90s", "90m", "30s", "5h", "2d", "0m", "5", "", "soon", "*:0/5"])("%j is refused", (every) => {
    expect(() => calendarOf(every, "--every")).toThrow("--every does not take");
  });
});

test("a program in a temporary place is refused, unless the home is there too", () => {
  const place = temporaryDirectory({ "bin/merge": "", "home/bin/merge": "" });
  expect(demandLasting(`${place}/home/bin/merge`, { HOME: `${place}/home` })).toBe(`${place}/home/bin/merge`);
  expect(() => demandLasting(`${place}/bin/merge`, { HOME: "/nonexistent", TMPDIR: place })).toThrow("does not stay");
  expect(() => demandLasting(`${place}/gone`, { HOME: place })).toThrow("has been replaced or removed");
  expect(demandLasting("/bin/sh", { HOME: "/nonexistent" })).toMatch(/^\/.*sh$/);
});
