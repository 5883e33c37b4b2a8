import { type Known, search } from "../core/bisect.ts";
import { visible } from "../core/describe.ts";
import { failed, held, isTrouble, type Trouble } from "../core/reasons.ts";
import type { Gate } from "../core/rules.ts";
import { shortName } from "../core/target.ts";
import { recall } from "../queue/verdicts.ts";
import { type Answer, ask, keyOf, lastLine, sameGate } from "./askGate.ts";
import type { App, Workplace } from "./context.ts";
import { type Exhibit, exhibitBefore, exhibitOf, treeBefore } from "./exhibit.ts";
import type { Plan, Step, Work } from "./plan.ts";

/** What the gates say of a plan: who must not land with it, and by project what was said of it. */
export type Judgement = {
  readonly out: ReadonlyMap<number, Trouble>;
  readonly said: ReadonlyMap<number, readonly Answer[]>;
};

/** What a judgement goes by. */
type Court = {
  readonly app: App;
  readonly place: Workplace;
  readonly plan: Plan;
  /** How one work would land without the others. */
  readonly alone: (work: Work) => Promise<Plan | Trouble>;
  readonly said: Map<number, Answer[]>;
};

/**
 * Asks the gates of a plan's steps about the trees that they lead to, and stops at the first that does not pass: without it the rest is
 * another plan. Gates that several steps share are asked about all of those together where the configuration says so.
 */
export async function judge(
  app: App,
  place: Workplace,
  plan: Plan,
  alone: (work: Work) => Promise<Plan | Trouble>,
): Promise<Judgement> {
  const court: Court = { app, place, plan, alone, said: new Map() };
  const shared = new Map<string, { gate: Gate; steps: Step[] }>();
  if (app.config.gate.mode === "batch") {
    for (const step of plan.steps) {
      for (const gate of step.work.gates) {
        const group = shared.get(sameGate(gate)) ?? { gate, steps: [] };
        if (!group.steps.includes(step)) group.steps.push(step);
        shared.set(sameGate(gate), group);
      }
    }
    for (const [key, { gate, steps }] of shared) {
      // Where the target itself does not pass, all together say nothing of any of them.
      const [first] = steps;
      const known = first === undefined ? null : await knownOf(court, gate, [treeBefore(plan, first)]);
      if (steps.length < 2 || known?.get(1) === "fail") shared.delete(key);
    }
  }
  for (const step of plan.steps) {
    for (const gate of step.work.gates) {
      if (shared.has(sameGate(gate))) continue;
      const out = await judgeStep(court, step, gate);
      if (out.size > 0) return { out, said: court.said };
    }
  }
  for (const { gate, steps } of shared.values()) {
    const out = await judgeTogether(court, gate, steps);
    if (out.size > 0) return { out, said: court.said };
  }
  return { out: new Map(), said: court.said };
}

/** One step by itself, on those before it. */
async function judgeStep(court: Court, step: Step, gate: Gate): Promise<Map<number, Trouble>> {
  const answer = await askAbout(court, gate, exhibitOf(court.plan, [step]), [step]);
  if (answer.verdict === "late") return late(court, step, gate);
  const trouble = await verdictOn(court, step, gate, answer, null);
  return new Map(trouble === null ? [] : [[step.work.projectId, trouble]]);
}

/** All steps that share a gate at once; when they fail, the first that breaks them is searched for. */
async function judgeTogether(court: Court, gate: Gate, steps: readonly Step[]): Promise<Map<number, Trouble>> {
  const known = new Map(
    await knownOf(
      court,
      gate,
      steps.map(({ tree }) => tree),
    ),
  );
  for (;;) {
    const next = search(steps.length, known);
    if ("passes" in next) {
      // From memory, or a moment ago: noted with each of them.
      await askAbout(court, gate, exhibitOf(court.plan, steps), steps, true);
      return new Map();
    }
    if ("culprit" in next) {
      const { culprit } = next;
      // What was found out in an earlier run is evidence too: retry forgets it by what is noted here.
      for (const [at, verdict] of known) {
        const together = steps.slice(0, at);
        if (verdict === "fail" && at >= culprit)
          await askAbout(court, gate, exhibitOf(court.plan, together), together.slice(culprit - 1, culprit), true);
      }
      const out = await convict(court, gate, steps, culprit);
      if (out.size > 0) return out;
      // Asked again it passes: what was remembered was a time-out. Nothing is known yet of those after it.
      known.set(culprit, "pass");
      continue;
    }
    const prefix = steps.slice(0, next.ask);
    const answer = await askAbout(court, gate, exhibitOf(court.plan, prefix), prefix, true);
    if (answer.verdict === "not run") return new Map();
    if (answer.verdict === "pass") known.set(next.ask, "pass");
    else if (answer.verdict === "fail" || answer.verdict === "timeout") known.set(next.ask, "fail");
    else {
      // What is known to pass may land; the rest waits.
      const waiting = steps.slice(next.passing);
      const trouble = answer.verdict === "late" ? noTime(gate) : cannotTell(gate, answer);
      return new Map(waiting.map(({ work }) => [work.projectId, trouble]));
    }
  }
}

/** The step with which the others fail: at fault by itself, or only together with those before it. */
async function convict(
  court: Court,
  gate: Gate,
  steps: readonly Step[],
  position: number,
): Promise<Map<number, Trouble>> {
  const step = steps[position - 1];
  if (step === undefined) return new Map();
  if (position === 1) return await judgeStep(court, step, gate);
  const answer = await askAbout(court, gate, exhibitOf(court.plan, [step]), [step]);
  if (answer.verdict === "late") return late(court, step, gate);
  const single = await court.alone(step.work);
  const own = isTrouble(single) ? undefined : single.steps[0];
  const exhibit = isTrouble(single) || own === undefined ? null : exhibitOf(single, [own]);
  const apart = exhibit === null ? null : await askAbout(court, gate, exhibit, [step]);
  const before = court.plan.steps.slice(0, court.plan.steps.indexOf(step));
  const trouble = await verdictOn(court, step, gate, answer, apart?.verdict === "pass" ? before : null);
  return new Map(trouble === null ? [] : [[step.work.projectId, trouble]]);
}

/** The trouble that an answer means for a step; null for none. `with_` are those that it only fails together with. */
async function verdictOn(
  court: Court,
  step: Step,
  gate: Gate,
  answer: Answer,
  with_: readonly Step[] | null,
): Promise<Trouble | null> {
  const { plan } = court;
  const gates = () => court.said.get(step.work.projectId) ?? [];
  const called = `gate ${visible(gate.name)}`;
  switch (answer.verdict) {
    case "pass":
    case "not run":
      return null;
    case "late":
      return noTime(gate);
    case "unsure":
      return { ...cannotTell(gate, answer), gates: gates() };
    case "timeout": {
      const detail = `${called} ${answer.how}${ending(answer)}${together(with_)}`;
      return failed("gate_timeout", detail, { output: kept(answer), gates: gates() });
    }
    case "fail": {
      const before = await askAbout(court, gate, exhibitBefore(plan, step), [step]);
      if (before.verdict === "late") return noTime(gate);
      if (before.verdict === "unsure") return { ...cannotTell(gate, before), gates: gates() };
      const more = { gates: gates() };
      if (before.verdict === "fail" || before.verdict === "timeout") {
        const first = plan.steps.slice(0, plan.steps.indexOf(step));
        const where = `${visible(shortName(plan.receiver.target))}${first.length === 0 ? "" : ` with ${names(first)}`}`;
        const detail = `${called} ${before.how} on ${where} without this project too${ending(before)}`;
        return held("blocked_by_dependency", detail, { ...more, output: kept(before) });
      }
      const detail = `${called} ${answer.how}${ending(answer)}${together(with_)}`;
      return failed("gate_failed", detail, { ...more, output: kept(answer) });
    }
  }
}

/** What is kept of its output: the end, and where the rest is. */
const kept = ({ output, outputFile }: Answer): string =>
  outputFile === null || output === "" ? output : `${output.replace(/\n?$/, "\n")}[all of it: ${outputFile}]\n`;

const ending = (answer: Answer): string => {
  const line = lastLine(answer.output);
  return line === "" ? "." : `: ${line}`;
};

const together = (with_: readonly Step[] | null): string =>
  with_ === null || with_.length === 0 ? "" : ` (it passes alone, and fails together with ${names(with_)})`;

function names(steps: readonly Step[]): string {
  const shown = steps.slice(-5).map(({ work }) => `${work.projectId} ${visible(work.name)}`);
  return `${shown.join(", ")}${steps.length > 5 ? ` and ${steps.length - 5} more` : ""}`;
}

const noTime = (gate: Gate): Trouble =>
  held(
    "repository_busy",
    `gate ${visible(gate.name)} may take longer than what is left of this run: the next begins with it.`,
  );

const cannotTell = (gate: Gate, answer: Answer): Trouble =>
  held("repository_busy", `gate ${visible(gate.name)} ${visible(answer.how)}${ending(answer)}`, {
    output: kept(answer),
    transient: true,
  });

/** No time for the gate of a step: nor for those after it that need as much. */
function late({ app, plan }: Court, step: Step, gate: Gate): Map<number, Trouble> {
  const left = app.span.deadline - app.now();
  const after = plan.steps.slice(plan.steps.indexOf(step) + 1);
  const waiting = after.flatMap(({ work }) => {
    const long = work.gates.find(({ timeoutMs }) => timeoutMs > left);
    return long === undefined ? [] : [[work.projectId, noTime(long)] as const];
  });
  return new Map([[step.work.projectId, noTime(gate)], ...waiting]);
}

/** Asks, and notes the answer with every project that it is about. */
async function askAbout(
  court: Court,
  gate: Gate,
  exhibit: Exhibit,
  about: readonly Step[],
  searching = false,
): Promise<Answer> {
  const answer = await ask(court.app, court.place, gate, exhibit, searching);
  for (const { work } of about) {
    const said = court.said.get(work.projectId) ?? [];
    // The one that has run counts, and not that it is known since.
    if (!said.some((one) => one.tree === answer.tree && one.name === answer.name)) said.push(answer);
    court.said.set(work.projectId, said);
  }
  return answer;
}

/** What is remembered of these trees, by position from 1; a time-out as a failure, to search by. */
async function knownOf(court: Court, gate: Gate, trees: readonly string[]): Promise<Known> {
  const verdicts = await recall(court.app.queue, keyOf(court.app, court.place, gate), trees);
  return new Map(
    trees.flatMap((tree, index): [number, "pass" | "fail"][] => {
      const verdict = verdicts.get(tree)?.verdict;
      return verdict === undefined ? [] : [[index + 1, verdict === "pass" ? "pass" : "fail"]];
    }),
  );
}
