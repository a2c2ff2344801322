-- From version 3 to version 4: an id of the installation, and the Kafka cluster behind each name.

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
