//! Brings the file of an older version up to date, one version after the other, each in one
//! transaction: a newer version reads it.

use rusqlite::Connection;

/// Version 1 knew brokers only, both as targets of runs and as what steps change.
const FROM_1: &str = include_str!("from_1.sql");
/// Version 2 had other names for a run's creation and for temporary changes.
const FROM_2: &str = include_str!("from_2.sql");

/// Migrates from `version`, which is at least 1 and below the current one.
pub(super) fn from(version: i32, connection: &Connection) -> rusqlite::Result<()> {
    // Foreign keys are off while tables that others name are made anew (sqlite.org/lang_altertable,
    // section 7); the setting cannot change inside a transaction.
    connection.pragma_update(None, "foreign_keys", false)?;

    for (next, script) in (2..).zip([FROM_1, FROM_2]) {
        if next > version {
            connection
                .execute_batch(&format!("BEGIN; {script} PRAGMA user_version = {next}; COMMIT;"))?;
        }
    }

    connection.pragma_update(None, "foreign_keys", true)
}
