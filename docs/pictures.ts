// Makes docs/dashboard.png, the picture in README.md, from the built program, with Debian's chromium and fonts-inter.
// With a directory as argument, more pictures into that. Run: node build.mjs --run docs/pictures.ts [DIRECTORY]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";
import { makeDemoQueue } from "./demo-queue.ts";

const root = join(import.meta.dirname, "..");

/** Takes the page in all the shapes that one wants to look at, or the README's alone. */
async function takePictures(directory: string): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "pictures-"));
  const db = join(home, ".local", "state", "orchestrator-merge", "task_queue.db");
  mkdirSync(dirname(db), { recursive: true });
  await makeDemoQueue(db, 214, Date.now());
  const env = { PATH: process.env["PATH"], HOME: home };
  const server = spawn(join(root, "dist", "orchestrator-merge"), ["dashboard", "--port", "0"], {
    cwd: home,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = await once(server.stdout, "data");
  const url = String(said).trim();
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    for (const [name, width, height, colorScheme, path] of [
      ["dashboard", 1360, 1000, "light", ""],
      ["dashboard-dark", 1360, 1000, "dark", ""],
      ["dashboard-phone", 390, 844, "light", ""],
      ["project", 1360, 1000, "light", "#/project/210"],
      ["project-phone", 390, 844, "dark", "#/project/210"],
    ] as const) {
      if (process.argv[2] === undefined && name !== "dashboard") continue;
      const page = await browser.newPage({
        viewport: { width, height },
        colorScheme,
        deviceScaleFactor: name === "dashboard" ? 1.5 : 1,
      });
      page.on("console", (message) => console.error(`${name}: ${message.text()}`));
      page.on("pageerror", (error) => console.error(`${name}: ${error.stack}`));
      await page.goto(url + path);
      await page.getByText("Live", { exact: true }).waitFor();
      await page
        .locator(path === "" ? "tr[data-id]" : ".attempt")
        .first()
        .waitFor();
      await page.screenshot({ path: join(directory, `${name}.png`), fullPage: width < 500 });
      await page.close();
    }
  } finally {
    await browser.close();
    server.kill("SIGTERM");
    await once(server, "exit");
    rmSync(home, { recursive: true, force: true });
  }
}

await takePictures(process.argv[2] ?? import.meta.dirname);
