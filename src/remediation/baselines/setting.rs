//! How a cluster is set up, as digests: enough to say that something is not the same.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tracing::warn;

use super::super::context::Context;
use crate::{
    baseline::{ClusterSetting, MeasuredWindow},
    config::ClusterConfig,
    model::{BrokerConfig, BrokerId, metadata_version_name},
    telemetry::chain,
};

/// Shortened, because nobody forges them: a person compares them.
const DIGEST_CHARS: usize = 16;

/// Brokers up to 3.9 have it; its default is their own version.
const PROTOCOL_VERSION: &str = "inter.broker.protocol.version";

/// How the cluster is set up now. A broker that does not answer is left out: no baseline fails for
/// it.
pub(super) async fn read(context: &Context, measured: &MeasuredWindow) -> ClusterSetting {
    let mut configs: BTreeMap<BrokerId, BrokerConfig> = BTreeMap::new();
    for broker in measured.brokers() {
        match context.kafka.broker_config(broker, &[]).await {
            Ok(config) => drop(configs.insert(broker, config)),
            Err(error) => {
                let (cluster, error) = (&context.cluster.name, chain(&error));
                warn!(%cluster, %broker, error, "The baseline does not know this broker's configuration.");
            }
        }
    }

    let by_config = |it: &BrokerConfig| it.get(PROTOCOL_VERSION)?.effective.clone();
    let kafka_version = match configs.values().find_map(by_config) {
        Some(version) => Some(version),
        None => finalized_version(context).await,
    };

    // What is paid changes nothing in the cluster.
    let cluster = ClusterConfig { prices: None, ..ClusterConfig::clone(&context.cluster) };
    let program = format!("{cluster:?} {:?}", context.remediation.playbooks);

    ClusterSetting {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kafka_version,
        broker_configs: configs.iter().map(|(broker, it)| (*broker, digest_of(it))).collect(),
        program_config: digest(&program),
    }
}

/// The version of the cluster's metadata, which all brokers have reached. Brokers since 4.0 report
/// no other version.
async fn finalized_version(context: &Context) -> Option<String> {
    match context.kafka.metadata_version().await {
        Ok(level) => level.map(metadata_version_name),
        Err(error) => {
            let (cluster, error) = (&context.cluster.name, chain(&error));
            warn!(%cluster, error, "The baseline does not know the version of Kafka.");
            None
        }
    }
}

/// The digest of all effective values, whatever the order in which the broker reports them.
fn digest_of(config: &BrokerConfig) -> String {
    let entries: BTreeMap<&str, Option<&str>> =
        config.entries.iter().map(|it| (it.key.as_str(), it.effective.as_deref())).collect();

    digest(&format!("{entries:?}"))
}

fn digest(text: &str) -> String {
    let mut digest = format!("{:x}", Sha256::digest(text));
    digest.truncate(DIGEST_CHARS);
    digest
}
