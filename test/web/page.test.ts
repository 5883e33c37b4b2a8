import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import * as z from "zod";
import { makeDemoQueue } from "../../docs/demo-queue.ts";
import { type Served, startDashboard } from "../helpers/dashboard.ts";
import { haveDebianPackage } from "../helpers/debian.ts";
import { temporaryDirectory } from "../helpers/directory.ts";
import { queueOf, tick } from "../helpers/landing.ts";
import { attempt, remember } from "../helpers/memory.ts";
import { insertRows, queueDb, sql } from "../helpers/queueDb.ts";
import { makeRepo, withProject } from "../helpers/repo.ts";

const haveChromium = haveDebianPackage("chromium", ["chromium", "--version"]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const projects = 10_000;

let browser: Browser;
let directory: string;
/** A queue of many projects, for all tests that only look. */
let crowd: Served;

beforeAll(async () => {
  if (!haveChromium) return;
  directory = mkdtempSync(join(tmpdir(), "page-"));
  const db = join(directory, "task_queue.db");
  await makeDemoQueue(db, projects, Date.now());
  [browser, crowd] = await Promise.all([
    chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] }),
    startDashboard(db),
  ]);
});
afterAll(async () => {
  await browser?.close();
  await crowd?.stop();
  if (directory !== undefined) rmSync(directory, { recursive: true });
});

type Look = { readonly path?: string; readonly dark?: boolean; readonly phone?: boolean };

/** Opens the page and waits until it is live. Whatever it says on the console, or loads from elsewhere, fails the test. */
async function open(server: Served, { path = "", dark = false, phone = false }: Look = {}): Promise<Page> {
  const viewport = phone ? { width: 390, height: 844 } : { width: 1280, height: 900 };
  const page = await browser.newPage({ viewport, colorScheme: dark ? "dark" : "light" });
  const said: string[] = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => said.push(`dialog: ${dialog.message()}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(server.url)) said.push(`request: ${request.url()}`);
  });
  onTestFinished(async () => {
    await page.close();
    expect(said).toEqual([]);
  });
  await page.goto(server.url + path);
  await page.getByText("Live", { exact: true }).waitFor();
  await page
    .locator(path === "" ? "tr[data-id]" : "article")
    .first()
    .waitFor();
  return page;
}

const found = z.array(z.object({ id: z.string(), nodes: z.array(z.object({ html: z.string() })) }));

/** What axe-core has against the page, by rule: WCAG 2.2 A and AA, and its own good practices. */
async function violations(page: Page, part = "html"): Promise<string[]> {
  await page.evaluate(axe);
  const result = found.parse(await page.evaluate(`axe.run("${part}").then((result) => result.violations)`));
  return result.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

describe.runIf(haveChromium)("the page", () => {
  const failed = `#/project/${projects - 4}`;
  test.each<[string, Look]>([
    ["light", {}],
    ["dark, on a phone", { phone: true, dark: true }],
    ["a failed project in the dark", { path: failed, dark: true }],
    ["a failed project on a phone", { path: failed, phone: true }],
  ])("%s: axe-core has nothing against it, and nothing sticks out", async (_, look) => {
    const page = await open(crowd, look);
    expect(await violations(page)).toEqual([]);
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
  });

  test("the charts are drawn, and told to who does not see them", async () => {
    const page = await open(crowd);
    for (const name of [
      /^Landed and failed on each day: [\d,]+ merged, \d+ failed$/,
      /^Time to land: half within .+, 95 % within .+$/,
    ]) {
      const chart = page.getByRole("img", { name });
      await chart.waitFor();
    }
    const inks = await page.evaluate(`[...document.querySelectorAll("canvas")].map((canvas) =>
      new Set(new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size)`);
    expect(inks).toEqual([expect.any(Number), expect.any(Number)]);
    for (const colours of z.array(z.number()).parse(inks)) expect(colours).toBeGreaterThan(3);
  });

  test("filters and search show what they say, and another page of it", async () => {
    const page = await open(crowd);
    const rows = page.locator("tr[data-id]");
    const status = page.locator(".range");
    expect(await status.textContent()).toBe("1–50 of 10,000");
    expect(await rows.count()).toBe(50);
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("51–100 of 10,000").waitFor();
    expect(await rows.count()).toBe(50);

    await page.getByRole("button", { name: /^Held/ }).click();
    await page.getByText("1–3 of 3").waitFor();
    expect(await rows.locator(".badge").allTextContents()).toEqual(["Held", "Held", "Held"]);
    expect(await page.getByRole("button", { name: /^Held/ }).getAttribute("aria-pressed")).toBe("true");

    await page.getByRole("button", { name: /^All/ }).click();
    await page.getByRole("searchbox").fill("CHECKOUT_api");
    await rows.first().getByText("checkout_api").waitFor();
    expect(new Set(await rows.locator("a bdi").allTextContents())).toEqual(new Set(["checkout_api"]));
    await page.getByRole("searchbox").fill("#4711");
    await page.getByText("1–1 of 1").waitFor();
    expect(await rows.getAttribute("data-id")).toBe("4711");
    await page.getByRole("searchbox").fill("nobody has this");
    await page.getByText("No such project.").waitFor();
  });

  test("everything is done by keys", async () => {
    const page = await open(crowd);
    const focused = (): Promise<unknown> => page.evaluate("document.activeElement?.textContent");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Skip to the content");
    await page.keyboard.press("/");
    expect(await page.evaluate("document.activeElement?.id")).toBe("search");
    await page.keyboard.type("gate failed");
    await page.getByText("Failed", { exact: true }).last().waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("1–50 of 10,000").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    const first = await page.locator("tr[data-id] a").first().textContent();
    expect(await focused()).toBe(first);
    await page.keyboard.press("Enter");
    await page.locator("article h1:focus").waitFor();
    expect(await page.locator("article h1 bdi").textContent()).toBe(first?.split(" ")[1]);
    await page.keyboard.press("Escape");
    await page.locator("tr[data-id]").first().waitFor();
    await page.keyboard.press("?");
    const help = page.getByRole("dialog", { name: "Keys" });
    await help.waitFor();
    expect(await violations(page, "dialog")).toEqual([]);
    await page.keyboard.press("Escape");
    await help.waitFor({ state: "hidden" });
  });

  test("10,000 projects stay smooth: few elements, short answers, no long task", async () => {
    const page = await open(crowd);
    await page.evaluate(
      "longest = 0; new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) longest = Math.max(longest, duration); }).observe({ type: 'longtask' })",
    );
    const took: number[] = [];
    for (const query of ["offset=0", "offset=9950", "state=merged&offset=5000", "search=checkout", "search=zzz"]) {
      const began = performance.now();
      await (await fetch(`${crowd.url}api/queue?${query}`)).arrayBuffer();
      took.push(Math.round(performance.now() - began));
    }
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("51–100 of 10,000").waitFor();
    const [elements, longest] = z
      .tuple([z.number(), z.number()])
      .parse(await page.evaluate("[document.querySelectorAll('*').length, longest]"));
    console.info(
      `10,000 projects: answers in ${took.join(", ")} ms, ${elements} elements, longest task ${Math.round(longest)} ms`,
    );
    expect(elements).toBeLessThan(2500);
    expect(Math.max(...took)).toBeLessThan(1500);
    expect(longest).toBeLessThan(500);
  });
});

describe.runIf(haveChromium)("live", () => {
  // Again, because a host that does other things for a second shows nothing within it.
  test("a landing is shown within a second, and a project that comes meanwhile", { retry: 2 }, async () => {
    const repo = makeRepo();
    const db = await queueOf(repo, withProject(repo, "first").spec);
    const server = await startDashboard(db);
    onTestFinished(async () => void (await server.stop()));
    const page = await open(server);
    const row = (id: number) => page.locator(`tr[data-id="${id}"]`);
    expect(await row(1).locator(".badge").textContent()).toBe("Waiting");
    await row(1).locator("a").focus();
    // When the page shows it, by its own clock, which is that of the row that says when it landed.
    await page.evaluate(`void (shownAt = new Promise((shown) => new MutationObserver(() => {
      if (document.querySelector('tr[data-id="1"].merged') !== null) shown(Date.now());
    }).observe(document.body, { subtree: true, childList: true })))`);
    expect((await tick(db)).report.summary).toMatchObject({ merged: 1 });
    const shownAt = z.number().parse(await page.evaluate("shownAt"));
    const [landed] = await sql(db, "SELECT finished_at FROM merge_attempt WHERE outcome = 'merged'");
    const late = shownAt - Number(landed?.["finished_at"]);
    console.info(`shown ${late} ms after it was recorded`);
    expect(late).toBeLessThan(1000);
    expect(await page.locator(".timeline li").first().textContent()).toMatch(/^first merged/);
    expect(await page.evaluate("document.activeElement?.closest('tr')?.dataset.id")).toBe("1");

    await insertRows(db, [{ id: 2, status: "queued" }]);
    await row(2).waitFor({ timeout: 3000 });
    expect(await row(2).locator(".badge").textContent()).toBe("queued");
  });

  test("a dashboard that ended is told, and its return", async () => {
    const db = await queueDb(temporaryDirectory(), { rows: [{ id: 1 }] });
    const server = await startDashboard(db);
    const page = await browser.newPage();
    onTestFinished(() => page.close());
    await page.goto(server.url);
    await page.getByText("Live", { exact: true }).waitFor();
    await server.stop();
    await page.getByText("Not connected").waitFor();
    const again = await startDashboard(db, ["--port", new URL(server.url).port]);
    onTestFinished(async () => void (await again.stop()));
    await insertRows(db, [{ id: 2 }]);
    await page.locator('tr[data-id="2"]').waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
  });
});

describe.runIf(haveChromium)("hostile text", () => {
  const names = [
    "<script>alert(1)<\u2044script>",
    "<img src=x onerror=alert(1)>",
    "\"onmouseover='alert(1)'",
    "rtl\u202egnp.exe",
    "\u05d0\u05d1\u05d2",
    "bell\u0007\u001b[31mred\u001b[0m",
    "line\nbreak\ttab",
    "zero\u200bwidth\ufeff",
    "javascript:alert(1)",
    "{{7*7}}$(7*7)",
    "a".repeat(3000),
  ];

  test("is shown and never run, on the queue and on a project's page", async () => {
    const rows = names.map((name, i) => ({ id: i + 1, spec_path: `/specs/${name}.md`, project_path: `/${name}` }));
    const db = await queueDb(temporaryDirectory(), { rows });
    for (const [i, name] of names.entries()) {
      const told = { reason: name, detail: name };
      const more = {
        ...told,
        output: name,
        conflicts_json: JSON.stringify([name]),
        warnings_json: JSON.stringify([name]),
      };
      const gates_json = JSON.stringify([{ name, verdict: "fail", exitCode: 1, durationMs: 2000, tree: name }]);
      const heads_json = JSON.stringify([{ role: name, oid: name, branch: name, worktree: name }]);
      await attempt(db, i + 1, "merge_failed", {
        ...more,
        gates_json,
        heads_json,
        target: name,
        tag: name,
        finished_at: Date.now(),
      });
      await sql(db, "UPDATE project_queue SET merged_status = 'merge_failed' WHERE id = ?", [i + 1]);
      await remember(db, i + 1, "failed", { recorded_status: "merge_failed", ...told, attempt_id: `A${i + 1}` });
    }
    const server = await startDashboard(db);
    onTestFinished(async () => void (await server.stop()));
    const page = await open(server);
    const text = (id: number): Promise<string | null> => page.locator(`tr[data-id="${id}"] .name bdi`).textContent();
    expect(await text(1)).toBe("<script>alert(1)<\u2044script>");
    expect(await text(2)).toBe("<img src=x onerror=alert(1)>");
    expect(await text(4)).toBe("rtl\\u{202e}gnp.exe");
    expect(await text(5)).toBe("\u05d0\u05d1\u05d2");
    expect(await text(6)).toBe("bell\\x07\\x1b[31mred\\x1b[0m");
    expect(await text(7)).toBe("line\\nbreak\\ttab");
    expect(await text(8)).toBe("zero\\u{200b}width\\u{feff}");
    expect(await text(10)).toBe("{{7*7}}$(7*7)");
    for (const [i] of names.entries()) {
      await page.goto(`${server.url}#/project/${i + 1}`);
      await page.locator(`article h1:has-text("#${i + 1}")`).waitFor();
      await page.locator(".attempt .steps").getByText("Gate", { exact: true }).waitFor();
      expect(await page.locator("script, img:not(.brand img), [onerror], [onmouseover]").count()).toBe(1);
      const over = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      expect(Number(over)).toBeLessThanOrEqual(0);
    }
    expect(await violations(page)).toEqual([]);
  });
});
