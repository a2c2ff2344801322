//! Brings the file of an older version up to date, in one transaction: a newer version reads it.

use rusqlite::Connection;

/// Version 1 knew brokers only: as targets of runs and as what steps change.
pub(super) fn from_1(connection: &Connection) -> rusqlite::Result<()> {
    // Foreign keys are off while tables that others name are made anew (sqlite.org/lang_altertable,
    // section 7); the setting cannot change inside a transaction.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.execute_batch(&format!("BEGIN; {FROM_1} PRAGMA user_version = 2; COMMIT;"))?;
    connection.pragma_update(None, "foreign_keys", true)
}

const FROM_1: &str = include_str!("from_1.sql");
