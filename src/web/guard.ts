import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import type { Context, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";

/** Who may ask. Everybody on this host without a token; with one, only who has it. */
export type Guard = { readonly host: string; readonly token: string | null };

const cookie = "orchestrator_merge";

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

/**
 * Lets through GET and HEAD by whom we know, from no page but our own. A page of another origin in the same browser cannot read our
 * answers anyway (no CORS header is ever sent); this keeps it from asking, and from reaching us under a name of its own that leads to
 * this host (DNS rebinding): without a token only this host's own names are answered. With one its cookie does that, since it is of
 * one name.
 */
export function guarded({ host, token }: Guard): MiddlewareHandler {
  const names = new Set(["localhost", "127.0.0.1", "::1", host]);
  return async (c, next) => {
    if (c.req.method !== "GET" && c.req.method !== "HEAD") {
      return c.text("Only GET and HEAD: this page changes nothing.\n", 405, { allow: "GET, HEAD" });
    }
    const url = new URL(c.req.url);
    if (token === null && !names.has(url.hostname.replace(/^\[|\]$/g, ""))) {
      return c.text(`This is not ${url.host}. Ask for localhost.\n`, 403);
    }
    const origin = c.req.header("origin");
    if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === url.host)) {
      return c.text("A page of another origin gets nothing here.\n", 403);
    }
    const site = c.req.header("sec-fetch-site");
    // A link to the page is no reason to refuse: it is neither framed nor read by who has the link.
    const followed = c.req.header("sec-fetch-mode") === "navigate" && c.req.header("sec-fetch-dest") === "document";
    if (site !== undefined && site !== "same-origin" && site !== "none" && !followed) {
      return c.text("A page of another site gets nothing here.\n", 403);
    }
    return token === null ? await next() : await demandToken(c, token, url, next);
  };
}

async function demandToken(c: Context, token: string, url: URL, next: () => Promise<void>) {
  const given = url.searchParams.get("token");
  if (given !== null && url.pathname === "/") {
    if (!same(given, token)) return c.text("This is not the token.\n", 401);
    setCookie(c, cookie, proof(token), { httpOnly: true, sameSite: "Strict", path: "/", maxAge: 30 * 86_400 });
    return c.redirect("/", 303);
  }
  const bearer = /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  if (bearer !== undefined ? same(bearer, token) : same(getCookie(c, cookie) ?? "", proof(token))) return await next();
  return c.text("A token is wanted: open /?token=... once, or send it as Authorization: Bearer ...\n", 401, {
    "www-authenticate": "Bearer",
  });
}

/** What the browser keeps: proves that it had the token, and does not tell it. */
const proof = (token: string): string =>
  createHash("sha256").update(`orchestrator-merge dashboard\0${token}`).digest("hex");

/** Takes as long whether the first or the last letter differs. */
function same(given: string, wanted: string): boolean {
  const [one, other] = [given, wanted].map((text) => createHash("sha256").update(text).digest());
  return one !== undefined && other !== undefined && timingSafeEqual(one, other);
}
