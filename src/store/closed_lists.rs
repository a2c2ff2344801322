//! Checks at the start that stored labels of closed lists are ones that this version has.

use rusqlite::Connection;

use super::{Priority, StepState, StoreError, failed_to};
use crate::{
    model::{ClosedList, HoldReason, RollbackReason, RunState, Trigger, Verdict},
    playbook::{Level, OptimizerKind},
};

pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    column::<OptimizerKind>(connection, "runs.optimizer")?;
    column::<Level>(connection, "runs.level")?;
    column::<Trigger>(connection, "runs.trigger")?;
    column::<RunState>(connection, "runs.state")?;
    column::<HoldReason>(connection, "runs.hold")?;
    column::<Verdict>(connection, "runs.verdict")?;
    column::<RollbackReason>(connection, "runs.rollback_reason")?;
    column::<Priority>(connection, "runs.priority")?;

    column::<StepState>(connection, "steps.state")
}

/// `column` names its table too, as in `runs.state`.
fn column<T: ClosedList>(connection: &Connection, column: &'static str) -> Result<(), StoreError> {
    let table = column.split('.').next().unwrap_or_default();
    let known: Vec<String> = T::ALL.iter().map(|it| format!("'{}'", it.label())).collect();
    let query = format!(
        "SELECT {column} FROM {table} WHERE {column} NOT IN ({}) LIMIT 1",
        known.join(", ")
    );

    let found = connection.query_row(&query, [], |row| row.get(0));
    match found {
        Ok(word) => Err(StoreError::UnknownWord { column, word }),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(failed_to("check the words of the store")(error)),
    }
}
