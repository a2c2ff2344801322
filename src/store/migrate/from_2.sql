-- From version 2 to version 3: runs are created (not stored), temporary changes expire, and a step
-- holds its change as JSON. `version_2.rs` moves the rows of the `old_…` tables and drops those.

ALTER TABLE runs RENAME COLUMN stored_at TO created_at;
ALTER TABLE runs RENAME COLUMN lift_at TO expires_at;
UPDATE runs SET state = 'expiring' WHERE state = 'lifting';
UPDATE runs SET state = 'expired' WHERE state = 'lifted';
DROP INDEX runs_measures;
CREATE INDEX runs_temporary ON runs (cluster) WHERE expires_at IS NOT NULL;

ALTER TABLE runs RENAME COLUMN urgency TO priority;
UPDATE runs SET priority = 'normal' WHERE priority = 'usual';

ALTER TABLE runs ADD COLUMN dry_run INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET dry_run = extent = 'rehearse_only';
ALTER TABLE runs DROP COLUMN extent;

ALTER TABLE steps RENAME TO old_steps;
CREATE TABLE steps (
    run    INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    idx    INTEGER NOT NULL,
    stage  INTEGER NOT NULL,
    wave   INTEGER NOT NULL,
    change TEXT NOT NULL,
    state  TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (run, idx)
) STRICT, WITHOUT ROWID;

ALTER TABLE written RENAME TO old_written;
CREATE TABLE written (
    cluster  TEXT NOT NULL,
    resource TEXT NOT NULL,
    run      INTEGER NOT NULL,
    idx      INTEGER NOT NULL,
    value    TEXT,
    PRIMARY KEY (cluster, resource, run, idx)
) STRICT, WITHOUT ROWID;

ALTER TABLE hands_off RENAME TO old_hands_off;
CREATE TABLE hands_off (
    cluster  TEXT NOT NULL,
    resource TEXT NOT NULL,
    run      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (cluster, resource)
) STRICT, WITHOUT ROWID;
