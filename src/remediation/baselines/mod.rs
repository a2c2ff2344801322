//! Records named baselines, and compares a window with one. Reads Prometheus and the brokers'
//! configuration; changes nothing but the store.

mod reading;
mod setting;

use std::time::Duration;

use tracing::info;

use super::{Context, OrderError, Remediator, bins::BinRange, hold::Hold};
use crate::{
    baseline::{
        BaselineComparison, BaselineName, BaselineSummary, ClusterSetting, MeasuredWindow,
        NamedBaseline, RecordedWindow, compare,
    },
    model::{ClusterName, Principal, WallTime},
    store::{BASELINES_MAX, BaselineStored, NewBaseline, StoreError},
};

/// The bins of a baseline are as long as those of a run, by default.
const BIN: Duration = Duration::from_mins(1);

/// How much of the past shows what two windows differ by themselves: two days, twice the daily
/// pattern.
const HISTORY_BINS: u32 = 2 * 24 * 60;

/// Older windows are left to what Prometheus has of the time before the newer one: it may not have
/// the time before the older one any more.
const HISTORY_AGE_MAX: Duration = Duration::from_hours(7 * 24);

/// A window to record under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineOrder {
    /// May be left out if there is only one cluster.
    pub cluster: Option<ClusterName>,
    pub name: BaselineName,
    /// How much of the past: whole minutes of it count.
    pub window: Duration,
    /// Whether it takes the place of one with the same name.
    pub replace: bool,
}

/// A baseline, and what to compare with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineRequest {
    /// May be left out if there is only one cluster.
    pub cluster: Option<ClusterName>,
    pub name: BaselineName,
    /// Another baseline; `None` for the time that has just passed.
    pub with: Option<BaselineName>,
}

/// A baseline, what it was compared with, and the result.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedBaseline {
    pub baseline: NamedBaseline,
    /// `None` for the time that has just passed.
    pub with: Option<BaselineName>,
    pub window: MeasuredWindow,
    pub setting: ClusterSetting,
    pub comparison: BaselineComparison,
}

impl Remediator {
    /// Measures the time that has just passed, and stores it under a name.
    ///
    /// # Errors
    ///
    /// If the name is taken and not to be replaced, there are too many baselines, or Prometheus has
    /// nothing of that time.
    pub async fn record_baseline(
        &self,
        order: BaselineOrder,
        by: &Principal,
    ) -> Result<NamedBaseline, OrderError> {
        let active = self.active();
        let context = active.find_cluster(order.cluster.as_ref())?;
        let bins = order.window.as_secs().checked_div(BIN.as_secs()).unwrap_or(0);
        let bins = u32::try_from(bins).unwrap_or(u32::MAX);
        let measured = just_passed(context, bins).await?;
        let baseline = NamedBaseline {
            cluster: context.cluster.name.clone(),
            name: order.name,
            recorded_at: context.now(),
            by: by.to_string(),
            setting: setting::read(context, &measured).await,
            measured,
        };

        let new = NewBaseline { baseline: baseline.clone(), replace: order.replace };
        let NamedBaseline { cluster, name, .. } = &baseline;

        match self.shared.store.record_baseline(new).await? {
            BaselineStored::Stored => (),
            BaselineStored::NameTaken => {
                return Err(OrderError::Conflict(format!(
                    "the cluster {cluster} has a baseline `{name}`: choose another name, or \
                     replace it"
                )));
            }
            BaselineStored::Full => {
                return Err(OrderError::Conflict(format!(
                    "there are {BASELINES_MAX} baselines, which is the limit: delete one"
                )));
            }
        }

        info!(%cluster, %name, %by, bins, "Baseline recorded.");
        self.record(format!("{by} recorded the baseline {name} of {cluster}"), by).await;

        Ok(baseline)
    }

    /// The baselines of one cluster, or of all, newest first, without what was measured.
    pub async fn baselines(
        &self,
        cluster: Option<ClusterName>,
    ) -> Result<Vec<BaselineSummary>, StoreError> {
        self.shared.store.baselines(cluster).await
    }

    /// # Errors
    ///
    /// If there is none of this name.
    pub async fn baseline(
        &self,
        cluster: Option<&ClusterName>,
        name: &BaselineName,
    ) -> Result<NamedBaseline, OrderError> {
        let active = self.active();
        let cluster = &active.find_cluster(cluster)?.cluster.name;
        let found = self.shared.store.baseline(cluster.clone(), name.clone()).await?;

        found.ok_or_else(|| {
            OrderError::NotFound(format!("the cluster {cluster} has no baseline `{name}`"))
        })
    }

    /// Deletes a baseline, and returns what it was.
    ///
    /// # Errors
    ///
    /// If there is none of this name.
    pub async fn delete_baseline(
        &self,
        cluster: Option<&ClusterName>,
        name: &BaselineName,
        by: &Principal,
    ) -> Result<BaselineSummary, OrderError> {
        let deleted = self.baseline(cluster, name).await?.summary();
        let BaselineSummary { cluster, name, .. } = &deleted;

        // Another request may have been quicker; then there is nothing to record.
        if self.shared.store.delete_baseline(cluster.clone(), name.clone()).await? {
            info!(%cluster, %name, %by, "Baseline deleted.");
            self.record(format!("{by} deleted the baseline {name} of {cluster}"), by).await;
        }

        Ok(deleted)
    }

    /// Compares a baseline with another one, or with a window of the same length that has just
    /// passed.
    ///
    /// # Errors
    ///
    /// If there is no such baseline, or Prometheus does not answer.
    pub async fn compare_baseline(
        &self,
        request: BaselineRequest,
    ) -> Result<ComparedBaseline, OrderError> {
        let BaselineRequest { cluster, name, with } = request;
        let baseline = self.baseline(cluster.as_ref(), &name).await?;
        let active = self.active();
        let context = active.find_cluster(Some(&baseline.cluster))?;
        let (window, setting) = if let Some(other) = &with {
            let other = self.baseline(Some(&baseline.cluster), other).await?;
            (other.measured, other.setting)
        } else {
            let window = just_passed(context, baseline.measured.bins).await?;
            let setting = setting::read(context, &window).await;
            (window, setting)
        };

        let end = history_end(&baseline.measured, &window, context.now());
        let history = BinRange { written: end, bin: BIN, before: HISTORY_BINS, after: 0 };
        let history = reading::read(context, history).await.map_err(unreadable)?;
        let before = RecordedWindow { measured: &baseline.measured, setting: &baseline.setting };
        let after = RecordedWindow { measured: &window, setting: &setting };
        let comparison = compare(before, after, &history);

        Ok(ComparedBaseline { baseline, with, window, setting, comparison })
    }
}

/// The time before the earlier of two windows: what was changed between them is what is asked
/// about, and must not pass for what comes about by itself. Of an old window, the time before the
/// later one.
fn history_end(before: &MeasuredWindow, after: &MeasuredWindow, now: WallTime) -> WallTime {
    let first = before.start.min(after.start);
    let is_recent = now.since(first) <= HISTORY_AGE_MAX;

    if is_recent { first } else { before.start.max(after.start) }
}

/// The newest bins whose last sample has been scraped.
async fn just_passed(context: &Context, bins: u32) -> Result<MeasuredWindow, OrderError> {
    let end = context.now().before(context.scrape_interval());
    let range = BinRange { written: end, bin: BIN, before: bins, after: 0 };
    let series = reading::read(context, range).await.map_err(unreadable)?;
    let measured = MeasuredWindow { start: range.start(), bin: BIN, bins, series };

    if measured.is_empty() {
        return Err(OrderError::Conflict(format!(
            "Prometheus has nothing of the brokers of `{}` in that time: is the JMX exporter \
             scraped, and are the recording rules loaded?",
            context.cluster.name
        )));
    }

    Ok(measured)
}

fn unreadable(hold: Hold) -> OrderError {
    OrderError::Conflict(hold.detail)
}
