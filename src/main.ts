import { createClient } from "@libsql/client/sqlite3";
const c = createClient({ url: "file:/tmp/x.db" });
console.log((await c.execute("select sqlite_version()")).rows[0]);
