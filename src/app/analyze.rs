//! Builds what `analyze` needs without a server: the Prometheus of each cluster, and nothing that
//! could change it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use crate::diagnosis::ClusterSource;
use crate::{
    config::Config,
    diagnosis::cluster_names,
    model::ClusterName,
    prometheus::{PrometheusError, SharedPrometheus, http::HttpPrometheus},
};

/// Longest time of one query, where no configuration says another.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// The clusters of a configuration.
///
/// # Errors
///
/// If the address of a Prometheus cannot be used.
pub fn configured(config: &Config) -> Result<Vec<ClusterSource>, PrometheusError> {
    let playbooks = config.remediation.playbooks_by_alert();
    let sources = config.clusters.iter().map(|cluster| {
        let prometheus = cluster.prometheus.as_ref().map(|it| {
            HttpPrometheus::with_options(&it.url, it.timeout, it.http.clone())
                .map(|it| Arc::new(it) as SharedPrometheus)
        });

        Ok(ClusterSource {
            cluster: cluster.name.clone(),
            latest: None,
            prometheus: prometheus.transpose()?,
            playbooks: playbooks.clone(),
        })
    });

    sources.collect()
}

/// The clusters that the Prometheus at `url` knows, or the one that is named.
///
/// # Errors
///
/// If the address cannot be used, or if Prometheus has to be asked for the names and does not
/// answer.
pub async fn of_prometheus(
    url: &str,
    cluster: Option<ClusterName>,
) -> Result<Vec<ClusterSource>, PrometheusError> {
    let prometheus: SharedPrometheus = Arc::new(HttpPrometheus::new(url, QUERY_TIMEOUT)?);
    let names = match cluster {
        Some(name) => vec![name],
        None => cluster_names(&prometheus).await?,
    };
    let source = |cluster| ClusterSource {
        cluster,
        latest: None,
        prometheus: Some(SharedPrometheus::clone(&prometheus)),
        playbooks: BTreeMap::new(),
    };

    Ok(names.into_iter().map(source).collect())
}
