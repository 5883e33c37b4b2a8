import type { GateRecord } from "../core/verdicts.ts";
import type { Queue } from "./database.ts";
import { integer, requiredInteger, requiredText, text } from "./rows.ts";

/** Which gate in which surroundings: hashes. */
export type GateKey = { readonly gate: string; readonly environment: string };

/** What a gate said of a tree. Times are unix milliseconds, spans milliseconds. */
export type Remembered = {
  readonly verdict: "pass" | "fail" | "timeout";
  readonly exitCode: number | null;
  readonly durationMs: number;
  /** its tail */
  readonly output: string;
  readonly outputFile: string | null;
  readonly judgedAt: number;
};

/** What this gate has said of these trees, by tree. */
export async function recall(queue: Queue, key: GateKey, trees: readonly string[]): Promise<Map<string, Remembered>> {
  const rows = await queue.read(
    `SELECT tree, verdict, exit_code, duration_ms, output, output_file, judged_at FROM merge_gate_verdict
     WHERE tree IN (SELECT value FROM json_each(?)) AND gate = ? AND environment = ?`,
    [JSON.stringify(trees), key.gate, key.environment],
  );
  return new Map(
    rows.flatMap((row): [string, Remembered][] => {
      const verdict = requiredText(row, "verdict");
      if (verdict !== "pass" && verdict !== "fail" && verdict !== "timeout") return []; // a newer version's
      return [
        [
          requiredText(row, "tree"),
          {
            verdict,
            exitCode: integer(row, "exit_code"),
            durationMs: requiredInteger(row, "duration_ms"),
            output: text(row, "output") ?? "",
            outputFile: text(row, "output_file"),
            judgedAt: requiredInteger(row, "judged_at"),
          },
        ],
      ];
    }),
  );
}

/** Writes down what a gate has just said of a tree, and forgets what was said before `oldest` (unix milliseconds). */
export async function remember(
  queue: Queue,
  key: GateKey,
  tree: string,
  said: Remembered,
  oldest: number,
): Promise<void> {
  await queue.write(async (tx) => {
    await tx.run("DELETE FROM merge_gate_verdict WHERE judged_at < ?", [oldest]);
    await tx.run(
      `INSERT OR REPLACE INTO merge_gate_verdict
         (tree, gate, environment, verdict, exit_code, duration_ms, output, output_file, judged_at) VALUES (?,?,?,?,?,?,?,?,?)`,
      [
        tree,
        key.gate,
        key.environment,
        said.verdict,
        said.exitCode,
        said.durationMs,
        said.output,
        said.outputFile,
        said.judgedAt,
      ],
    );
  });
}

/** What gates said, as an attempt keeps it; null for nothing. */
export const gatesJson = (gates: readonly GateRecord[]): string | null =>
  gates.length === 0 ? null : JSON.stringify(gates);
