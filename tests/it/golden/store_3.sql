-- Times are milliseconds since the Unix epoch. States, reasons and other closed lists are kept as
-- their labels (see `model`).

CREATE TABLE episodes (
    id        INTEGER PRIMARY KEY,
    cluster   TEXT NOT NULL,
    key       TEXT NOT NULL,     -- hash of the labels except `severity`
    opened_at INTEGER NOT NULL,
    seen_at   INTEGER NOT NULL,
    closed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX episodes_open ON episodes (cluster, key) WHERE closed_at IS NULL;

CREATE TABLE alerts (            -- firing alerts, each in an open episode
    cluster     TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    episode     INTEGER NOT NULL REFERENCES episodes (id) ON DELETE CASCADE,
    labels      TEXT NOT NULL,   -- JSON
    PRIMARY KEY (cluster, fingerprint)
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_episode ON alerts (episode);

CREATE TABLE runs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster         TEXT NOT NULL,
    playbook        TEXT NOT NULL,
    optimizer       TEXT NOT NULL,
    level           TEXT,              -- NULL: the optimizer has no levels
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
    written_at      INTEGER,
    effective_at    INTEGER,
    expires_at      INTEGER,           -- NULL: the change is not temporary
    ended_at        INTEGER,
    measured        TEXT               -- JSON: baseline and observation
) STRICT;
CREATE INDEX runs_open ON runs (cluster, state) WHERE ended_at IS NULL;
CREATE INDEX runs_temporary ON runs (cluster) WHERE expires_at IS NOT NULL;
CREATE INDEX runs_ended ON runs (cluster, playbook, ended_at);

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
    PRIMARY KEY (run, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    id    INTEGER PRIMARY KEY,
    run   INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    entry TEXT NOT NULL,
    text  TEXT NOT NULL
) STRICT;
CREATE INDEX journal_run ON journal (run);

-- The journal is append-only; the lines of runs that never wrote anything may be deleted.
CREATE TRIGGER journal_never_changes BEFORE UPDATE ON journal
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_never_forgets BEFORE DELETE ON journal
WHEN (SELECT written_at FROM runs WHERE id = OLD.run) IS NOT NULL
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;

CREATE TABLE written (           -- values that this program wrote and has not undone; the newest counts
    cluster  TEXT NOT NULL,
    resource TEXT NOT NULL,      -- JSON: `model::ResourceKey`
    run      INTEGER NOT NULL,
    idx      INTEGER NOT NULL,
    value    TEXT,               -- NULL: the entry was deleted
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

-- Run 2 was written before run 1: numbers are given when a run is stored.
INSERT INTO runs (id, cluster, playbook, optimizer, level, target, trigger, cause, attempt, state, priority, created_at, written_at, effective_at, ended_at)
VALUES (1, 'main', 'threads', 'tune_brokers', 'moderate', 'broker 1', 'alert', 'Slow', 1, 'kept', 'normal', 1800000000000, 1800000900000, 1800000901000, 1800001000000),
       (2, 'main', 'threads', 'tune_brokers', 'conservative', 'broker 1', 'person', 'tune-brokers', 1, 'kept', 'normal', 1800000000000, 1800000100000, 1800000101000, 1800000200000);
INSERT INTO runs (id, cluster, playbook, optimizer, target, trigger, cause, attempt, state, hold, priority, created_at)
VALUES (3, 'main', 'shed', 'shed_load', 'cluster', 'alert', 'Flood', 1, 'held', 'queue_full', 'critical', 1800000000000);
INSERT INTO steps (run, idx, stage, wave, change, state, at)
VALUES (1, 0, 0, 0, '{"kind":"broker_config","broker":1,"key":"num.io.threads","from":"12","from_stored":"12","to":"16"}', 'applied', 1800000901000),
       (2, 0, 0, 0, '{"kind":"broker_config","broker":1,"key":"num.io.threads","from":"8","from_stored":null,"to":"12"}', 'applied', 1800000101000);
INSERT INTO written (cluster, resource, run, idx, value)
VALUES ('main', '{"kind":"broker_config","broker":1,"key":"num.io.threads"}', 1, 0, '16'),
       ('main', '{"kind":"broker_config","broker":1,"key":"num.io.threads"}', 2, 0, '12');
INSERT INTO journal (run, at, entry, text) VALUES (1, 1800000901000, 'step', 'step 0: applied');
INSERT INTO episodes (id, cluster, key, opened_at, seen_at, closed_at)
VALUES (1, 'main', '00000000000000000000000000000001', 1800000000000, 1800000000000, NULL),
       (2, 'main', '00000000000000000000000000000002', 1800000000000, 1800000000000, 1800000000000);
INSERT INTO alerts (cluster, fingerprint, episode, labels)
VALUES ('main', '00ff', 1, '{"alertname":"Slow","kafka_cluster":"main"}');
INSERT INTO claims (episode, playbook, attempt, run) VALUES (1, 'threads', 1, 1);
PRAGMA user_version = 3;
