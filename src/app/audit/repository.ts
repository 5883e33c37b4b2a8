import { visible } from "../../core/describe.ts";
import { decide } from "../../core/rules.ts";
import { readTags } from "../../git/marked.ts";
import { locateRepository } from "../../git/repository.ts";
import { makeScratch, removeScratch } from "../../git/scratch.ts";
import { readSnapshot } from "../../git/snapshot.ts";
import type { MergedRow, RecordedLanding } from "../../queue/audit.ts";
import type { App, Workplace } from "../context.ts";
import { readEvidence } from "./evidence.ts";
import { named, saying, type Verdict, verdict } from "./finding.ts";
import { openRemote } from "./remote.ts";
import { auditRow } from "./row.ts";

/** A row, and the landing of ours that made it say merged. */
export type Claim = { readonly row: MergedRow; readonly landing: RecordedLanding };

/**
 * Holds all rows of one repository against it, in one visit. Nothing in the repository changes: merges are made and fetched objects put
 * into a scratch that is removed. No lease is taken: the rows were read before git is, and a target that moves meanwhile only gains.
 */
export async function auditRepository(
  app: Pick<App, "git" | "config">,
  path: string,
  claims: readonly Claim[],
  options: { readonly options: string; readonly keptSince: number },
): Promise<Map<Claim, Verdict>> {
  const all = (of: readonly Claim[], make: () => Verdict) => new Map(of.map((claim) => [claim, make()]));
  const nothing = (of: readonly Claim[], why: string) =>
    all(of, () => ({ wrong: [], unproved: [{ what: "anything of it", why }] }));
  const repository = locateRepository(path);
  if (repository === null) return nothing(claims, `its repository ${visible(path)} is gone`);
  const snapshot = await readSnapshot(app.git, repository);
  if ("transcript" in snapshot) return nothing(claims, saying(snapshot));
  if (snapshot.shallow) return nothing(claims, `${visible(path)} is a shallow clone: its history is cut off`);
  const tags = await readTags(app.git, repository.commonDir);
  if (!(tags instanceof Map)) return nothing(claims, saying(tags));
  const directory = snapshot.bare ? repository.commonDir : (snapshot.worktrees[0]?.path ?? repository.commonDir);
  const trusted = claims.some(({ row }) => isTrusted(app, row));
  const place = { snapshot, trusted, scratch: makeScratch(snapshot, trusted) } satisfies Partial<Workplace>;
  try {
    const verdicts = new Map<Claim, Verdict>();
    const ask = openRemote(app, place, directory, tags);
    for (const target of new Set(claims.map(({ landing }) => landing.target))) {
      const of = claims.filter(({ landing }) => landing.target === target);
      const ref = snapshot.refs.get(target);
      if (ref === undefined || ref.tree === "") {
        const what = `its target ${named(target)} is gone`;
        for (const [claim, found] of all(of, verdict)) {
          found.wrong.push({ what, next: `orchestrator-merge retry${options.options} ${claim.row.id}` });
          verdicts.set(claim, found);
        }
        continue;
      }
      const landings = of.map(({ landing }) => landing);
      const evidence = await readEvidence(app, place, { ref: target, oid: ref.oid, tree: ref.tree }, landings);
      if ("why" in evidence) {
        for (const [claim, found] of nothing(of, evidence.why)) verdicts.set(claim, found);
        continue;
      }
      const pushed = landings.filter(({ push }) => push === "pushed");
      const checkRemote = await ask(evidence, pushed);
      const recorded = new Map(landings.map((landing) => [landing.attemptId, landing]));
      for (const claim of of) {
        const found = auditRow(claim.row, claim.landing, { evidence, snapshot, tags, directory, recorded, ...options });
        if (claim.landing.push === "pushed") checkRemote(claim.landing, found);
        verdicts.set(claim, found);
      }
    }
    return verdicts;
  } finally {
    removeScratch(place.scratch);
  }
}

/** Whether a rule lets the repository's own drivers run for this row, as they did when it landed. */
function isTrusted(app: Pick<App, "config">, { name, projectPath, specPath, priority, tags }: MergedRow): boolean {
  const subject = { name, path: projectPath ?? "", spec: specPath ?? "", tags, priority, types: null };
  return decide(subject, app.config).settings.trust;
}
