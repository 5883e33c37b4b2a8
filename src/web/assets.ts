import icon from "./page/icon.svg?text";
import html from "./page/index.html?text";
import script from "./page/main.ts?text";
import style from "./page/page.css?text";

/** The files of the page: path, type, content. The build makes one text of each (build/page.mjs). */
export const pageFiles: readonly (readonly [path: string, type: string, text: string])[] = [
  ["/", "text/html; charset=utf-8", html],
  ["/page.js", "text/javascript; charset=utf-8", script],
  ["/page.css", "text/css; charset=utf-8", style],
  ["/icon.svg", "image/svg+xml", icon],
];
