import { hostname } from "node:os";
import { expect, test } from "vitest";
import { hasLinks, linker } from "../../src/commands/links.ts";
import { painter } from "../../src/commands/paint.ts";
import { columnsOf, table } from "../../src/commands/table.ts";
import { nextStep } from "../../src/core/next-step.ts";
import { failures, holds } from "../../src/core/reasons.ts";

test.each<[Record<string, string>, boolean]>([
  [{ TERM: "xterm-256color" }, false],
  [{ TERM: "xterm-256color", VTE_VERSION: "7200" }, true],
  [{ TERM: "xterm-256color", VTE_VERSION: "4800" }, false],
  [{ TERM: "xterm-kitty" }, true],
  [{ TERM: "xterm-256color", TERM_PROGRAM: "vscode" }, true],
  [{ TERM: "xterm-256color", WT_SESSION: "x" }, true],
  [
    { TERM: "tmux-256color", TMUX: "x", TERM_PROGRAM: "tmux", TERM_PROGRAM_VERSION: "3.3a", VTE_VERSION: "7200" },
    false,
  ],
  [{ TERM: "tmux-256color", TMUX: "x", TERM_PROGRAM: "tmux", TERM_PROGRAM_VERSION: "3.4" }, true],
  [{ TERM: "xterm-kitty", FORCE_HYPERLINK: "0" }, false],
  [{ TERM: "xterm", FORCE_HYPERLINK: "1" }, true],
  [{ TERM: "dumb", FORCE_HYPERLINK: "1" }, false],
])("a terminal of %j has hyperlinks: %s", (env, has) => {
  expect(hasLinks(env, true)).toBe(has);
  expect(hasLinks(env, false)).toBe(false); // never in a pipe, whatever is forced
});

test("a link leads to the path on this host, takes no column, and holds nothing that a terminal would obey", () => {
  const link = linker(true);
  expect(link("shop", "/home/a b/shop")).toBe(`\x1b]8;;file://${hostname()}/home/a%20b/shop\x1b\\shop\x1b]8;;\x1b\\`);
  expect(columnsOf(link("支払い", "/p"))).toBe(6);
  expect(link("x", "/p\x1b\\\x07\n支#?")).toBe(
    `\x1b]8;;file://${hostname()}/p%1B%5C%07%0A%E6%94%AF%23%3F\x1b\\x\x1b]8;;\x1b\\`,
  );
  for (const path of [null, "", "relative", "ssh://host/x"]) expect(link("shop", path)).toBe("shop");
  expect(linker(false)("shop", "/home")).toBe("shop");
});

test("in a table the shortened text is what is linked", () => {
  const columns = [{ title: "NAME", least: 4 }];
  const [, row] = table(columns, [[{ text: "a-long-name", path: "/p" }]], {
    ...{ width: 6, paint: painter(false), link: linker(true) },
  });
  expect(row).toBe(`\x1b]8;;file://${hostname()}/p\x1b\\a-lon…\x1b]8;;\x1b\\`);
});

test("every reason has a next step that fits beside it", () => {
  for (const reason of failures) expect(nextStep("failed", reason, 1234).length, reason).toBeLessThanOrEqual(45);
  for (const reason of holds) expect(nextStep("held", reason, 1234).length, reason).toBeLessThanOrEqual(45);
  expect(nextStep("failed", "no_target_branch", 7)).toBe("name it: [merge] target, then retry 7");
  expect(nextStep("failed", "unrelated_histories", 7)).toBe("retry 7");
  expect(nextStep("failed", null, 7)).toBe("retry 7");
});
