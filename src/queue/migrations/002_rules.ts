/** What rules need: approvals, dependencies, the verdicts of gates; and with each attempt how it was judged and landed. */
export const rulesTables = `
-- What a person said of a project: bound to the very heads it was said of. The newest word counts; retry takes it back.
CREATE TABLE merge_approval (
  project_id INTEGER PRIMARY KEY,
  generation TEXT NOT NULL,
  verdict    TEXT NOT NULL CHECK (verdict IN ('approved','rejected')),
  heads_json TEXT NOT NULL,                  -- [{role, oid}]
  decided_by TEXT NOT NULL,                  -- user@host
  decided_at INTEGER NOT NULL,
  reason     TEXT
);

-- What add --depends-on was told.
CREATE TABLE merge_dependency (
  project_id INTEGER NOT NULL,
  depends_on INTEGER NOT NULL,
  PRIMARY KEY (project_id, depends_on)
) WITHOUT ROWID;

-- What a gate said of a tree: the same tree is not judged twice by the same gate in the same environment.
CREATE TABLE merge_gate_verdict (
  tree        TEXT NOT NULL,
  gate        TEXT NOT NULL,                 -- hash of its command
  environment TEXT NOT NULL,                 -- hash of its variables, the host and the system
  verdict     TEXT NOT NULL CHECK (verdict IN ('pass','fail','timeout')), -- timeout: only where to search first
  exit_code   INTEGER,
  duration_ms INTEGER NOT NULL,
  output      TEXT,                          -- its tail
  output_file TEXT,                          -- where all of it is
  judged_at   INTEGER NOT NULL,
  PRIMARY KEY (tree, gate, environment)
) WITHOUT ROWID;
CREATE INDEX merge_gate_verdict_age ON merge_gate_verdict(judged_at);

ALTER TABLE merge_attempt ADD COLUMN strategy TEXT;   -- NULL: merge
ALTER TABLE merge_attempt ADD COLUMN gates_json TEXT; -- [{name, verdict, exitCode, durationMs, tree, remembered, outputFile}]
`;
