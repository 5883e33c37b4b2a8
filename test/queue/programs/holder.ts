// Holds a queue for itself until its standard input ends; says "held" when it has it. Started by tests.
import { DatabaseSync } from "node:sqlite";

const database = new DatabaseSync(process.argv[2] ?? "", { timeout: 10_000 });
database.exec("BEGIN EXCLUSIVE");
process.stdout.write("held\n");
process.stdin.on("end", () => {
  database.exec("ROLLBACK");
  database.close();
});
process.stdin.resume();
