//! Migrates the file of an older version: one version at a time, each in one transaction.

mod version_2;
mod version_4;

use rusqlite::Connection;

use super::SCHEMA_VERSION;

/// Version 1 knew brokers only, both as targets of runs and as what steps change.
const FROM_1: &str = include_str!("from_1.sql");

/// Version 2 had other names for a run's columns, and steps as text.
const FROM_2: &str = include_str!("from_2.sql");

/// Version 3 knew clusters by their names only, named nobody in the journal, did not know in which
/// order values were written, and had one episode for each set of labels.
const FROM_3: &str = include_str!("from_3.sql");

/// Version 4 kept of a baseline only the whole.
const FROM_4: &str = include_str!("from_4.sql");

/// Migrates from `version`, which is at least 1 and below the current one.
pub(super) fn from(version: i32, connection: &Connection) -> rusqlite::Result<()> {
    // Foreign keys are off while tables that others refer to are rebuilt
    // (sqlite.org/lang_altertable, section 7). The setting cannot change inside a transaction.
    connection.pragma_update(None, "foreign_keys", false)?;

    for old in version..SCHEMA_VERSION {
        let tx = connection.unchecked_transaction()?;
        match old {
            1 => tx.execute_batch(FROM_1)?,
            2 => {
                tx.execute_batch(FROM_2)?;
                version_2::convert(&tx)?;
            }
            3 => tx.execute_batch(FROM_3)?,
            _ => {
                tx.execute_batch(FROM_4)?;
                version_4::convert(&tx)?;
            }
        }

        tx.pragma_update(None, "user_version", old.saturating_add(1))?;

        tx.commit()?;
    }

    connection.pragma_update(None, "foreign_keys", true)
}
