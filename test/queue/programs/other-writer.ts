// Writes to a queue the way the orchestrator's Python does: another copy of SQLite in another process, which waits at most two
// seconds for a lock and pauses for a moment between writes. Adds 1 to `priority` of row 1 and puts in a queued row, again and again until its standard input ends;
// says "writing" after the first time, at the end how often it wrote. Any error ends it with a stack. Started by tests.
import { DatabaseSync } from "node:sqlite";

const [path = ""] = process.argv.slice(2);
const database = new DatabaseSync(path, { timeout: 2000 });
let stop = false;
let written = 0;
process.stdin.on("end", () => {
  stop = true;
});
process.stdin.resume();

function writeOne(): void {
  database.exec("BEGIN IMMEDIATE");
  database.exec("UPDATE project_queue SET priority = priority + 1 WHERE id = 1");
  database.prepare("INSERT INTO project_queue (spec_path, status) VALUES (?, 'queued')").run(`/other/${written}.md`);
  database.exec("COMMIT");
  written += 1;
  if (written === 1) process.stdout.write("writing\n");
  if (!stop) setTimeout(writeOne, 1);
  else {
    database.close();
    process.stdout.write(`${written}\n`);
  }
}
writeOne();
