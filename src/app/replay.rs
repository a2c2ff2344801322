//! Builds what `replay` needs: the Prometheus of a cluster, and nothing that could change it.

use std::sync::Arc;

pub use crate::remediation::{Replay, ReplayError, Replayed};
use crate::{
    config::ClusterConfig, model::Target, playbook::Playbook, prometheus::http::HttpPrometheus,
};

/// Prepares to judge `playbook` on `target` at past times.
///
/// # Errors
///
/// As [`Replay::new`], and if the cluster has no Prometheus.
pub async fn replay(
    cluster: &ClusterConfig,
    playbook: &Playbook,
    target: &Target,
) -> Result<Replay, ReplayError> {
    let Some(it) = &cluster.prometheus else {
        return Err(ReplayError::NoPrometheus(cluster.name.clone()));
    };
    let client = HttpPrometheus::with_options(&it.url, it.timeout, it.http.clone())?;

    Replay::new(Arc::new(client), it.scrape_interval, playbook, &cluster.name, target).await
}
