-- Times are milliseconds since the Unix epoch. Words are the labels of the closed lists in `model`.

CREATE TABLE episodes (
    id        INTEGER PRIMARY KEY,
    cluster   TEXT NOT NULL,
    key       TEXT NOT NULL,     -- hash of the labels but `severity`
    opened_at INTEGER NOT NULL,
    seen_at   INTEGER NOT NULL,
    closed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX episodes_open ON episodes (cluster, key) WHERE closed_at IS NULL;

CREATE TABLE alerts (            -- those that fire, each in an open episode
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
    level           TEXT,              -- NULL: the optimizer has none
    target          TEXT NOT NULL,     -- 'cluster', 'broker 1', 'group orders'
    trigger         TEXT NOT NULL,
    cause           TEXT NOT NULL,
    extent          TEXT NOT NULL,
    attempt         INTEGER NOT NULL,
    state           TEXT NOT NULL,
    hold            TEXT,
    note            TEXT,
    verdict         TEXT,
    rollback_reason TEXT,
    undo_requested  INTEGER NOT NULL DEFAULT 0,
    acknowledged    INTEGER NOT NULL DEFAULT 0,
    urgency         TEXT NOT NULL,
    stored_at       INTEGER NOT NULL,
    asked_at        INTEGER,
    approved_at     INTEGER,
    written_at      INTEGER,
    effective_at    INTEGER,
    lift_at         INTEGER,           -- a measure: when it ends at the latest
    ended_at        INTEGER,
    measured        TEXT               -- JSON: baseline and observation
) STRICT;
CREATE INDEX runs_open ON runs (cluster, state) WHERE ended_at IS NULL;
CREATE INDEX runs_measures ON runs (cluster) WHERE lift_at IS NOT NULL;
CREATE INDEX runs_ended ON runs (cluster, playbook, ended_at);

CREATE TABLE claims (            -- which run answers which attempt of which episode
    episode  INTEGER NOT NULL,
    playbook TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    run      INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (episode, playbook, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_run ON claims (run);

CREATE TABLE steps (
    run         INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    idx         INTEGER NOT NULL,
    stage       INTEGER NOT NULL,
    wave        INTEGER NOT NULL,
    subject     TEXT NOT NULL,     -- what is changed: 'broker 1', 'client greedy', …
    key         TEXT NOT NULL,
    from_value  TEXT NOT NULL,
    from_stored TEXT,              -- NULL: nothing was stored
    to_value    TEXT,              -- NULL: what is stored is taken away
    on_undo     TEXT NOT NULL,
    state       TEXT NOT NULL,
    at          INTEGER NOT NULL,
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

-- The journal is append-only; lines of runs that never wrote anything may age out.
CREATE TRIGGER journal_never_changes BEFORE UPDATE ON journal
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_never_forgets BEFORE DELETE ON journal
WHEN (SELECT written_at FROM runs WHERE id = OLD.run) IS NOT NULL
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;

CREATE TABLE written (           -- values this program wrote and has not undone; the newest counts
    cluster TEXT NOT NULL,
    subject TEXT NOT NULL,
    key     TEXT NOT NULL,
    run     INTEGER NOT NULL,
    idx     INTEGER NOT NULL,
    value   TEXT,                -- NULL: nothing is stored
    PRIMARY KEY (cluster, subject, key, run, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE hands_off (         -- keys that someone else changed after us
    cluster TEXT NOT NULL,
    subject TEXT NOT NULL,
    key     TEXT NOT NULL,
    run     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (cluster, subject, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (          -- when a person lifted the quarantines of a cluster
    cluster TEXT PRIMARY KEY,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO runs (id, cluster, playbook, optimizer, level, target, trigger, cause, extent, attempt, state, urgency, stored_at, written_at, effective_at, lift_at, ended_at)
VALUES (1, 'main', 'threads', 'tune_brokers', 'moderate', 'cluster', 'alert', 'Slow', 'as_configured', 1, 'kept', 'usual', 1800000000000, 1800000000000, 1800000000000, NULL, 1800000000000),
       (2, 'main', 'shed', 'shed_load', NULL, 'cluster', 'alert', 'Slow', 'as_configured', 1, 'lifting', 'critical', 1800000000000, 1800000000000, 1800000000000, 1800003600000, NULL),
       (3, 'main', 'shed', 'shed_load', NULL, 'cluster', 'alert', 'Slow', 'as_configured', 1, 'lifted', 'usual', 1800000000000, 1800000000000, 1800000000000, 1800000000000, 1800000000000),
       (4, 'main', 'scale', 'scale_consumers', NULL, 'group orders', 'person', 'scale-consumers', 'rehearse_only', 1, 'rehearsed', 'usual', 1800000000000, NULL, NULL, NULL, 1800000000000);
INSERT INTO steps (run, idx, stage, wave, subject, key, from_value, from_stored, to_value, on_undo, state, at)
VALUES (1, 0, 0, 0, 'broker-keys 1', 'num.io.threads num.network.threads', '4 4', '16 12', NULL, 'leave', 'applied', 1800000000000),
       (1, 1, 0, 1, 'broker 1', 'num.io.threads', '4', NULL, '8', 'restore', 'applied', 1800000000000),
       (1, 2, 0, 0, 'user batch, client greedy%201', 'producer_byte_rate', 'no quota', NULL, '3145728', 'restore', 'began', 1800000000000),
       (1, 3, 0, 1, 'client calm', 'consumer_byte_rate', '1000.5', '1000.5', '500', 'restore', 'undo_began', 1800000000000),
       (1, 4, 0, 0, 'leaders', 'batch 1', 'orders/0=2 a-b_c.d/1=-', NULL, 'orders/0=1 a-b_c.d/1=3', 'leave', 'drifted', 1800000000000),
       (1, 5, 1, 2, 'container worker-1-clone-1-1', '0123abcd', 'absent', NULL, 'running', 'restore', 'planned', 1800000000000);
INSERT INTO journal (run, at, entry, text) VALUES (1, 1800000000000, 'step', 'step 0: applied');
INSERT INTO written VALUES ('main', 'broker 1', 'num.io.threads', 1, 0, NULL),
       ('main', 'broker 1', 'num.network.threads', 1, 0, NULL),
       ('main', 'broker 1', 'num.io.threads', 1, 1, '8'),
       ('main', 'user batch, client greedy%201', 'producer_byte_rate', 1, 2, '3145728');
INSERT INTO hands_off VALUES ('main', 'broker 2', 'num.io.threads', 1, 1800000000000),
       ('main', 'broker-keys 2', 'num.io.threads num.network.threads', 1, 1800000000000),
       ('main', 'user batch, client greedy%201', 'producer_byte_rate', 1, 1800000000000),
       ('main', 'leaders', 'batch 1', 1, 1800000000000),
       ('main', 'container worker-9', '0123abcd', 1, 1800000000000);
PRAGMA user_version = 2;
