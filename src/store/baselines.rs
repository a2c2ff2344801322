//! Named baselines: what lists show of each as JSON, and the whole as deflated JSON.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError, columns::Json, deflated::Deflated};
use crate::{
    baseline::{BaselineName, BaselineSummary, NamedBaseline},
    model::ClusterName,
};

/// Baselines that are kept of all clusters. None is dropped by itself, because a person named it:
/// beyond this number one has to be replaced or deleted. One of two hours and three brokers takes
/// 20 KB.
pub const BASELINES_MAX: u32 = 200;

/// A baseline that is to be stored.
#[derive(Clone, Debug)]
pub struct NewBaseline {
    pub baseline: NamedBaseline,
    /// Whether it takes the place of one with the same name.
    pub replace: bool,
}

/// What became of a baseline that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaselineStored {
    Stored,
    /// The cluster has one with this name, which was not to be replaced.
    NameTaken,
    /// There are [`BASELINES_MAX`] of them already.
    Full,
}

impl Store {
    /// Stores a baseline, unless its name is taken or there are too many.
    pub async fn record_baseline(&self, new: NewBaseline) -> Result<BaselineStored, StoreError> {
        self.call("store a baseline", move |tx| {
            let NewBaseline { baseline, replace } = new;
            let is_known = exists(tx, &baseline)?;

            if is_known && !replace {
                return Ok(BaselineStored::NameTaken);
            }

            if !is_known && number(tx)? >= BASELINES_MAX {
                return Ok(BaselineStored::Full);
            }

            tx.execute(
                "INSERT INTO baselines (cluster, name, recorded_at, summary, content)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (cluster, name) DO UPDATE
                 SET recorded_at = excluded.recorded_at, summary = excluded.summary,
                     content = excluded.content",
                params![
                    baseline.cluster,
                    baseline.name.as_str(),
                    baseline.recorded_at,
                    Json(&baseline.summary()),
                    Deflated(&baseline)
                ],
            )?;

            Ok(BaselineStored::Stored)
        })
        .await
    }

    /// The baselines of one cluster, or of all, newest first, without what was measured.
    pub async fn baselines(
        &self,
        cluster: Option<ClusterName>,
    ) -> Result<Vec<BaselineSummary>, StoreError> {
        self.call("read the baselines", move |tx| {
            let mut query = tx.prepare(
                "SELECT summary FROM baselines WHERE ?1 IS NULL OR cluster = ?1
                 ORDER BY recorded_at DESC, cluster, name",
            )?;
            let rows = query.query_map([cluster], |row| row.get::<_, Json<_>>(0))?;
            Ok(rows.map(|it| it.map(|Json(it)| it)).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One baseline of a cluster; `None` if it has none of this name.
    pub async fn baseline(
        &self,
        cluster: ClusterName,
        name: BaselineName,
    ) -> Result<Option<NamedBaseline>, StoreError> {
        self.call("read a baseline", move |tx| {
            let content = "SELECT content FROM baselines WHERE cluster = ?1 AND name = ?2";
            let key = params![cluster, name.as_str()];
            let found = tx.query_row(content, key, |row| row.get::<_, Deflated<_>>(0));

            Ok(found.optional()?.map(|Deflated(it)| it))
        })
        .await
    }

    /// Deletes a baseline; whether there was one.
    pub async fn delete_baseline(
        &self,
        cluster: ClusterName,
        name: BaselineName,
    ) -> Result<bool, StoreError> {
        self.call("delete a baseline", move |tx| {
            let deletion = "DELETE FROM baselines WHERE cluster = ?1 AND name = ?2";
            Ok(tx.execute(deletion, params![cluster, name.as_str()])? > 0)
        })
        .await
    }
}

fn exists(tx: &Transaction<'_>, baseline: &NamedBaseline) -> rusqlite::Result<bool> {
    tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM baselines WHERE cluster = ?1 AND name = ?2)",
        params![baseline.cluster, baseline.name.as_str()],
        |row| row.get(0),
    )
}

fn number(tx: &Transaction<'_>) -> rusqlite::Result<u32> {
    tx.query_row("SELECT count(*) FROM baselines", [], |row| row.get(0))
}
