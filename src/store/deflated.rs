//! Values that are kept as deflated JSON.

use std::io::{Read, Write};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, de::DeserializeOwned};

/// A value that is kept as deflated JSON.
pub(super) struct Deflated<T>(pub(super) T);

impl<T: Serialize> ToSql for Deflated<&T> {
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

impl<T: DeserializeOwned> FromSql for Deflated<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let mut json = Vec::new();

        ZlibDecoder::new(value.as_blob()?)
            .read_to_end(&mut json)
            .and_then(|_| serde_json::from_slice(&json).map_err(Into::into))
            .map(Self)
            .map_err(|it| FromSqlError::Other(it.into()))
    }
}
