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
