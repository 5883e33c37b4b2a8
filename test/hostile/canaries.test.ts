import { afterAll, describe, expect, test } from "vitest";
import { queueOf, tick } from "../helpers/landing.ts";
import { canaries } from "./canaries.ts";
import { makeWorld } from "./world.ts";

const count = { tried: 0, fired: 0, hung: 0, merged: 0 };
const reasons = new Map<string, number>();

/** What may become of such a project besides landing. */
const acceptable = ["repository_untrusted", "no_worktree", "repository_busy", "dirty_source", "conflict"];

describe("what an agent has planted", () => {
  test.each(canaries.map((canary) => [canary.name, canary] as const))(
    "%s fires under plain git, and not under ours",
    async (_name, canary) => {
      const [plain, ours] = [makeWorld(), makeWorld()];
      canary.plant(plain);
      canary.provoke(plain);
      expect(plain.fired(), "under plain git").toBe(true);

      canary.plant(ours);
      const db = await queueOf(ours.repo, ours.spec);
      count.tried++;
      count.hung++;
      const { outcome, reason } = (await tick(db)).of(1);
      count.hung--;
      if (ours.fired()) count.fired++;
      expect(ours.fired(), "under ours").toBe(false);
      if (outcome === "merged") count.merged++;
      else reasons.set(String(reason), (reasons.get(String(reason)) ?? 0) + 1);
      expect(outcome === "merged" ? null : reason).toSatisfy((why) => why === null || acceptable.includes(why));
      expect(ours.repo.read("README.md")).toBe("edited, so that somebody has to look\n");
    },
  );
});

afterAll(() => {
  const rest = [...reasons].map(([reason, n]) => `${n} ${reason}`).join(", ");
  console.log(`${count.tried} canaries, ${count.fired} fired, ${count.hung} hangs; ${count.merged} landed, ${rest}`);
});
