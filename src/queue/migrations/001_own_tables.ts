/**
 * Our own tables. All times are unix milliseconds (INTEGER) unless a column says otherwise; object ids are full hex;
 * columns named *_json hold JSON written by us only. `project_queue` belongs to the orchestrator: see migrate.ts for the
 * few columns and indexes that it gains.
 *
 * Nothing here needs more than SQLite 3.9 (partial indexes on expressions), and no table is STRICT: SQLite before 3.37 (Python on
 * Debian 11 has 3.34, on Ubuntu 20.04 3.31) cannot parse that word and then refuses the whole file as malformed, so that
 * the orchestrator's own tools would stop. Hence NOT NULL on every primary key, which STRICT implied.
 */
export const ownTables = `
-- What we know of a queue row beyond the row itself. No row: never looked at, nor settled by others when migrate or a sweep
-- last compared. A row that others settled (the original's tools, a hand, migrate --baseline) has its state here with every
-- column from reason on empty, so that it is noticed when the project is completed again.
CREATE TABLE merge_project (
  project_id      INTEGER PRIMARY KEY,
  generation      TEXT NOT NULL,             -- spec_path, started_at, completed_at as they were (see generation.ts)
  recorded_status TEXT,                      -- what we last wrote or accepted in merged_status; another value there is somebody's wish and wins
  state           TEXT NOT NULL CHECK (state IN ('waiting','held','failed','merged','rolled_back','skipped')),
  reason          TEXT,
  detail          TEXT,
  since           INTEGER NOT NULL,          -- when state, reason or detail last changed; what others settled: when we learnt of it
  judged_on       TEXT,                      -- the object ids a failure was judged on: looked at again only when they moved
  failures        INTEGER NOT NULL DEFAULT 0,-- transient failures in a row, for the backoff
  next_attempt_at INTEGER,                   -- not before; NULL is any tick
  roles_json      TEXT,                      -- retry --roles: only these agents' heads
  attempt_id      TEXT                       -- the newest attempt
);
-- With the reason, because the failures of others have none: a tick does not read them, however many there are.
CREATE INDEX merge_project_open ON merge_project(state, reason) WHERE state IN ('waiting','held','failed');

-- One try at one project. Finished when outcome is set.
CREATE TABLE merge_attempt (
  attempt_id     TEXT PRIMARY KEY NOT NULL,  -- ULID
  project_id     INTEGER NOT NULL,
  name           TEXT NOT NULL,
  run_id         TEXT NOT NULL,
  landing_id     TEXT,                       -- the journal row it landed with
  started_at     INTEGER NOT NULL,
  finished_at    INTEGER,
  completed_at   INTEGER,                    -- when the project was completed, if known: time to land is finished_at - completed_at
  outcome        TEXT CHECK (outcome IN ('merged','already_merged','merge_failed','held','abandoned')),
  reason         TEXT,
  detail         TEXT,
  repository     TEXT,                       -- the common git directory, real path
  target         TEXT,                       -- full ref name
  base           TEXT,                       -- target before this project
  merge_commit   TEXT,
  heads_json     TEXT NOT NULL DEFAULT '[]', -- [{role, oid, worktree, branch}]
  backup_ref     TEXT,
  tag            TEXT,
  push           TEXT CHECK (push IN ('none','pushed','pending','withheld','refused','off')),
  conflicts_json TEXT NOT NULL DEFAULT '[]',
  warnings_json  TEXT NOT NULL DEFAULT '[]',
  output         TEXT                        -- everything the failing command said
);
CREATE INDEX merge_attempt_project ON merge_attempt(project_id, attempt_id);
CREATE INDEX merge_attempt_finished ON merge_attempt(finished_at, outcome);
CREATE INDEX merge_attempt_owed ON merge_attempt(repository, target) WHERE push IN ('pending','withheld','refused');
CREATE INDEX merge_attempt_landing ON merge_attempt(landing_id) WHERE landing_id IS NOT NULL;

-- The journal: one row a landing, written before git is touched. The refs of the same id are the other half:
-- refs/orchestrator/pending/<id> exists exactly between the two ref transactions.
CREATE TABLE merge_landing (
  landing_id TEXT PRIMARY KEY NOT NULL,      -- ULID
  run_id     TEXT NOT NULL,
  repository TEXT NOT NULL,
  fence      INTEGER NOT NULL,
  target     TEXT NOT NULL,
  base       TEXT NOT NULL,
  tip        TEXT NOT NULL,
  checkout   TEXT,                           -- the worktree where the target is checked out, NULL if nowhere
  plan_json  TEXT NOT NULL,                  -- what each project's row will say: recovery writes the outcome from this
  state      TEXT NOT NULL CHECK (state IN ('intended','recorded','abandoned')),
  created_at INTEGER NOT NULL,
  closed_at  INTEGER
);
CREATE INDEX merge_landing_open ON merge_landing(repository) WHERE state = 'intended';

-- The life of a push after its landing, one row a target of a repository.
CREATE TABLE merge_push (
  repository TEXT NOT NULL,
  target     TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('pushed','pending','withheld','refused')),
  detail     TEXT,
  failures   INTEGER NOT NULL DEFAULT 0,
  next_at    INTEGER,                        -- not before; NULL is any tick
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (repository, target)
);
CREATE INDEX merge_push_owed ON merge_push(next_at) WHERE state <> 'pushed';

-- Who may touch a repository now. The row stays after release, so that the fence only grows.
CREATE TABLE merge_lease (
  repository TEXT PRIMARY KEY NOT NULL,
  fence      INTEGER NOT NULL,
  run_id     TEXT,                           -- NULL: free
  host       TEXT,
  boot_id    TEXT,
  pid        INTEGER,
  pid_start  TEXT,                           -- field 22 of /proc/<pid>/stat: tells a pid used again from its owner
  expires_at INTEGER
);

-- Ticks that had something to do, newest kept; the last idle tick is in merge_meta.
CREATE TABLE merge_run (
  run_id      TEXT PRIMARY KEY NOT NULL,
  host        TEXT NOT NULL,
  pid         INTEGER NOT NULL,
  started_at  INTEGER NOT NULL,
  finished_at INTEGER,
  exit_code   INTEGER,
  merged      INTEGER NOT NULL DEFAULT 0,
  failed      INTEGER NOT NULL DEFAULT 0,
  held        INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE merge_meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);

-- What \`add\` was told: where the work is. Exactly one of worktree and branch is set.
CREATE TABLE merge_source (
  project_id INTEGER PRIMARY KEY,
  worktree   TEXT,
  branch     TEXT
);

CREATE TABLE merge_project_tag (
  project_id INTEGER NOT NULL,
  tag        TEXT NOT NULL,
  PRIMARY KEY (project_id, tag)
) WITHOUT ROWID;
`;
