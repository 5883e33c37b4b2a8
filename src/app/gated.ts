import { visible } from "../core/describe.ts";
import { held, isTrouble, type Trouble } from "../core/reasons.ts";
import type { Gate } from "../core/rules.ts";
import type { Answer } from "./askGate.ts";
import type { App, Workplace } from "./context.ts";
import { blockedSteps, leftBehind, makePlan, type Plan, type Step, type Work, waitsForAny } from "./plan.ts";
import { closedAt } from "./prepare.ts";
import type { Receiver } from "./receiver.ts";

/**
 * A plan of which every step has passed its gates, off the target: what does not pass is out, and the rest is planned again without it.
 * Where nothing can move (`receiver.crowded`) no gate is asked. A Trouble when the target itself cannot move.
 */
export async function makeGatedPlan(
  app: App,
  place: Workplace,
  receiver: Receiver,
  works: readonly Work[],
): Promise<Plan | Trouble> {
  const out = new Map<number, Trouble>();
  const alone = (work: Work) => makePlan(app, place, receiver, [work]);
  const said = new Map<number, readonly Answer[]>();
  for (;;) {
    const rest = works.filter((work) => !out.has(work.projectId));
    const plan = await makePlan(app, place, receiver, rest);
    if (isTrouble(plan)) return plan;
    const missed = new Map([...plan.out, ...out]);
    const left = plan.steps.filter(({ work }) => waitsForAny(work, missed));
    for (const { work } of left) out.set(work.projectId, leftBehind(work, missed));
    if (left.length > 0) continue;
    const closed = await closedSteps(app, plan);
    for (const [id, trouble] of closed) out.set(id, trouble);
    if (closed.size > 0) continue;
    const gated = plan.steps.some(({ work }) => work.gates.length > 0);
    if (!gated || receiver.crowded !== null || app.git.signal.aborted)
      return { ...plan, out: new Map([...plan.out, ...out]) };
    // Loaded only where there are gates.
    const { judge } = await import("./judge.ts");
    const before = app.span.gates;
    const judged = await judge(app, place, plan, alone);
    for (const [id, answers] of judged.said) said.set(id, answers);
    for (const [id, trouble] of judged.out) out.set(id, trouble);
    if (judged.out.size > 0 && !app.git.signal.aborted) continue;
    // A gate takes minutes, in which people go on with what they have in hand.
    const blocked = app.span.gates === before ? new Map<number, Trouble>() : await blockedSteps(app, place, plan);
    if (isTrouble(blocked)) return blocked;
    const late = await closedSteps(app, plan);
    for (const [id, trouble] of [...blocked, ...late]) out.set(id, trouble);
    if (blocked.size + late.size > 0) continue;
    const steps = plan.steps.map((step) => witnessed(step, said.get(step.work.projectId) ?? []));
    return { ...plan, steps, out: new Map([...plan.out, ...out]) };
  }
}

/** The steps whose window has closed, or whose freeze has begun, since they were looked at. */
async function closedSteps(app: App, { steps }: Plan): Promise<Map<number, Trouble>> {
  const closed = new Map<number, Trouble>();
  for (const { work } of steps) {
    const found = await closedAt(work.when, app.now());
    if (found === null) continue;
    const opens = found.until === null ? "" : `: opens ${found.until}`;
    const what = found.closedBy === "freeze" ? "its freeze began" : "its window closed";
    closed.set(work.projectId, held("outside_window", `${what} while it was made ready${opens}.`));
  }
  return closed;
}

/** A step with what its gates have said, and a word about those that a dry run does not ask. */
function witnessed(step: Step, said: readonly Answer[]): Step {
  const trees = said.filter(({ verdict }) => verdict === "pass");
  const gates = trees.map(({ how: _how, output: _output, ...record }) => record);
  const unasked = said.filter(({ verdict }) => verdict === "not run").map(({ name }) => name);
  if (unasked.length === 0) return { ...step, gates };
  return { ...step, gates, warnings: [...step.warnings, `lands only if it passes ${listed(unasked)}`] };
}

const listed = (names: readonly Gate["name"][]): string => [...new Set(names)].map((name) => visible(name)).join(", ");
