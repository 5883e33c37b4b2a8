import { isAbsolute } from "node:path";
import picomatch from "picomatch";
import { parseDuration } from "../core/durations.ts";
import { defaults } from "./config.ts";
import { defaultGateTimeoutMs } from "./config-rules.ts";
import type { RawConfig } from "./config-schema.ts";

/** A mistake that no schema can name: every word is right, and together they mean nothing. `says` follows the key's name. */
export type Nonsense = { readonly path: readonly string[]; readonly says: string; readonly wayOut: string };

/** All of them in a configuration that the schema takes. */
export function findNonsense(raw: RawConfig): Nonsense[] {
  const limit = parseDuration(raw.run?.max_runtime ?? "") ?? defaults.run.maxRuntimeMs;
  const found: Nonsense[] = [];
  const gate = (path: readonly string[], timeout: string | undefined) => {
    if ((parseDuration(timeout ?? "") ?? defaultGateTimeoutMs) < limit) return;
    found.push({
      path,
      says: "gives a gate more time than a whole run has.",
      wayOut: "Give it less than [run] max_runtime, or raise that (and the unit's TimeoutStartSec).",
    });
  };
  if (raw.gate?.command !== undefined) gate(["gate", "timeout"], raw.gate.timeout);
  else if (raw.gate !== undefined && Object.keys(raw.gate).some((key) => key !== "mode")) {
    found.push({ path: ["gate"], says: "has no command.", wayOut: 'Give command = ["npm", "test"], or leave it out.' });
  }
  for (const key of ["keep_target", "ignore_uncommitted"] as const) {
    for (const [n, glob] of (raw.merge?.[key] ?? []).entries()) {
      if (!isGlob(glob)) found.push({ path: ["merge", key, String(n)], ...noGlob(glob) });
    }
  }
  for (const [index, rule] of (raw.rule ?? []).entries()) {
    const at = ["rule", String(index)];
    for (const key of ["name", "path", "spec"] as const) {
      const glob = rule.match[key];
      if (glob === undefined || isGlob(glob)) continue;
      found.push({ path: [...at, "match", key], ...noGlob(glob) });
    }
    const { window, freeze, after, gate: gates } = rule;
    for (const [key, table] of Object.entries({ window, freeze })) {
      const zone = table === undefined || table === false ? undefined : table.zone;
      if (zone === undefined || isZone(zone)) continue;
      const says = `names no time zone: ${JSON.stringify(zone)}.`;
      found.push({ path: [...at, key, "zone"], says, wayOut: 'Give an IANA name such as "Europe/Berlin" or "UTC".' });
    }
    if (window !== undefined && window !== false && (window.from ?? "00:00") === (window.to ?? "24:00")) {
      const says = `opens and closes at ${window.from}: nobody can tell whether that is never or always.`;
      found.push({ path: [...at, "window"], says, wayOut: "Give two times, or leave both out for the whole day." });
    }
    if (freeze !== undefined && freeze !== false) {
      for (const key of ["from", "until"] as const) {
        const text = freeze[key];
        if (text === undefined || isDay(text.slice(0, 10))) continue;
        found.push({ path: [...at, "freeze", key], says: `is no day: ${text}.`, wayOut: "Look at a calendar." });
      }
      if (freeze.from !== undefined && freeze.from >= freeze.until) {
        const says = "ends before it begins.";
        found.push({ path: [...at, "freeze"], says, wayOut: "Give until a later time than from." });
      }
    }
    if (rule.match.type !== undefined && rule.notify !== undefined) {
      const says = "cannot depend on the type of a project: whom to tell is asked without looking at its files.";
      found.push({ path: [...at, "notify"], says, wayOut: "Match by name, path, spec, tag or priority." });
    }
    if (rule.match.name !== undefined && after?.includes(rule.match.name) === true) {
      const says = `makes ${JSON.stringify(rule.match.name)} wait for itself.`;
      found.push({ path: [...at, "after"], says, wayOut: "Name the projects that come before it." });
    }
    if (gates !== undefined && gates !== false) {
      const list = Array.isArray(gates) ? gates : [gates];
      for (const [n, one] of list.entries()) {
        gate([...at, "gate", ...(Array.isArray(gates) ? [String(n)] : [])], one.timeout);
      }
      const names = list.flatMap(({ name }) => name ?? []);
      const twice = names.find((name, n) => names.indexOf(name) !== n);
      if (twice !== undefined) {
        const says = `has two gates called ${JSON.stringify(twice)}.`;
        found.push({ path: [...at, "gate"], says, wayOut: "Give each a name of its own." });
      }
    }
  }
  return found;
}

const noGlob = (glob: string): Omit<Nonsense, "path"> => ({
  says: `is no glob: a bracket in ${JSON.stringify(glob)} is not closed, or its range runs backwards.`,
  wayOut: "Close it, or write \\ before a bracket that means itself.",
});

function isGlob(text: string): boolean {
  try {
    picomatch.makeRe(isAbsolute(text) ? text : text.replace(/^~/, ""), { strictBrackets: true, debug: true });
    return true;
  } catch {
    return false;
  }
}

function isZone(name: string): boolean {
  if (/^[+-]/.test(name)) return false; // an offset knows no daylight saving
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function isDay(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}
