//! How the types of this program are kept in SQLite's columns, so that rows are read by name:
//! `row.get("state")?`.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, de::DeserializeOwned};

use super::{Priority, StepState};
use crate::{
    model::{
        ClosedList, ClusterName, EpisodeEnd, HoldReason, Principal, RollbackReason, RunId,
        RunState, Target, Trigger, Verdict, WallTime,
    },
    playbook::{Level, OptimizerKind},
};

/// Longest part of an unreadable value that an error shows, in characters.
const SHOWN_MAX: usize = 100;

/// A column holds what this program never wrote.
#[derive(Debug, thiserror::Error)]
#[error("the value `{0}` is unknown; was the file written by a newer version?")]
struct UnknownValue(String);

pub(super) fn unknown(value: &str) -> FromSqlError {
    let shown = value.chars().take(SHOWN_MAX).collect();
    FromSqlError::Other(Box::new(UnknownValue(shown)))
}

fn from_label<T: ClosedList>(value: ValueRef<'_>) -> FromSqlResult<T> {
    let label = value.as_str()?;
    T::from_label(label).ok_or_else(|| unknown(label))
}

macro_rules! stored_as_label {
    ($($list:ty),+ $(,)?) => {$(
        impl FromSql for $list {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                from_label(value)
            }
        }

        impl ToSql for $list {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.label().into())
            }
        }
    )+};
}
stored_as_label!(
    EpisodeEnd,
    HoldReason,
    Level,
    OptimizerKind,
    Priority,
    RollbackReason,
    RunState,
    StepState,
    Trigger,
    Verdict,
);

impl FromSql for WallTime {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for WallTime {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for RunId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for RunId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for ClusterName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::new)
    }
}

impl ToSql for ClusterName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Principal {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::new)
    }
}

impl ToSql for Principal {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Target {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::parse(text).ok_or_else(|| unknown(text))
    }
}

impl ToSql for Target {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

/// A value that is kept as JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let json = value.as_str()?;
        serde_json::from_str(json).map(Self).map_err(|_| unknown(json))
    }
}

impl<T: Serialize> ToSql for Json<&T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(self.0)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(json.into())
    }
}
