import type { Command } from "./frame.ts";
import type { Listed } from "./help.ts";

type Entry = Listed & { readonly load: () => Promise<{ readonly default: Command }> };

const entry = (group: string, name: string, summary: string, load: Entry["load"]): Entry => ({
  group,
  name,
  summary,
  load,
});

/** The commands that work, in the order of the help. Each module is loaded when its command is called, and not before. */
export const commands: readonly Entry[] = [
  entry("Landing", "run", "land finished projects: one tick", () => import("./run.ts")),
  entry("Landing", "retry", "put failed projects back in line", () => import("./retry.ts")),
  entry("Landing", "approve", "let a held project land, as it is now", () => import("./approve.ts")),
  entry("Landing", "reject", "refuse a project, with a reason", () => import("./reject.ts")),
  entry("Landing", "tag", "give tags to projects, for rules", () => import("./tag.ts")),
  entry("Landing", "add", "enqueue a finished project by hand", () => import("./add.ts")),
  entry("Looking", "status", "the queue: what waits, is held, failed, landed", () => import("./status.ts")),
  entry("Looking", "explain", "why a project is where it is, and what to do", () => import("./explain.ts")),
  entry("Looking", "stats", "success rate, time to land, history", () => import("./stats.ts")),
  entry("Looking", "logs", "a project's story across runs", () => import("./logs.ts")),
  entry("Looking", "dashboard", "the queue in a browser, and /metrics", () => import("./dashboard.ts")),
  entry("Looking", "audit", "prove from git what says merged", () => import("./audit.ts")),
  entry("Looking", "notify", "test the notifiers; what is still to be told", () => import("./notify.ts")),
  entry("Setting up", "migrate", "make or update the queue database", () => import("./migrate.ts")),
  entry("Setting up", "config", "show or check the configuration", () => import("./config.ts")),
  entry("Setting up", "install", "let the timer of systemd run it", () => import("./install.ts")),
  entry("Setting up", "uninstall", "remove the timer", () => import("./uninstall.ts")),
  entry("Setting up", "doctor", "check this host; each trouble with its fix", () => import("./doctor.ts")),
  entry("Setting up", "completion", "complete commands with TAB", () => import("./completion.ts")),
  entry("Setting up", "demo", "try everything on a sandbox", () => import("./demo.ts")),
];
