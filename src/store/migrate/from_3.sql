-- From version 3 to version 4.

-- An id of the installation, and the Kafka cluster behind each name.

CREATE TABLE installation (
    id TEXT NOT NULL
) STRICT;
INSERT INTO installation VALUES (lower(hex(randomblob(16))));

CREATE TABLE clusters (
    name     TEXT PRIMARY KEY,
    kafka_id TEXT,
    position INTEGER
) STRICT, WITHOUT ROWID;

-- What a run does, for comparing it with another one. Open runs of an older version are merged with
-- none.
ALTER TABLE runs ADD COLUMN parameters TEXT NOT NULL DEFAULT '';

-- A place in the queue is no longer taken by what waits.
UPDATE runs SET state = 'queued', hold = NULL, note = NULL WHERE hold = 'queue_full';

-- Names in the journal, and approvals of one plan.
ALTER TABLE runs ADD COLUMN approved_digest TEXT;

ALTER TABLE journal ADD COLUMN principal TEXT;
ALTER TABLE journal ADD COLUMN cluster TEXT;
ALTER TABLE journal ADD COLUMN repeated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE journal ADD COLUMN last_at INTEGER;
DROP TRIGGER journal_never_changes;
DROP TRIGGER journal_never_forgets;
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

CREATE TABLE target_releases (
    cluster  TEXT NOT NULL,
    playbook TEXT NOT NULL,
    target   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (cluster, playbook, target)
) STRICT, WITHOUT ROWID;

-- What a step's undo has to know at its next try.
ALTER TABLE steps ADD COLUMN progress TEXT;

-- Values that were written form a stack, in the order of writing.
CREATE TABLE new_written (
    cluster  TEXT NOT NULL,
    resource TEXT NOT NULL,
    run      INTEGER NOT NULL,
    idx      INTEGER NOT NULL,
    value    TEXT,
    seq      INTEGER NOT NULL,
    applied  INTEGER NOT NULL,
    PRIMARY KEY (cluster, resource, run, idx)
) STRICT, WITHOUT ROWID;
INSERT INTO new_written
SELECT w.cluster, w.resource, w.run, w.idx, w.value,
       row_number() OVER (ORDER BY coalesce(r.written_at, r.created_at, 0), w.run, w.idx), 1
FROM written w LEFT JOIN runs r ON r.id = w.run;
DROP TABLE written;
ALTER TABLE new_written RENAME TO written;

-- Episodes are about a playbook and a target, follow what Prometheus reports, and know when their
-- alerts started. Those that are open are matched again when the worker starts.
CREATE TABLE new_alerts (
    cluster     TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    episode     INTEGER NOT NULL REFERENCES episodes (id) ON DELETE CASCADE,
    labels      TEXT NOT NULL,
    PRIMARY KEY (cluster, fingerprint, episode)
) STRICT, WITHOUT ROWID;
INSERT INTO new_alerts SELECT cluster, fingerprint, episode, labels FROM alerts;
DROP TABLE alerts;
ALTER TABLE new_alerts RENAME TO alerts;
CREATE INDEX alerts_episode ON alerts (episode);

CREATE TABLE new_episodes (
    id               INTEGER PRIMARY KEY,
    cluster          TEXT NOT NULL,
    key              TEXT NOT NULL,
    playbook         TEXT,
    target           TEXT,
    opened_at        INTEGER NOT NULL,
    seen_at          INTEGER NOT NULL,
    starts_at        INTEGER NOT NULL,
    not_firing_since INTEGER,
    gap_at           INTEGER,
    priority         TEXT NOT NULL,
    is_varying       INTEGER NOT NULL DEFAULT 0,
    labels           TEXT NOT NULL,
    closed_at        INTEGER,
    ended_by         TEXT
) STRICT;
INSERT INTO new_episodes (id, cluster, key, opened_at, seen_at, starts_at, priority, labels, closed_at)
SELECT id, cluster, key, opened_at, seen_at, opened_at, 'normal', '{}', closed_at FROM episodes;
DROP TABLE episodes;
ALTER TABLE new_episodes RENAME TO episodes;
CREATE UNIQUE INDEX episodes_open ON episodes (cluster, key) WHERE closed_at IS NULL;
CREATE INDEX episodes_key ON episodes (cluster, key);
CREATE INDEX episodes_seen ON episodes (seen_at) WHERE closed_at IS NULL;

-- A flood of alerts must not make each new run more expensive than the one before.
CREATE INDEX runs_equal ON runs (cluster, optimizer, target) WHERE ended_at IS NULL;

-- What verdicts depended on.
CREATE TABLE cases (
    run     INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    content BLOB NOT NULL
) STRICT;

-- Baselines that a person named.
CREATE TABLE baselines (
    cluster     TEXT NOT NULL,
    name        TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    content     BLOB NOT NULL,
    PRIMARY KEY (cluster, name)
) STRICT;
