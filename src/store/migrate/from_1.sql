-- From version 1 to version 2: `broker` becomes the text `target` of a run and `subject` of a step.

CREATE TABLE new_runs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster         TEXT NOT NULL,
    playbook        TEXT NOT NULL,
    optimizer       TEXT NOT NULL,
    level           TEXT,
    target          TEXT NOT NULL,
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
    lift_at         INTEGER,
    ended_at        INTEGER,
    measured        TEXT
) STRICT;
INSERT INTO new_runs
SELECT id, cluster, playbook, optimizer, level,
       CASE WHEN broker IS NULL THEN 'cluster' ELSE 'broker ' || broker END,
       trigger, cause, extent, attempt, state, hold, note, verdict, rollback_reason, undo_requested,
       acknowledged, 'usual', stored_at, NULL, NULL, written_at, effective_at, NULL, ended_at,
       measured
FROM runs;
-- A number is never given twice, not even that of a run long forgotten.
DELETE FROM sqlite_sequence WHERE name = 'new_runs';
INSERT INTO sqlite_sequence SELECT 'new_runs', seq FROM sqlite_sequence WHERE name = 'runs';
-- The trigger names the table that goes.
DROP TRIGGER journal_never_forgets;
DROP TABLE runs;
ALTER TABLE new_runs RENAME TO runs;
CREATE INDEX runs_open ON runs (cluster, state) WHERE ended_at IS NULL;
CREATE INDEX runs_measures ON runs (cluster) WHERE lift_at IS NOT NULL;
CREATE INDEX runs_ended ON runs (cluster, playbook, ended_at);
CREATE TRIGGER journal_never_forgets BEFORE DELETE ON journal
WHEN (SELECT written_at FROM runs WHERE id = OLD.run) IS NOT NULL
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;

CREATE TABLE new_steps (
    run         INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    idx         INTEGER NOT NULL,
    stage       INTEGER NOT NULL,
    wave        INTEGER NOT NULL,
    subject     TEXT NOT NULL,
    key         TEXT NOT NULL,
    from_value  TEXT NOT NULL,
    from_stored TEXT,
    to_value    TEXT,
    on_undo     TEXT NOT NULL,
    state       TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (run, idx)
) STRICT, WITHOUT ROWID;
INSERT INTO new_steps
SELECT run, idx, 0, wave, 'broker ' || broker, key, from_value, from_stored, to_value, 'restore',
       state, at
FROM steps;
DROP TABLE steps;
ALTER TABLE new_steps RENAME TO steps;

CREATE TABLE new_written (
    cluster TEXT NOT NULL,
    subject TEXT NOT NULL,
    key     TEXT NOT NULL,
    run     INTEGER NOT NULL,
    idx     INTEGER NOT NULL,
    value   TEXT,
    PRIMARY KEY (cluster, subject, key, run, idx)
) STRICT, WITHOUT ROWID;
INSERT INTO new_written SELECT cluster, 'broker ' || broker, key, run, idx, value FROM written;
DROP TABLE written;
ALTER TABLE new_written RENAME TO written;

CREATE TABLE new_hands_off (
    cluster TEXT NOT NULL,
    subject TEXT NOT NULL,
    key     TEXT NOT NULL,
    run     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (cluster, subject, key)
) STRICT, WITHOUT ROWID;
INSERT INTO new_hands_off SELECT cluster, 'broker ' || broker, key, run, at FROM hands_off;
DROP TABLE hands_off;
ALTER TABLE new_hands_off RENAME TO hands_off;
