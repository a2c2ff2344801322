//! What verdicts depended on, so that they can be computed again.

use std::io::{Read, Write};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use rusqlite::{
    OptionalExtension, params,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef},
};

use super::{Store, StoreError};
use crate::{model::RunId, verdict::VerdictCase};

/// Cases that are kept, those of the newest runs: with a day of one-minute bins of three brokers
/// one takes 100 KB, with the longest history and nine brokers 3 MB.
pub const CASES_MAX: u32 = 500;

impl Store {
    /// Stores what the verdict on a run depended on, instead of what was stored before. The oldest
    /// is dropped beyond [`CASES_MAX`].
    pub async fn set_case(&self, run: RunId, case: VerdictCase) -> Result<(), StoreError> {
        self.call("store what a verdict depends on", move |tx| {
            tx.execute(
                "INSERT INTO cases (run, content) VALUES (?1, ?2)
                 ON CONFLICT (run) DO UPDATE SET content = excluded.content",
                params![run, Deflated(&case)],
            )?;
            tx.execute(
                "DELETE FROM cases WHERE run NOT IN
                 (SELECT run FROM cases ORDER BY run DESC LIMIT ?1)",
                [CASES_MAX],
            )?;
            Ok(())
        })
        .await
    }

    /// What the verdict on a run depended on. `None` if it has none, or is too old.
    pub async fn case(&self, run: RunId) -> Result<Option<VerdictCase>, StoreError> {
        self.call("read what a verdict depends on", move |tx| {
            let content = "SELECT content FROM cases WHERE run = ?1";
            let found = tx.query_row(content, [run], |row| row.get::<_, Deflated<VerdictCase>>(0));
            Ok(found.optional()?.map(|Deflated(it)| it))
        })
        .await
    }
}

/// A value that is kept as deflated JSON.
struct Deflated<T>(T);

impl ToSql for Deflated<&VerdictCase> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let mut out = ZlibEncoder::new(Vec::new(), Compression::default());
        let written = serde_json::to_vec(self.0)
            .map_err(Into::into)
            .and_then(|json| out.write_all(&json))
            .and_then(|()| out.finish());

        let blob = written.map_err(|it| rusqlite::Error::ToSqlConversionFailure(it.into()))?;

        Ok(blob.into())
    }
}

impl FromSql for Deflated<VerdictCase> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let mut json = Vec::new();

        ZlibDecoder::new(value.as_blob()?)
            .read_to_end(&mut json)
            .and_then(|_| serde_json::from_slice(&json).map_err(Into::into))
            .map(Self)
            .map_err(|it| FromSqlError::Other(it.into()))
    }
}
