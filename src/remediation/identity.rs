//! Which Kafka cluster the configured name stands for, by the cluster's own id (I43).
//!
//! State belongs to a cluster, not to a name: a temporary change of one cluster must never be
//! undone on another that was made anew under its name.

use tracing::{error, info, warn};

use super::{breach::Breach, context::Context};
use crate::{
    model::ClusterName,
    store::{Identification, StoreError},
};

/// What is known of the cluster behind a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClusterIdentity {
    /// `None` until the cluster has answered.
    kafka_id: Option<String>,
    /// An earlier name in the configuration that stands for the same cluster.
    same_as: Option<ClusterName>,
}

/// Compares the cluster id of the latest snapshot with the stored one. Returns whether the cluster
/// is known to be the one that the open runs belong to: until then nothing may be written or
/// undone.
pub(super) async fn settle(context: &Context) -> Result<bool, StoreError> {
    if Breach::I43ClusterIdIsIgnored.is_played() {
        return Ok(true);
    }

    let name = &context.cluster.name;
    let latest = context.latest.borrow().clone();
    let topology = latest.as_ref().and_then(|it| it.topology.as_ref());
    let Some(kafka_id) = topology.and_then(|it| it.value.cluster_id.clone()) else {
        // A cluster that does not answer is still the one that it was.
        return Ok(context.identity.get().kafka_id.is_some());
    };

    let found = context.store.identify_cluster(name, &kafka_id, context.now()).await?;
    let previous = context.identity.get();
    report(context, &kafka_id, &previous, &found);

    let identity = ClusterIdentity { kafka_id: Some(kafka_id), same_as: found.same_as };
    if identity != previous {
        context.telemetry.cluster_identified(name, identity.same_as.clone());
        context.identity.set(identity);
    }

    Ok(true)
}

/// The earlier name of the same cluster, if there is one.
pub(super) fn same_as(context: &Context) -> Option<ClusterName> {
    context.identity.get().same_as
}

fn report(
    context: &Context,
    kafka_id: &str,
    previous: &ClusterIdentity,
    Identification { same_as, parked_as, renamed_from }: &Identification,
) {
    let cluster = &context.cluster.name;
    if let Some(parked) = parked_as {
        context.telemetry.cluster_replaced(cluster, parked);
    }

    if let Some(former) = renamed_from {
        warn!(%cluster, kafka_id, %former, "The cluster has a new name: its state goes on under it.");
    }

    if *same_as == previous.same_as {
        if previous.kafka_id.is_none() {
            info!(%cluster, kafka_id, "Cluster identified.");
        }
        return;
    }

    if let Some(same_as) = same_as {
        error!(
            %cluster, kafka_id, %same_as,
            "Two names stand for one Kafka cluster: this one never acts. Remove one of them."
        );
    } else {
        info!(%cluster, kafka_id, "The cluster no longer has another name.");
    }
}
