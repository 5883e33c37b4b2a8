/**
 * The orchestrator's table as its scheduler makes it, for a queue that is made by us: whoever comes second, the
 * orchestrator or this program, finds what it expects. Our own columns are added as to any other layout, by migrate.ts.
 */
export const projectQueue = `
CREATE TABLE project_queue (
  id                   INTEGER PRIMARY KEY AUTOINCREMENT,
  spec_path            TEXT NOT NULL,
  project_path         TEXT,
  status               TEXT DEFAULT 'queued',
  enqueued_at          REAL DEFAULT (strftime('%s','now')),
  started_at           REAL,
  completed_at         REAL,
  priority             INTEGER DEFAULT 0,
  error_message        TEXT,
  batch_id             TEXT,
  retry_count          INTEGER DEFAULT 0,
  enhanced_spec_path   TEXT,
  orchestrator_session TEXT,
  main_session         TEXT,
  fresh_start          INTEGER DEFAULT 0,
  session_name         TEXT,
  spec_requirements    TEXT,
  validation_score     REAL,
  validation_details   TEXT,
  spec_version         TEXT
);
CREATE UNIQUE INDEX idx_project_queue_active ON project_queue(spec_path, project_path)
  WHERE status IN ('queued','processing');
CREATE UNIQUE INDEX idx_project_queue_session ON project_queue(main_session) WHERE status = 'processing';
`;
