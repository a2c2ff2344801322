-- A baseline keeps beside its bins what lists show of it. `version_4` fills it in.
ALTER TABLE baselines RENAME TO old_baselines;

CREATE TABLE baselines (
    cluster     TEXT NOT NULL,
    name        TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    summary     TEXT NOT NULL,
    content     BLOB NOT NULL,
    PRIMARY KEY (cluster, name)
) STRICT;
