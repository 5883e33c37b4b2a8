import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { decide } from "../../src/core/rules.ts";
import { defaults, inspectConfig, loadConfig } from "../../src/host/config.ts";
import { configJsonSchema } from "../../src/host/config-schema.ts";
import { listSettings } from "../../src/host/config-show.ts";
import { temporaryDirectory } from "../helpers/directory.ts";

const home = { HOME: "/home/me" };

/** A config file with this text, as --config would name it. */
function place(text: string, env: Readonly<Record<string, string>> = {}) {
  const directory = temporaryDirectory({ "c.toml": text });
  return { flag: join(directory, "c.toml"), env: { ...home, ...env }, cwd: "/cwd" };
}

/** Every problem as `line: sentence`, without the path of the file. */
async function problems(text: string, env: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const here = place(text, env);
  const { problems } = await inspectConfig(here);
  return problems.map(({ sentence }) => sentence.replace(`${here.flag}:`, ""));
}

/** CONTRACT 9 with every key that this version has, none at its default. */
const full = `
[queue]
database = "q.db"
auth_token_file = "~/token"
[run]
batch_size = 7
merge_timeout = "90s"
max_runtime = "1h30m"
parallel = 1
[merge]
target = "release/1.x"
strategy = "merge"
heads = "newest"
uncommitted = "ignore"
ignore_uncommitted = ["*.tmp"]
keep_target = ["AGENTS.md"]
[push]
mode = "off"
remote = "upstream"
unpublished = "push"
diverged = "hold"
timeout = "2m"
[tag]
mode = "local"
[backup]
keep = "30d"
[gate]
command = ["make", "check"]
timeout = "10m"
env = { CI = "yes" }
mode = "batch"
[notify]
on = ["merged", "died"]
held_after = "2h"
push_after = "30m"
slack = { url_file = "slack" }
webhook = { url_file = "~/hook", secret_file = "/s/secret" }
email = { host = "mail.example.com", user = "bot", password_file = "pw", from = "a@example.com", to = ["b@example.com"] }
desktop = true
command = ["./tell", "x"]
[log]
file = "logs/own.log"
level = "debug"
format = "json"
max_size = "1MB"
[[rule]]
match = { name = "api-*", path = "~/work/**", tag = "critical" }
trust = true
action = "skip"
target = "develop"
push = "off"
`;

test("without a file and variables everything is at its default", async () => {
  const cwd = temporaryDirectory();
  const { config, file, sources } = await loadConfig({ flag: undefined, env: { HOME: cwd }, cwd });
  expect(config).toBe(defaults);
  expect([file, sources.size]).toEqual([undefined, 0]);
});

test("an empty file is everything at its default too", async () => {
  expect((await loadConfig(place("# nothing\n"))).config).toEqual(defaults);
});

test("every key is read, in its own unit, with paths seen from the file", async () => {
  const here = place(full);
  const { config } = await loadConfig(here);
  const { rules, ...rest } = config;
  expect(rest).toEqual({
    queue: { database: join(here.flag, "../q.db"), authTokenFile: "/home/me/token" },
    run: { batchSize: 7, mergeTimeoutMs: 90_000, maxRuntimeMs: 5_400_000, parallel: 1 },
    merge: {
      target: "release/1.x",
      strategy: "merge",
      heads: "newest",
      uncommitted: "ignore",
      ignoreUncommitted: ["*.tmp"],
      keepTarget: ["AGENTS.md"],
    },
    push: { mode: "off", remote: "upstream", unpublished: "push", diverged: "hold", timeoutMs: 120_000 },
    tag: { mode: "local" },
    backup: { keepMs: 30 * 86_400_000 },
    gate: {
      gates: [{ name: "make check", command: ["make", "check"], timeoutMs: 600_000, env: { CI: "yes" } }],
      mode: "batch",
    },
    notify: {
      on: ["merged", "died"],
      heldAfterMs: 7_200_000,
      pushAfterMs: 1_800_000,
      slack: { urlFile: join(here.flag, "../slack") },
      webhook: { url: null, urlFile: "/home/me/hook", secretFile: "/s/secret" },
      email: {
        host: "mail.example.com",
        port: 587,
        security: "starttls",
        user: "bot",
        passwordFile: join(here.flag, "../pw"),
        from: "a@example.com",
        to: ["b@example.com"],
      },
      desktop: true,
      command: [join(here.flag, "../tell"), "x"],
    },
    log: { file: join(here.flag, "../logs/own.log"), level: "debug", format: "json", maxSizeBytes: 1_000_000 },
  });
  expect(rules.map(({ set, source }) => ({ set, source }))).toEqual([
    { set: { trust: true, action: "skip", target: "develop", push: "off" }, source: "config file line 46" },
  ]);
});

test("a rule matches when all of its globs and its tag do; names keep their case and may hold dots", async () => {
  const { config } = await loadConfig(place(full));
  const matching = {
    name: "api-x",
    path: "/home/me/work/a/b",
    spec: "",
    tags: ["x", "critical"],
    priority: 0,
    types: null,
  };
  const acts = (change: Partial<typeof matching>) =>
    decide({ ...matching, ...change }, config).settings.action === "skip";
  expect(acts({})).toBe(true);
  expect(acts({ path: "/home/me/work/.hidden/b" })).toBe(true);
  expect(acts({ name: "API-x" })).toBe(false);
  expect(acts({ name: "my-api-x" })).toBe(false);
  expect(acts({ path: "/home/me/workshop/b" })).toBe(false);
  expect(acts({ tags: ["x"] })).toBe(false);
  const all = await loadConfig(place('[[rule]]\nmatch = { name = "*" }\naction = "skip"'));
  expect(decide({ ...matching, name: ".hidden", path: "/" }, all.config).settings.action).toBe("skip");
});

test("a time longer than Node's timers can hold is the longest they can: a longer one fires at once", async () => {
  const { config } = await loadConfig(place('[run]\nmerge_timeout = "99d"'));
  expect(config.run.mergeTimeoutMs).toBe(2 ** 31 - 1);
});

describe("what is wrong is said with its line", () => {
  test.each([
    ["[run]\n\nbatchsize = 5", '3: unknown key "batchsize" in [run]. Did you mean batch_size?'],
    ["[run]\nfoo = 5", '2: unknown key "foo" in [run].'],
    ["[rnu]\nbatch_size = 5", "1: unknown section [rnu]. Did you mean run?"],
    ["[constructor]", "1: unknown section [constructor]."],
    ["batch_size = 5", '1: unknown key "batch_size" outside any section.'],
    ["run = 5", "1: [run] does not take 5."],
    ["[run]\nbatch_size = 0", "2: [run] batch_size does not take 0."],
    ['[run]\nbatch_size = "5"', '2: [run] batch_size does not take "5".'],
    ["[run]\nbatch_size = 1.5", "2: [run] batch_size does not take 1.5."],
    ["[run]\nmerge_timeout = 90", "2: [run] merge_timeout does not take 90."],
    ['[run]\nmax_runtime = "9 minutes"', '2: [run] max_runtime does not take "9 minutes".'],
    ['[log]\nmax_size = "10 parsecs"', '2: [log] max_size does not take "10 parsecs".'],
    ['[log]\nlevel = "loud"', '2: [log] level does not take "loud".'],
    ['[push]\nmode = "on"', '2: [push] mode does not take "on".'],
    ['[push]\nremote = "-x"', '2: [push] remote does not take "-x".'],
    ['[merge]\ntarget = "-x"', '2: [merge] target does not take "-x".'],
    ['[merge]\ntarget = "a..b"', '2: [merge] target does not take "a..b".'],
    ['[merge]\nkeep_target = [\n "a",\n "../b"]', '2: [merge] keep_target item 2 does not take "../b".'],
    ['[merge]\nignore_uncommitted = "*.log"', '2: [merge] ignore_uncommitted does not take "*.log".'],
    ["[[rule]]\ntrust = true", "1: [[rule]] match is missing."],
    ["[[rule]]\nmatch = {}", "2: [[rule]] match does not take {}."],
    ['[[rule]]\nmatch = {nam = "x"}', '2: unknown key "nam" in [[rule]] match. Did you mean name?'],
    ['[[rule]]\nmatch = {path = "work/*"}', '2: [[rule]] match path does not take "work/*".'],
    ['[[rule]]\nmatch = {name = "x"}\n[[rule]]\nmatch = {tag = "y"}\ntrust = 1', "5: [[rule]] trust does not take 1."],
    ["[run]\nparallel = 2", "2: [run] parallel = 2 belongs to a feature that this version does not have yet."],
    ["[run]\nparallel = 0", "2: [run] parallel does not take 0."],
    ['[merge]\nstrategy = "octopus"', '2: [merge] strategy does not take "octopus".'],
    ['\n[gate]\ncommand = ["true"]\nnonsense = 1', '4: unknown key "nonsense" in [gate].'],
    ["[gate]\ncommand = []", "2: [gate] command does not take []."],
    ['[gate]\ntimeout = "1m"', "1: [gate] has no command."],
    ['[gate]\ncommand = ["true"]\ntimeout = "9m"', "3: [gate] timeout gives a gate more time than a whole run has."],
    ["[backup]\nkeep = 14", "2: [backup] keep does not take 14."],
    ["[resolver]", "1: [resolver] belongs to a feature that this version does not have yet."],
    ["[notify]\nslak = {}", '2: unknown key "slak" in [notify]. Did you mean slack?'],
    ['[[rule]]\nmatch = {name = "x"}\nnotify = "x"', '3: [[rule]] notify does not take "x".'],
    [
      '[[rule]]\nmatch = {type = "node"}\nnotify = false',
      "3: [[rule]] notify cannot depend on the type of a project: whom to tell is asked without looking at its files.",
    ],
    ['[notify]\non = ["failed", "landed"]', '2: [notify] on item 2 does not take "landed".'],
    ["[notify]\nslack = {}", "2: [notify] slack has no address."],
    ['[notify]\nslack = "https://x"', '2: [notify] slack does not take "https://x".'],
    ['[notify.slack]\nurl = "x"', '2: unknown key "url" in [notify.slack].'],
    ["[notify.webhook]", "1: [notify] webhook has no address."],
    ['[notify.webhook]\nurl_file = "x"\nurl = "http://y"', "1: [notify] webhook has two addresses."],
    [
      '[notify]\nwebhook = { url = "https://me:hunter2@x" }',
      "2: [notify.webhook] url does not take a URL with a secret in it.",
    ],
    ['[notify.email]\nhost = "x"\nfrom = "a@b"', "1: [notify.email] to is missing."],
    ['[notify.email]\nhost = "x"\nfrom = "a@b"\nto = ["c"]', '4: [notify.email] to item 1 does not take "c".'],
    ['[notify.email]\nhost = "x"\nfrom = "a@b"\nto = ["c@d"]\nport = 0', "5: [notify.email] port does not take 0."],
    [
      '[notify.email]\nhost = "x"\nfrom = "a@b"\nto = ["c@d"]\nuser = "u"',
      "5: [notify.email] user has no password with it.",
    ],
    [
      '[notify.email]\nhost = "x"\nfrom = "a@b"\nto = ["c@d"]\nuser = "u"\npassword_file = "p"\nsecurity = "none"',
      "7: [notify.email] security sends the password for all to read.",
    ],
    ["[notify]\ncommand = []", "2: [notify] command does not take []."],
    ...['resolver = "x"'].map((key) => [
      `[[rule]]\nmatch = {name = "x"}\n${key}`,
      `3: [[rule]] ${key.split(" ")[0]} belongs to a feature that this version does not have yet.`,
    ]),
    ['[[rule]]\nmatch = {name = "x"}\ngate = {}', "3: [[rule]] gate command is missing."],
    ['[[rule]]\nmatch = {name = "x"}\nafter = ["x"]', '3: [[rule]] after makes "x" wait for itself.'],
    ['[[rule]]\nmatch = {name = "x"}\nwindow = {from = "9:00"}', '3: [[rule]] window from does not take "9:00".'],
  ])("%j", async (text, sentence) => {
    expect((await problems(text))[0]).toBe(sentence);
  });

  test("TOML that is none", async () => {
    expect((await problems("[run]\nbatch_size = \n"))[0]).toMatch(/^2: this is not TOML: .+\.$/);
    expect((await problems("[run]\n[run]\n"))[0]).toMatch(/^2: this is not TOML: .+\.$/);
  });

  test("all of it at once, in the order of the file", async () => {
    const text =
      '[log]\nlevel = "loud"\n[gate]\n[run]\nbatch_size = 0\nfoo = 1\n[[rule]]\nmatch = {type = "x"}\napproval = 1';
    const lines = (await problems(text)).map((sentence) => Number(sentence.split(":")[0]));
    expect(lines).toEqual([2, 5, 6, 8, 9]);
  });

  test("loadConfig throws the first, counts the rest, exit code 2", async () => {
    const here = place("[run]\nbatch_size = 0\nfoo = 1");
    await expect(loadConfig(here)).rejects.toMatchObject({
      code: 2,
      sentence: `${here.flag}:2: [run] batch_size does not take 0.`,
      wayOut: "Give a whole number from 1 up. (1 more: orchestrator-merge config check)",
    });
  });

  test("a file that is named but missing, or is a directory", async () => {
    const cwd = temporaryDirectory();
    const missing = loadConfig({ flag: "gone.toml", env: home, cwd });
    await expect(missing).rejects.toMatchObject({
      code: 2,
      sentence: expect.stringContaining("(--config) is not there"),
    });
    const named = loadConfig({ flag: undefined, env: { ...home, ORCHESTRATOR_MERGE_CONFIG: cwd }, cwd });
    await expect(named).rejects.toMatchObject({ code: 2, sentence: expect.stringContaining("EISDIR") });
  });
});

describe("variables override the file", () => {
  test("with the same checks, and their own name in the error", async () => {
    const env = { ORCHESTRATOR_MERGE_RUN_BATCH_SIZE: "x", ORCHESTRATOR_MERGE_PUSH_TIMEOUT: "1" };
    expect(await problems("[run]\nbatch_size = 3", env)).toEqual([
      'ORCHESTRATOR_MERGE_RUN_BATCH_SIZE does not take "x".',
      'ORCHESTRATOR_MERGE_PUSH_TIMEOUT does not take "1".',
    ]);
  });

  test("as numbers, lists, paths seen from the current directory", async () => {
    const env = {
      ORCHESTRATOR_MERGE_RUN_BATCH_SIZE: "9",
      ORCHESTRATOR_MERGE_RUN_PARALLEL: "1",
      ORCHESTRATOR_MERGE_MERGE_TARGET: "5",
      ORCHESTRATOR_MERGE_MERGE_IGNORE_UNCOMMITTED: "*.a, *.b",
      ORCHESTRATOR_MERGE_MERGE_KEEP_TARGET: '["x,y"]',
      ORCHESTRATOR_MERGE_LOG_FILE: "here.log",
      ORCHESTRATOR_MERGE_LOG_LEVEL: "",
    };
    const { config, sources } = await loadConfig(place('[run]\nbatch_size = 3\n[log]\nlevel = "warn"', env));
    expect([config.run.batchSize, config.run.parallel, config.merge.target]).toEqual([9, 1, "5"]);
    expect([config.merge.ignoreUncommitted, config.merge.keepTarget]).toEqual([["*.a", "*.b"], ["x,y"]]);
    expect([config.log.file, config.log.level]).toEqual(["/cwd/here.log", "warn"]);
    expect(sources.get("run.batch_size")).toBe("environment ORCHESTRATOR_MERGE_RUN_BATCH_SIZE");
    expect(sources.get("log.level")).toBe("config file line 4");
  });

  test("of tables too, and secrets switch on what they are for, and are kept nowhere", async () => {
    const env = {
      ORCHESTRATOR_MERGE_NOTIFY_SLACK_URL: "https://hooks.example.com/hunter2",
      ORCHESTRATOR_MERGE_NOTIFY_WEBHOOK_URL: "https://ci.example.com/hunter2",
      ORCHESTRATOR_MERGE_NOTIFY_EMAIL_PASSWORD: "hunter2",
      ORCHESTRATOR_MERGE_NOTIFY_EMAIL_PORT: "2525",
      ORCHESTRATOR_MERGE_NOTIFY_DESKTOP: "true",
    };
    const file = '[notify.email]\nhost = "x"\nfrom = "a@b"\nto = ["c@d"]\nuser = "u"';
    const loaded = await loadConfig(place(file, env));
    const { slack, webhook, email, desktop } = loaded.config.notify;
    expect([slack, webhook?.url, email?.port, desktop]).toEqual([
      { urlFile: null },
      env.ORCHESTRATOR_MERGE_NOTIFY_WEBHOOK_URL,
      2525,
      true,
    ]);
    expect(JSON.stringify(listSettings(loaded))).not.toContain("hunter2");
  });

  test("without a file too", async () => {
    const cwd = temporaryDirectory();
    const env = { HOME: cwd, ORCHESTRATOR_MERGE_TAG_MODE: "off" };
    expect((await loadConfig({ flag: undefined, env, cwd })).config).toEqual({ ...defaults, tag: { mode: "off" } });
  });

  test("what is not built is refused, what is no setting is a warning", async () => {
    expect(await problems("", { ORCHESTRATOR_MERGE_RESOLVER_TIMEOUT: "5m" })).toEqual([
      "ORCHESTRATOR_MERGE_RESOLVER_TIMEOUT belongs to a feature that this version does not have yet.",
    ]);
    const env = { ORCHESTRATOR_MERGE_RUN_BACH_SIZE: "3", ORCHESTRATOR_MERGE_BASE: "x", ORCHESTRATOR_MERGE_RUN: "y" };
    expect((await loadConfig(place("", env))).warnings).toEqual([
      "ORCHESTRATOR_MERGE_RUN_BACH_SIZE is no setting and was ignored. Did you mean ORCHESTRATOR_MERGE_RUN_BATCH_SIZE?",
    ]);
  });
});

test("a secret in the database URL is refused and not repeated", async () => {
  for (const url of [
    "libsql://me:hunter2@host",
    "libsql://host?authToken=hunter2",
    "https://h/?a=b&authToken=hunter2",
  ]) {
    const found = await problems(`[queue]\ndatabase = "${url}"`);
    expect(found).toEqual(["2: [queue] database does not take a URL with a secret in it."]);
  }
  expect(await problems('[queue]\ndatabase = "libsql://host/a@b"')).toEqual([]);
});

test("the list of settings names every key once, in a notation that the file takes back", async () => {
  const loaded = await loadConfig(place(full));
  const settings = listSettings(loaded);
  const sections = new Map<string, string[]>();
  for (const { key, value } of settings) {
    const [section = "", name = ""] = key.split(".");
    // Of a gate's variables only the names are shown: a value may be a secret.
    const written = key === "gate.env" ? '{ CI = "yes" }' : toml(value);
    sections.set(section, [...(sections.get(section) ?? []), `${name} = ${written}`]);
  }
  const text = [...sections].map(([section, lines]) => `[${section}]\n${lines.join("\n")}`).join("\n");
  const { rules: _, ...written } = loaded.config;
  const { rules: __, ...again } = (await loadConfig(place(text))).config;
  expect(again).toEqual(written);
  expect(new Set(settings.map(({ source }) => source)).has("default")).toBe(false);
});

/** JSON is TOML, but for tables. */
const toml = (value: unknown): string =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? `{ ${Object.entries(value)
        .map(([key, inner]) => `${key} = ${JSON.stringify(inner)}`)
        .join(", ")} }`
    : JSON.stringify(value);

describe("the JSON Schema says what the parser says", () => {
  // Strict: a keyword that it does not know is an error, not ignored.
  const matches = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(configJsonSchema());
  test.each([
    [{}, true],
    [{ run: { batch_size: 5, merge_timeout: "5m", parallel: 1 } }, true],
    [{ rule: [{ match: { name: "x" }, trust: true, push: "off" }] }, true],
    [{ queue: { database: "libsql://host" }, merge: { keep_target: ["a/b"], strategy: "merge" } }, true],
    [{ run: { batch_size: 0 } }, false],
    [{ run: { batch_size: 1.5 } }, false],
    [{ run: { merge_timeout: "0s" } }, false],
    [{ run: { parallel: 2 } }, false],
    [{ run: { foo: 1 } }, false],
    [{ gate: {} }, true],
    [{ gate: { command: [] } }, false],
    [{ notify: { slack: { url_file: "x" }, email: { host: "h", from: "a@b", to: ["c@d"] } } }, true],
    [{ notify: { on: ["landed"] } }, false],
    [{ notify: { webhook: { url: "ftp://x" } } }, false],
    [{ notify: { email: { host: "h", from: "a@b", to: [] } } }, false],
    [{ notify: { email: { host: "h", from: "a@b", to: ["c@d"], port: 70000 } } }, false],
    [{ log: { max_size: "10" } }, false],
    [{ log: { level: "loud" } }, false],
    [{ log: { format: "yaml" } }, false],
    [{ merge: { target: "a b" } }, false],
    [{ merge: { strategy: "squash" } }, true],
    [{ merge: { strategy: "octopus" } }, false],
    [{ merge: { keep_target: ["/a"] } }, false],
    [{ queue: { database: "libsql://a:b@c" } }, false],
    [{ rule: [{ match: {} }] }, false],
    [{ rule: [{ trust: true }] }, false],
    [{ rule: [{ match: { type: "x" } }] }, false],
    [{ rule: [{ match: { type: "node", priority: ">= 5" }, window: { days: ["mon"] }, approval: true }] }, true],
    [{ rule: [{ match: { name: "x" }, window: false, freeze: { until: "2026-12-24" }, after: ["y"] }] }, true],
    [{ rule: [{ match: { name: "x" }, window: { days: [] } }] }, false],
    [{ rule: [{ match: { name: "x" }, window: { from: "9:00" } }] }, false],
    [{ rule: [{ match: { name: "x" }, freeze: {} }] }, false],
    [{ rule: [{ match: { name: "x" }, gate: [{ command: [] }] }] }, false],
    [{ rule: [{ match: { priority: 5 } }] }, false],
  ])("%j: %s", async (value, good) => {
    const { configSchema } = await import("../../src/host/config-schema.ts");
    expect(configSchema.safeParse(value).success).toBe(good);
    expect(matches(value)).toBe(good);
  });
});
