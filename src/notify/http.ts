import { codeOf, later, type Outcome, refused, sent } from "./outcome.ts";

/** What an error in an answer's body may look like to be repeated: a code such as Slack's `no_service`, which can hold no secret. */
const errorCode = /^[a-z_]{3,40}$/;

/**
 * Posts once. The address may be a secret, so that no message names it, and a redirect is not followed: it would carry secret and signature to
 * wherever the other side says. 429, 408 and 5xx may pass; any other answer is a refusal.
 */
export async function post(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Outcome> {
  let response: Response;
  let said = "";
  try {
    response = await fetch(url, {
      method: "POST",
      body,
      headers: { "Content-Type": "application/json; charset=utf-8", "User-Agent": "orchestrator-merge", ...headers },
      redirect: "manual",
      signal,
    });
    if (response.ok) {
      await response.body?.cancel();
      return sent;
    }
    said = (await response.text()).slice(0, 60).trim();
  } catch (error) {
    if (signal.aborted) return later("no answer in time");
    return later(`it could not be reached (${codeOf(error) ?? "no connection"})`);
  }
  const { status } = response;
  const why = `it answered ${status}${errorCode.test(said) ? ` ${said}` : ""}`;
  if (status === 429 || status === 408 || status >= 500)
    return later(why, retryAfter(response.headers.get("Retry-After")));
  if (status >= 300 && status < 400)
    return refused(`${why}: redirects are not followed, give the address they lead to`);
  return refused(why);
}

/** A day: nobody asks for more, but a clock that is wrong may. */
const longest = 86_400_000;

/** RFC 9110, 10.2.3: seconds, or a date. Milliseconds from now. */
function retryAfter(value: string | null): number | null {
  if (value === null) return null;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), longest);
}
