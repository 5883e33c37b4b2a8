import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { takeTranscript, transcriptIn, withoutChance } from "../docs/transcript.ts";
import { notBuilt, notBuiltValues } from "../src/host/config-schema.ts";
import setup from "./built.setup.ts";
import { cli, run } from "./helpers/cli.ts";
import { temporaryDirectory } from "./helpers/directory.ts";
import { sql } from "./helpers/queueDb.ts";

const root = join(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const pages = [
  "README.md",
  "CHANGELOG.md",
  "docs/configuration.md",
  "docs/rules.md",
  "docs/schema.md",
  "docs/states.md",
  "docs/recovery.md",
  "docs/threat-model.md",
  "docs/monitoring.md",
  "docs/notifications.md",
];
const blocks = (page: string, language: string): string[] =>
  [...read(page).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map((match) => match[1] ?? "");

beforeAll(setup);

/**
 * A person's home and a clone to type the README's commands in. The service manager is the one thing that is not there: a stand-in
 * takes down what it is told, refuses a unit that nobody has put in place, and says of the others that they are active. With the real
 * one: test/systemd.
 */
function sandbox() {
  const home = temporaryDirectory();
  const [clone, bin] = [join(home, "clone"), join(home, "bin")];
  for (const directory of [clone, bin]) mkdirSync(directory);
  for (const part of ["dist", "systemd"]) symlinkSync(join(root, part), join(clone, part));
  symlinkSync(process.execPath, join(bin, "node"));
  symlinkSync(join(root, "node_modules", "@deno", `linux-${process.arch}-glibc`, "deno"), join(bin, "deno"));
  const [told, runtime] = [join(home, "told"), join(home, "runtime")];
  mkdirSync(runtime);
  for (const name of ["systemctl", "loginctl", "journalctl"]) {
    const script = `#!/bin/sh
      echo "${name} $*" >> '${told}'
      for word; do case $word in *.service|*.timer) test -e "$HOME/.config/systemd/user/$word" || exit 1; esac; done
      case "$*" in "--user show "*ActiveState*) echo active ;; "--user show "*UnitFileState*) echo enabled ;; esac\n`;
    writeFileSync(join(bin, name), script);
    chmodSync(join(bin, name), 0o755);
  }
  const env = {
    HOME: home,
    XDG_RUNTIME_DIR: runtime,
    PATH: `${home}/.local/bin:${bin}:${process.env["PATH"]}`,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_AUTHOR_NAME: "Pat User",
    GIT_AUTHOR_EMAIL: "pat@example.com",
    GIT_COMMITTER_NAME: "Pat User",
    GIT_COMMITTER_EMAIL: "pat@example.com",
    DENO_NO_UPDATE_CHECK: "1",
  };
  return {
    home,
    told: () => readFileSync(told, "utf8").trim().split("\n"),
    /** Types a block into a shell, in the clone; throws with what was said when a line of it fails. */
    async type(block: string): Promise<string> {
      const result = await run("sh", ["-eux", "-c", block], { cwd: clone, env });
      if (result.code !== 0) throw new Error(`exit ${result.code} of:\n${block}\n${result.stdout}${result.stderr}`);
      return result.stdout;
    },
  };
}

describe("the README", () => {
  test("every shell command of it works, in its order, as somebody would type them", async () => {
    const { home, type, told } = sandbox();
    const said = new Map<string, string>();
    let removed: string | undefined;
    for (const block of blocks("README.md", "sh")) {
      if (block.startsWith("npm ")) continue;
      if (block.includes("\nrm ")) {
        removed = block;
        continue;
      }
      said.set(block.split(" ")[0] ?? "", await type(block));
    }
    const status: unknown = JSON.parse(await type("orchestrator-merge status --id 1 --json"));
    expect(status).toMatchObject({ projects: [{ name: "shop-discounts", mergedStatus: "merged", push: "none" }] });
    expect(said.get("orchestrator-merge")).toMatch(/🔀\[MERGED\].*shop-discounts/);
    expect(said.get("orchestrator-merge")).toMatch(
      /tag: integration-.*\) Merge integration from shop-discounts: shop-discounts/,
    );
    expect(readFileSync(join(home, "shop", "cart.txt"), "utf8")).toContain("discount");
    expect(said.get("node")?.match(/🔀\[MERGED\] +shop-discounts/g)).toHaveLength(2);
    expect(told()).toContain("systemctl --user enable tmux-orchestrator-auto-merge.timer");

    expect(removed).toBeDefined();
    await type(removed ?? "");
    expect(existsSync(join(home, ".local", "bin", "orchestrator-merge"))).toBe(false);
    expect(told()).toContain("systemctl --user disable --now tmux-orchestrator-auto-merge.timer");
    await expect(type("systemctl --user start tmux-orchestrator-auto-merge.service")).rejects.toThrow("exit 1");
  });

  test("npm start and npm test are all of its npm commands, and npm start works", async () => {
    const commands = blocks("README.md", "sh").filter((block) => block.startsWith("npm "));
    expect(commands).toEqual(["npm start\n", "npm test\n"]);
    const home = temporaryDirectory();
    const result = await run("npm", ["start"], { cwd: root, env: { HOME: home, COLUMNS: "100" } });
    expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining("3 merged, 1 failed, 1 held") });
  });

  test("its transcript is what demo prints (renew it: node build.mjs --run docs/transcript.ts)", () => {
    expect(withoutChance(transcriptIn(read("README.md")))).toEqual(withoutChance(takeTranscript()));
  });

  test.each(["README.md", "docs/configuration.md", "docs/notifications.md"])(
    "the configuration in %s is right",
    async (page) => {
      const files = Object.fromEntries(blocks(page, "toml").map((block, index) => [`${index}.toml`, block]));
      expect(Object.keys(files)).not.toHaveLength(0);
      const directory = temporaryDirectory(files);
      for (const file of Object.keys(files)) {
        expect(await cli(["config", "check", "--config", join(directory, file)])).toMatchObject({ code: 0 });
      }
    },
  );
});

describe("every page", () => {
  test.each(pages)("%s leads to files that are there, and to no place of one machine", (page) => {
    const text = read(page);
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => join(root, page, "..", match[1] ?? ""));
    const sources = [...text.matchAll(/`((?:src|docs|test|systemd|build)\/[^`*<]+)`/g)].map((match) =>
      join(root, match[1] ?? ""),
    );
    expect([...links, ...sources].filter((file) => !existsSync(file))).toEqual([]);
    expect(text).not.toMatch(/(^|[\s`"(])\/(root|work|home|tmp|Users)\//m);
  });
});

/** The cells of every table row of a page that begins with a name in backquotes, by `<last heading> <name>`. */
function tableRows(page: string): Map<string, string[]> {
  const rows = new Map<string, string[]>();
  let heading = "";
  for (const line of read(page).split("\n")) {
    heading = /^## (.*)/.exec(line)?.[1]?.replaceAll("`", "") ?? heading;
    const cells = line.split("|").map((cell) => cell.trim());
    const name = /^`(\w+)`/.exec(cells[1] ?? "")?.[1];
    if (line.startsWith("|") && name !== undefined) rows.set(`${heading} ${name}`, cells.slice(1, -1));
  }
  return rows;
}

const shownSettings = z.object({ settings: z.array(z.object({ key: z.string(), value: z.unknown() })) });
const ruleSchema = z.object({
  properties: z.object({
    rule: z.object({
      items: z.object({
        properties: z.looseObject({ match: z.object({ properties: z.record(z.string(), z.unknown()) }) }),
      }),
    }),
  }),
});

/** Every effective setting of a host that has no configuration. */
async function defaultSettings() {
  return shownSettings.parse(JSON.parse((await cli(["config", "show", "--json"])).stdout)).settings;
}

describe("docs/configuration.md", () => {
  const rows = tableRows("docs/configuration.md");

  test("has every key with its default, and none that is not there", async () => {
    const settings = await defaultSettings();
    const written = new Map([...rows].filter(([key]) => !key.startsWith("[[")));
    for (const { key, value } of settings) {
      const [section, name] = key.split(".");
      const cell = written.get(`[${section}] ${name}`)?.[1];
      if (key === "log.file") expect(cell).toContain("logs/auto_merge.log");
      else expect({ key, cell }).toEqual({ key, cell: value === null ? "not set" : `\`${inToml(value)}\`` });
    }
    expect(written.size).toBe(settings.length);
  });

  test("has every key of a rule", async () => {
    const schema = ruleSchema.parse(JSON.parse((await cli(["config", "schema"])).stdout));
    const { match, ...keys } = schema.properties.rule.items.properties;
    const written = [...rows.keys()]
      .filter((key) => key.startsWith("[[rule]]"))
      .map((key) => key.slice("[[rule]] ".length));
    expect(written.sort()).toEqual(Object.keys(keys).sort());
    for (const key of Object.keys(match.properties)) expect(read("docs/configuration.md")).toContain(`\`${key}\` (`);
  });

  test("names what is not built yet", () => {
    const text = read("docs/configuration.md").split("## Not built yet")[1] ?? "";
    const names = [...notBuilt].flatMap(([table, keys]) => {
      if (!table.startsWith("rule")) return [`[${table}]`];
      return keys.map((key) => (table === "rule.match" ? `match.${key}` : key));
    });
    const values = [...notBuiltValues.keys()].map((key) => key.split(".")[1] ?? "");
    for (const name of [...names, ...values]) expect(text).toContain(`\`${name}\``);
  });
});

const inToml = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map((item) => JSON.stringify(item)).join(", ")}]` : JSON.stringify(value);

test("docs/schema.md has every table of ours with every column, and every index that project_queue gains", async () => {
  const db = join(temporaryDirectory(), "task_queue.db");
  expect(await cli(["migrate", "--db", db])).toMatchObject({ code: 0 });
  const rows = tableRows("docs/schema.md");
  const written = [...rows].filter(([key]) => key.includes(" merge_"));
  const tables = await sql(
    db,
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'merge_%' ORDER BY name",
  );
  expect(written.map(([key]) => basename(key.replaceAll(" ", "/"))).sort()).toEqual(tables.map(({ name }) => name));
  for (const [key, cells] of written) {
    const columns = await sql(db, "SELECT name FROM pragma_table_info(?) ORDER BY cid", [key.split(" ").at(-1) ?? ""]);
    const named = [...(cells[1] ?? "").matchAll(/`(\w+)`/g)].map((match) => match[1]);
    expect({ key, named }).toEqual({ key, named: columns.map(({ name }) => name) });
  }
  const indexes = await sql(
    db,
    `SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'project_queue'
       AND (name LIKE 'merge_%' OR name IN ('idx_merged_status','idx_status_merged'))`,
  );
  expect(indexes.length).toBeGreaterThan(0);
  for (const { name } of indexes) expect(read("docs/schema.md")).toContain(`\`${name}\``);
});

describe("the units", () => {
  const unit = (kind: string) => read(`systemd/tmux-orchestrator-auto-merge.${kind}`).replaceAll(/^#.*\n/gm, "");

  test("start what the README puts in place, and count a failed project and a busy queue as success", () => {
    const [install = ""] = blocks("README.md", "sh").filter((block) => block.startsWith("install "));
    expect(install).toContain(" ~/.local/bin/orchestrator-merge\n");
    expect(unit("service")).toMatch(/^ExecStart=%h\/\.local\/bin\/orchestrator-merge run$/m);
    expect(unit("service")).toMatch(/^SuccessExitStatus=4 75 143$/m);
    expect(unit("service")).toMatch(/^Type=oneshot$/m);
  });

  test("name no home, wait for no network, and leave the timer running when the service stops", () => {
    for (const kind of ["service", "timer"]) {
      expect(unit(kind)).not.toMatch(/\/home\/|\/root\/|network|Requires=|BindsTo=|PartOf=/);
    }
    // Nothing but the timer starts the service by itself.
    expect(unit("service")).not.toContain("[Install]");
    expect(unit("timer")).toMatch(/^WantedBy=timers\.target$/m);
  });

  test("give a run longer than it takes new projects for", async () => {
    expect(await defaultSettings()).toContainEqual(expect.objectContaining({ key: "run.max_runtime", value: "9m" }));
    expect(Number(/^TimeoutStartSec=(\d+)$/m.exec(unit("service"))?.[1])).toBeGreaterThan(9 * 60);
  });
});
