/**
 * What people are to be told: one row a happening and channel, written in the transaction that makes it true, so that it is told at least
 * once whoever is killed when. Delivered at the end of a tick, when nothing else is left to do (app/deliver.ts).
 */
export const outbox = `
CREATE TABLE merge_outbox (
  outbox_id    INTEGER PRIMARY KEY,
  dedupe_key   TEXT NOT NULL,             -- the happening: merged:<attempt>, held:<project>:<since>, ...; sent along
  channel      TEXT NOT NULL,             -- slack, webhook, email, desktop, command
  event        TEXT NOT NULL,
  project_id   INTEGER,                   -- NULL: not about one project
  payload_json TEXT NOT NULL,             -- a Happening (core/notify.ts), without its id
  created_at   INTEGER NOT NULL,
  attempts     INTEGER NOT NULL DEFAULT 0,
  next_at      INTEGER,                   -- not before; NULL: sent or given up. What must last to be worth telling begins with a time to come
  sent_at      INTEGER,
  last_error   TEXT,
  UNIQUE (dedupe_key, channel)
);
CREATE INDEX merge_outbox_due ON merge_outbox(next_at) WHERE next_at IS NOT NULL;
`;
