-- Times are milliseconds since the Unix epoch. States, reasons and other closed lists are kept as
-- their labels (see `model`).

CREATE TABLE episodes (
    id               INTEGER PRIMARY KEY,
    cluster          TEXT NOT NULL,
    key              TEXT NOT NULL,    -- playbook and target, or a hash of the labels except `severity`
    playbook         TEXT,             -- NULL: no playbook matches
    target           TEXT,             -- NULL: no playbook matches, or the labels name no target
    opened_at        INTEGER NOT NULL,
    seen_at          INTEGER NOT NULL,
    starts_at        INTEGER NOT NULL, -- the newest `startsAt` of its alerts
    not_firing_since INTEGER,          -- NULL: Prometheus reports it
    gap_at           INTEGER,          -- begin of the last time for which Prometheus did not report it
    priority         TEXT NOT NULL,
    is_varying       INTEGER NOT NULL DEFAULT 0, -- its alerts differ in more than `severity`
    labels           TEXT NOT NULL,    -- JSON: of its last alert
    closed_at        INTEGER,
    ended_by         TEXT
) STRICT;
CREATE UNIQUE INDEX episodes_open ON episodes (cluster, key) WHERE closed_at IS NULL;
CREATE INDEX episodes_key ON episodes (cluster, key);
CREATE INDEX episodes_seen ON episodes (seen_at) WHERE closed_at IS NULL;

CREATE TABLE alerts (            -- firing alerts, in the open episode of each playbook that matches
    cluster     TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    episode     INTEGER NOT NULL REFERENCES episodes (id) ON DELETE CASCADE,
    labels      TEXT NOT NULL,   -- JSON
    PRIMARY KEY (cluster, fingerprint, episode)
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_episode ON alerts (episode);

CREATE TABLE runs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster         TEXT NOT NULL,
    playbook        TEXT NOT NULL,
    optimizer       TEXT NOT NULL,
    level           TEXT,              -- NULL: the optimizer has no levels
    parameters      TEXT NOT NULL DEFAULT '', -- of the optimizer: compared, never parsed
    target          TEXT NOT NULL,     -- 'cluster', 'broker 1', 'group orders'
    trigger         TEXT NOT NULL,
    cause           TEXT NOT NULL,
    dry_run         INTEGER NOT NULL DEFAULT 0,
    attempt         INTEGER NOT NULL,
    state           TEXT NOT NULL,
    hold            TEXT,
    note            TEXT,
    verdict         TEXT,
    rollback_reason TEXT,
    undo_requested  INTEGER NOT NULL DEFAULT 0,
    acknowledged    INTEGER NOT NULL DEFAULT 0,
    priority        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    asked_at        INTEGER,
    approved_at     INTEGER,
    approved_digest TEXT,              -- of the plan that was approved
    written_at      INTEGER,
    effective_at    INTEGER,
    expires_at      INTEGER,           -- NULL: the change is not temporary
    ended_at        INTEGER,
    measured        TEXT               -- JSON: baseline and observation
) STRICT;
CREATE INDEX runs_open ON runs (cluster, state) WHERE ended_at IS NULL;
CREATE INDEX runs_equal ON runs (cluster, optimizer, target) WHERE ended_at IS NULL;
CREATE INDEX runs_temporary ON runs (cluster) WHERE expires_at IS NOT NULL;
CREATE INDEX runs_ended ON runs (cluster, playbook, ended_at);

CREATE TABLE cases (             -- what the verdicts of the newest runs depended on
    run     INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    content BLOB NOT NULL        -- deflated JSON
) STRICT;

CREATE TABLE baselines (         -- what a person measured and named
    cluster     TEXT NOT NULL,
    name        TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    summary     TEXT NOT NULL,   -- JSON: `baseline::BaselineSummary`
    content     BLOB NOT NULL,   -- deflated JSON: `baseline::NamedBaseline`
    PRIMARY KEY (cluster, name)
) STRICT;

CREATE TABLE claims (            -- which run handles which attempt of which episode
    episode  INTEGER NOT NULL,
    playbook TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    run      INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (episode, playbook, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_run ON claims (run);

CREATE TABLE steps (
    run    INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    idx    INTEGER NOT NULL,
    stage  INTEGER NOT NULL,
    wave   INTEGER NOT NULL,
    change TEXT NOT NULL,        -- JSON: `model::Change`
    state  TEXT NOT NULL,
    at     INTEGER NOT NULL,
    progress TEXT,               -- JSON: `store::StepProgress`
    PRIMARY KEY (run, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    id        INTEGER PRIMARY KEY,
    run       INTEGER NOT NULL,  -- 0: not about one run
    at        INTEGER NOT NULL,
    entry     TEXT NOT NULL,
    text      TEXT NOT NULL,
    principal TEXT,              -- who gave the order; NULL: the program itself
    cluster   TEXT,              -- NULL: that of the run, or all
    repeated  INTEGER NOT NULL DEFAULT 0,  -- how often an equal line followed (see journal.rs)
    last_at   INTEGER            -- when the last of those followed
) STRICT;
CREATE INDEX journal_run ON journal (run);

-- The journal is append-only: a line never changes, except that equal lines that follow are
-- counted. What a person ordered is never deleted, nor are the lines of runs that wrote anything.
CREATE TRIGGER journal_never_changes
BEFORE UPDATE OF id, run, at, entry, text, principal, cluster ON journal
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_only_counts BEFORE UPDATE ON journal
WHEN NEW.repeated <> OLD.repeated + 1 OR NEW.last_at < coalesce(OLD.last_at, OLD.at)
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_never_forgets BEFORE DELETE ON journal
WHEN OLD.principal IS NOT NULL OR OLD.run = 0
OR (SELECT written_at FROM runs WHERE id = OLD.run) IS NOT NULL
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;

CREATE TABLE written (           -- values that this program wrote and has not undone: a stack
    cluster  TEXT NOT NULL,
    resource TEXT NOT NULL,      -- JSON: `model::ResourceKey`
    run      INTEGER NOT NULL,
    idx      INTEGER NOT NULL,
    value    TEXT,               -- NULL: the entry was deleted
    seq      INTEGER NOT NULL,   -- the order of writing; the highest is what is in effect
    applied  INTEGER NOT NULL,   -- 0: about to be sent, or its outcome is not known
    PRIMARY KEY (cluster, resource, run, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE hands_off (         -- resources that someone else changed after this program
    cluster  TEXT NOT NULL,
    resource TEXT NOT NULL,      -- JSON: `model::ResourceKey`
    run      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (cluster, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (          -- when a person last released the quarantines of a cluster
    cluster TEXT PRIMARY KEY,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE installation (      -- one row: the id of this state file, made once
    id TEXT NOT NULL
) STRICT;
INSERT INTO installation VALUES (lower(hex(randomblob(16))));

CREATE TABLE clusters (          -- which Kafka cluster each name stands for
    name     TEXT PRIMARY KEY,
    kafka_id TEXT,               -- NULL: not seen yet
    position INTEGER             -- in the configuration; NULL: not configured
) STRICT, WITHOUT ROWID;

CREATE TABLE target_releases (   -- when a person last released one quarantined target
    cluster  TEXT NOT NULL,
    playbook TEXT NOT NULL,
    target   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (cluster, playbook, target)
) STRICT, WITHOUT ROWID;
