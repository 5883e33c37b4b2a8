import fc from "fast-check";
import { expect, test } from "vitest";
import { openGatherer } from "../../src/app/gather.ts";
import { lineOf } from "../../src/app/line.ts";
import type { Prepared } from "../../src/app/prepare.ts";
import type { Dependency } from "../../src/core/obstacles.ts";
import { failed, held } from "../../src/core/reasons.ts";
import { decide } from "../../src/core/rules.ts";
import { openingAt } from "../../src/core/window.ts";
import type { Candidate } from "../../src/queue/candidates.ts";

/*
 * Random queues under random rules, tick by tick with the program's own line and gatherer; only git is made up: what it would say of each
 * project is drawn beforehand. Ten hours of ticks, one every half hour, and a window that opens in the middle of them.
 */
type Project = {
  readonly priority: number;
  /** what git says: it lands, it fails, it stays held */
  readonly fate: "lands" | "fails" | "stays";
  readonly approval: "not asked" | "given" | "missing";
  readonly nightly: boolean;
  readonly after: readonly number[];
};

const start = Date.parse("2026-11-22T18:00:00Z");
const window = { days: [1, 2, 3, 4, 5, 6, 7], from: "20:00", to: "23:00", zone: "UTC" };
const ticks = 20;

const projects = fc.integer({ min: 1, max: 14 }).chain((n) =>
  fc.array(
    fc.record<Project>({
      priority: fc.integer({ min: 0, max: 3 }),
      fate: fc.constantFrom("lands", "lands", "fails", "stays"),
      approval: fc.constantFrom("not asked", "not asked", "given", "missing"),
      nightly: fc.boolean(),
      after: fc.array(fc.nat(n - 1), { maxLength: 2 }),
    }),
    { minLength: n, maxLength: n },
  ),
);

const book = {
  merge: { target: "main", strategy: "merge" },
  gate: { gates: [] },
  push: { mode: "off" },
  rules: [],
} as const;

/** A candidate as the queue gives it, and what looking at it finds. The casts leave out what the gatherer never reads. */
const candidateOf = (id: number, project: Project): Candidate =>
  ({
    id,
    specPath: `/specs/p${id}.md`,
    priority: project.priority,
    generation: "g",
    completedAt: id,
    known: null,
  }) as unknown as Candidate;

function prepared(candidate: Candidate, project: Project, now: number): Prepared {
  const located = { candidate, name: `p${candidate.id}`, found: null };
  const common = { name: located.name, startedAt: now, located: null };
  if (project.fate === "stays") return { ...common, result: held("dirty_source", "half done") };
  const subject = { name: located.name, path: "", spec: "", tags: [], priority: 0, types: null };
  const { settings, by } = decide(subject, book);
  const rules = { ...settings, approval: project.approval !== "not asked", window: project.nightly ? window : null };
  const opening = openingAt(rules, now);
  const closed = opening.open ? null : { closedBy: opening.closedBy, until: null };
  const work = { projectId: candidate.id, heads: [{ role: "developer", oid: `head ${candidate.id}` }] };
  const result = {
    candidate,
    located,
    decided: { settings: rules, by },
    closed,
    work,
    visit: { repository: {} },
    startedAt: now,
  };
  return { ...common, result } as unknown as Prepared;
}

test("no project before what it waits for, none outside its window, none unapproved, and none that may land starves", async () => {
  await fc.assert(
    fc.asyncProperty(projects, fc.integer({ min: 1, max: 3 }), async (given, limit) => {
      const state = new Map(given.map((_, id) => [id, "pending" as "pending" | "merged" | "failed"]));
      for (let tick = 0; tick < ticks; tick++) {
        const now = start + tick * 1_800_000;
        const pending = given.flatMap((project, id) => (state.get(id) === "pending" ? [candidateOf(id, project)] : []));
        pending.sort((a, b) => b.priority - a.priority || a.id - b.id);
        const dependency = (id: number): Dependency => {
          const standing = state.get(id) ?? "pending";
          return { id, name: `p${id}`, met: standing === "merged", standing };
        };
        const line = lineOf(pending, new Map(given.map(({ after }, id) => [id, after.map(dependency)])));
        const word = { verdict: "approved", by: "me", at: 0, generation: "g", reason: null } as const;
        const words = new Map(
          given.flatMap(({ approval }, id) =>
            approval === "given" ? [[id, { ...word, heads: [`head ${id}`] }] as const] : [],
          ),
        );
        const look = async (candidate: Candidate) => {
          const project = given[candidate.id];
          if (project === undefined) throw new Error("not of this queue");
          return prepared(candidate, project, now);
        };
        const around = { look, words, line, stop: () => false, coming: new Set<number>() };
        const gatherer = openGatherer(around, pending, false);
        await gatherer.next(limit);
        const { ready, missed } = gatherer.gathered;
        expect(ready.length).toBeLessThanOrEqual(limit);
        expect(new Set([...ready, ...missed].map(({ candidate }) => candidate.id)).size).toBe(
          ready.length + missed.length,
        );
        const out = new Set<number>();
        for (const { candidate } of ready) {
          const project = given[candidate.id];
          if (project === undefined) throw new Error("not of this queue");
          // A project of the same run that fails takes with it what waits for it; the plan sees to that.
          const base = project.after.some((id) => out.has(id));
          if (base) out.add(candidate.id);
          else if (project.fate === "fails") {
            state.set(candidate.id, "failed");
            out.add(candidate.id);
          } else {
            for (const id of project.after) expect(state.get(id)).toBe("merged");
            if (project.nightly) expect(openingAt({ window, freeze: null }, now).open).toBe(true);
            expect(project.approval).not.toBe("missing");
            state.set(candidate.id, "merged");
          }
        }
        for (const { candidate, trouble } of missed) {
          if (given[candidate.id]?.fate === "stays") expect(trouble.reason).toBe("dirty_source");
        }
      }
      // 20 ticks, 6 of them in the window, are more than 14 projects with a place a tick need: 14 at most, those of the night first.
      const circles = lineOf(
        given.map((project, id) => candidateOf(id, project)),
        new Map(
          given.map(({ after }, id) => [id, after.map((to) => ({ id: to, name: "", met: false, standing: "" }))]),
        ),
      );
      const may = (id: number, seen: readonly number[] = []): boolean => {
        const project = given[id];
        if (project === undefined || seen.includes(id) || circles.circleOf(id) !== null) return false;
        return (
          project.fate === "lands" &&
          project.approval !== "missing" &&
          project.after.every((to) => may(to, [...seen, id]))
        );
      };
      const nightly = given.filter(({ nightly: is }) => is).length;
      if (nightly > 6 * limit) return; // more than fit through the window of one night
      for (const id of given.keys()) if (may(id)) expect({ id, state: state.get(id) }).toEqual({ id, state: "merged" });
    }),
    { seed: 20261122, numRuns: 300 },
  );
});

test("what fails does not keep its place: a hundred failures a run each, and the one that may land lands", async () => {
  const candidates = Array.from({ length: 101 }, (_, id) =>
    candidateOf(id, { priority: 0, fate: "lands", approval: "given", nightly: false, after: [] }),
  );
  const gone = new Set<number>();
  for (let tick = 0; tick < 21; tick++) {
    const rest = candidates.filter(({ id }) => !gone.has(id));
    const look = async (candidate: Candidate): Promise<Prepared> =>
      candidate.id === 100
        ? prepared(candidate, { priority: 0, fate: "lands", approval: "not asked", nightly: false, after: [] }, start)
        : { name: "", startedAt: start, located: null, result: failed("no_worktree", "gone") };
    const around = {
      look,
      words: new Map(),
      line: lineOf(rest, new Map()),
      stop: () => false,
      coming: new Set<number>(),
    };
    const gatherer = openGatherer(around, rest, false);
    await gatherer.next(5);
    for (const { candidate } of gatherer.gathered.missed) gone.add(candidate.id);
    if (gatherer.gathered.ready.length > 0) return;
  }
  throw new Error("21 runs of five did not come to the last of 101");
});
