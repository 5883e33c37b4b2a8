import { hostname } from "node:os";
import { pathToFileURL } from "node:url";

/** Makes of text one that leads to a file or directory when it is clicked, or leaves it as it is. */
export type Link = (text: string, path: string | null) => string;

type Variables = Readonly<Record<string, string | undefined>>;

export const noLink: Link = (text) => text;

/**
 * Whether the terminal on stdout has hyperlinks (OSC 8), as far as its environment tells: the terminals of
 * https://github.com/Alhadis/OSC8-Adoption that give themselves away. FORCE_HYPERLINK decides where that is wrong: 0 is never, anything
 * else always; but nothing makes a link in a pipe.
 */
export function hasLinks(env: Variables, isTerminal: boolean): boolean {
  if (!isTerminal || env["TERM"] === "dumb") return false;
  const forced = env["FORCE_HYPERLINK"];
  if (forced !== undefined && forced !== "") return forced !== "0" && forced !== "false";
  const version = (name: string): number => Number.parseFloat(env[name] ?? "") || 0;
  // tmux swallowed them before 3.4; inside it the other variables are those of the terminal in which it was started.
  if (env["TMUX"] || env["TERM_PROGRAM"] === "tmux") return version("TERM_PROGRAM_VERSION") >= 3.4;
  if (env["STY"]) return false; // screen
  // Before 0.50 a long link could bring the terminal down.
  if (env["VTE_VERSION"]) return version("VTE_VERSION") >= 5000 && env["VTE_VERSION"] !== "5000";
  return (
    ["iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "rio", "Tabby"].includes(env["TERM_PROGRAM"] ?? "") ||
    /^(xterm-kitty|xterm-ghostty|alacritty|foot|contour|wezterm|rio)/.test(env["TERM"] ?? "") ||
    ["WT_SESSION", "KONSOLE_VERSION", "DOMTERM", "KITTY_WINDOW_ID"].some((name) => Boolean(env[name]))
  );
}

/** Gives the function that makes links, or leaves text alone. Paths that are not absolute lead nowhere. */
export function linker(on: boolean): Link {
  if (!on) return noLink;
  const host = hostname();
  return (text, path) => {
    if (path?.startsWith("/") !== true || text === "") return text;
    // With the host, so that a terminal that shows another machine does not open a file of this one.
    return `\x1b]8;;file://${host}${pathToFileURL(path).pathname}\x1b\\${text}\x1b]8;;\x1b\\`;
  };
}
