-- From version 2 to version 3: runs are created (not stored), and temporary changes expire.

ALTER TABLE runs RENAME COLUMN stored_at TO created_at;
ALTER TABLE runs RENAME COLUMN lift_at TO expires_at;
UPDATE runs SET state = 'expiring' WHERE state = 'lifting';
UPDATE runs SET state = 'expired' WHERE state = 'lifted';
DROP INDEX runs_measures;
CREATE INDEX runs_temporary ON runs (cluster) WHERE expires_at IS NOT NULL;
