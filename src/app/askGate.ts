import { createHash } from "node:crypto";
import { arch, hostname } from "node:os";
import { dirname, join } from "node:path";
import { visible } from "../core/describe.ts";
import type { Gate } from "../core/rules.ts";
import type { GateRecord } from "../core/verdicts.ts";
import { runGate } from "../gates/command.ts";
import { gateEnvironment } from "../gates/environment.ts";
import { openOutput } from "../gates/output.ts";
import { findUnits, type Units } from "../gates/unit.ts";
import { runMarker } from "../git/environment.ts";
import { closeGateTree, openGateTree } from "../git/gateTree.ts";
import { endOrphans } from "../git/orphans.ts";
import { lastWords } from "../git/remote.ts";
import { gatesDirectory, logFile } from "../host/paths.ts";
import { type GateKey, type Remembered, recall, remember } from "../queue/verdicts.ts";
import type { App, Workplace } from "./context.ts";
import type { Exhibit } from "./exhibit.ts";
import { refused } from "./trouble.ts";

/** What a gate said. `how` goes on after "the gate": for a person. */
export type Answer = GateRecord & { readonly how: string; readonly output: string };

const sha256 = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex");

/** Equal for gates that run the same command with the same variables. */
export const sameGate = (gate: Gate): string => sha256([gate.command, Object.entries(gate.env).sort()]);

/** Which gate, and in which surroundings its word holds: its variables, this host, where programs are found, whose filters run. */
export function keyOf(app: App, place: Workplace, gate: Gate): GateKey {
  const surroundings = [Object.entries(gate.env).sort(), hostname(), arch(), app.git.env["PATH"] ?? "", place.trusted];
  return { gate: sha256(gate.command), environment: sha256(surroundings) };
}

/**
 * Asks a gate about a tree: from memory, or in a checkout of our own. What it has said is remembered, unless it could not tell. A time-out
 * of an earlier run counts only where `search` says so: it tells where to look first, and convicts nobody. In a dry run, and where its
 * limit does not fit what is left of this run, it is not asked.
 */
export async function ask(app: App, place: Workplace, gate: Gate, exhibit: Exhibit, search = false): Promise<Answer> {
  const key = keyOf(app, place, gate);
  const known = (await recall(app.queue, key, [exhibit.tree])).get(exhibit.tree);
  const holds = known !== undefined && (known.verdict !== "timeout" || search || known.judgedAt >= app.span.startedAt);
  if (holds) return fromMemory(gate, exhibit.tree, known);
  const unasked = { name: gate.name, exitCode: null, durationMs: 0, tree: exhibit.tree, remembered: false };
  const nothing = { ...unasked, output: "", outputFile: null };
  if (app.dryRun) return { ...nothing, verdict: "not run", how: "is not run in a dry run" };
  if (app.git.signal.aborted) return { ...nothing, verdict: "unsure", how: "was not asked: this run ends" };
  if (!fits(app, gate)) return { ...nothing, verdict: "late", how: "may take longer than what is left of this run" };
  app.span.gates++;
  app.progress(`gate ${gate.name}, project ${exhibit.projects.join(", ")}`);
  const answer = await inCheckout(app, place, gate, exhibit).catch((error) => ({
    ...nothing,
    verdict: "unsure" as const,
    how: `cannot be run: ${refused(error).detail}`,
  }));
  const { verdict, exitCode, durationMs, output, outputFile } = answer;
  app.log.info(
    `Gate ${visible(gate.name)} on project ${exhibit.projects.join(", ")}: ${visible(answer.how)}, ${durationMs} ms`,
  );
  if (verdict === "pass" || verdict === "fail" || verdict === "timeout") {
    const judgedAt = app.now();
    const oldest = judgedAt - app.config.backup.keepMs;
    const said = { verdict, exitCode, durationMs, output, outputFile, judgedAt };
    await remember(app.queue, key, exhibit.tree, said, oldest);
  }
  return answer;
}

/** So long may a gate go on beyond the time of its run: half of what the unit has more than that. Milliseconds. */
const grace = 30_000;

/** Whether a gate may be begun: the first of a run always, because its limit is less than that of a run; or none ever would be. */
function fits(app: App, { timeoutMs }: Gate): boolean {
  const first = app.span.gates === 0 && timeoutMs < app.config.run.maxRuntimeMs;
  return first || timeoutMs <= app.span.deadline - app.now();
}

function fromMemory(gate: Gate, tree: string, known: Remembered): Answer {
  const { verdict, exitCode, durationMs, output, outputFile } = known;
  const how = {
    pass: "passes",
    fail: exitCode === null ? "fails" : `fails (exit ${exitCode})`,
    timeout: "is over its limit",
  }[verdict];
  return { name: gate.name, verdict, exitCode, durationMs, tree, remembered: true, outputFile, how, output };
}

async function inCheckout(app: App, place: Workplace, gate: Gate, exhibit: Exhibit): Promise<Answer> {
  const { commonDir } = place.snapshot.repository;
  const { tree, target } = exhibit;
  const directory = gatesDirectory(app.git.env);
  const checkout = await openGateTree(app.git, place.scratch, directory, {
    commit: exhibit.commit,
    branch: target,
    objects: join(commonDir, "objects"),
    identity: place.snapshot.identity,
  });
  const common = { name: gate.name, tree, remembered: false };
  if ("transcript" in checkout) {
    const how = `cannot be run: its checkout failed: ${lastWords(checkout)}`;
    return { ...common, verdict: "unsure", exitCode: null, durationMs: 0, how, output: "", outputFile: null };
  }
  try {
    // The first gate of a run is begun whatever time is left; the unit's own limit must not be what ends it.
    const limit = Math.min(gate.timeoutMs, Math.max(1000, app.span.deadline + grace - app.now()));
    const id = app.newId();
    const mark = `${app.runId}/${id}`;
    const units = await unitsOf(app);
    const output = openOutput(gateLogs(app), `${exhibit.attemptId}-${slug(gate.name)}`);
    const end = await runGate({
      command: gate.command,
      cwd: checkout.path,
      env: gateEnvironment(app.git.env, gate.env, {
        TMPDIR: checkout.temporary,
        ORCHESTRATOR_MERGE_PROJECT: exhibit.projects.join(","),
        ORCHESTRATOR_MERGE_TARGET: target.ref.replace(/^refs\/heads\//, ""),
        ORCHESTRATOR_MERGE_BASE: exhibit.base,
        ORCHESTRATOR_MERGE_TIP: exhibit.commit,
        [runMarker]: mark,
      }),
      timeoutMs: limit,
      signal: app.git.signal,
      output,
      endStrays: () => endOrphans(new Set([mark])),
      unit:
        units === null
          ? null
          : { units, name: `orchestrator-merge-gate-${id.toLowerCase()}.service`, statusFile: checkout.statusFile },
    });
    const said = { ...common, ...end, output: output.end(), outputFile: output.file };
    // Its own limit is not over yet: nobody can tell.
    return said.verdict === "timeout" && limit < gate.timeoutMs
      ? { ...said, verdict: "unsure", how: "was ended with the time of this run" }
      : said;
  } finally {
    closeGateTree(checkout);
  }
}

const found = new WeakMap<object, Promise<Units | null>>();

/** Asked once a run. */
function unitsOf(app: App): Promise<Units | null> {
  const known = found.get(app.span) ?? findUnits(app.git.env);
  found.set(app.span, known);
  return known;
}

/** Where the whole output of gates is: beside the log. */
function gateLogs(app: App): string {
  const { location, kind } = app.queue;
  return join(dirname(app.config.log.file ?? logFile({ location, kind, source: "" }, app.git.env)), "gates");
}

/** A gate's name as part of a file's. */
function slug(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  return plain.slice(0, 40) || "gate";
}

/** The last line of what a gate said, for a sentence; empty when it said nothing. */
export function lastLine(output: string): string {
  const lines = output.split("\n").map((line) => line.trim());
  const last = lines.findLast((line) => line !== "") ?? "";
  return visible(last.length > 200 ? `${last.slice(0, 200)}...` : last);
}
