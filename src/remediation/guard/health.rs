//! Is the cluster well enough to be touched (I11, I13, I14)?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    super::{context::Context, evidence, hold::Hold},
    availability,
};
use crate::{
    model::{BrokerId, HoldReason, Topology, WallTime},
    playbook::OptimizerKind,
    snapshot::Snapshot,
    store::RunRow,
};

/// After a broker came or went, or the controller changed, the cluster is left alone so long.
const QUIET: Duration = Duration::from_mins(1);

/// Whether the latest snapshot is young, every broker reports, and nobody came or went a moment
/// ago.
pub(super) fn snapshot(context: &Context) -> Result<(), Hold> {
    let latest = context.latest.borrow().clone();
    let Some(snapshot) = latest else {
        return Err(Hold::new(HoldReason::EvidenceStale, "no snapshot has been taken yet"));
    };
    let limit = context.cluster.collect_interval.saturating_mul(2).max(Duration::from_secs(10));
    let now = context.now();
    let age = now.since(snapshot.at);
    Hold::unless(snapshot.up && age <= limit, HoldReason::EvidenceStale, || {
        format!("the latest snapshot is {} s old", age.as_secs())
    })?;
    reporting(&snapshot, (now, limit))?;
    let quiet = |since: WallTime| QUIET <= now.since(since);
    let moved = snapshot.membership.returned.iter().chain(&snapshot.membership.missing);
    for (broker, &since) in moved {
        Hold::unless(quiet(since), HoldReason::RollingRestart, || {
            format!("broker {broker} came or went {} s ago", now.since(since).as_secs())
        })?;
    }
    let changed = snapshot.membership.controller_changed;
    Hold::unless(changed.is_none_or(quiet), HoldReason::ControllerChanged, || {
        format!("the controller changed {} s ago", now.since(changed.unwrap_or_default()).as_secs())
    })
}

fn reporting(snapshot: &Snapshot, (now, limit): (WallTime, Duration)) -> Result<(), Hold> {
    for broker in snapshot.topology.iter().flat_map(|it| &it.value.brokers) {
        let heard = snapshot.reporting.get(&broker.id);
        Hold::unless(
            heard.is_some_and(|it| now.since(*it) <= limit),
            HoldReason::BrokerNotReporting,
            || format!("broker {} has not answered within {} s", broker.id, limit.as_secs()),
        )?;
    }
    Ok(())
}

/// Whether the cluster, as it stands now, may be touched at all, and the run's target is in it.
pub(super) async fn cluster(
    context: &Context,
    (run, optimizer): (&RunRow, OptimizerKind),
    topology: &Topology,
) -> Result<(), Hold> {
    let live: BTreeSet<BrokerId> = topology.brokers.iter().map(|it| it.id).collect();
    if let Some(target) = run.target.broker() {
        Hold::unless(live.contains(&target), HoldReason::UnknownTarget, || {
            format!("broker {target} is not in the cluster's metadata")
        })?;
    }
    let missing: BTreeSet<BrokerId> = placed(topology).filter(|it| !live.contains(it)).collect();
    Hold::unless(missing.len() <= 1, HoldReason::BrokersMissing, || {
        format!("{} brokers with replicas are missing", missing.len())
    })?;
    Hold::unless(topology.unreadable.is_empty(), HoldReason::OfflinePartitions, || {
        format!("nothing can be read of {} topic(s)", topology.unreadable.len())
    })?;
    let offline = topology.topics.iter().flat_map(|it| &it.partitions);
    let offline = offline.filter(|it| it.leader.is_none()).count();
    Hold::unless(offline == 0, HoldReason::OfflinePartitions, || {
        format!("{offline} partition(s) have no leader")
    })?;
    too_broken(context, &live, missing).await?;
    let quorum = context.kafka.quorum().await?;
    Hold::unless(quorum.leader.is_some(), HoldReason::NoController, || {
        "the quorum has no leader".to_owned()
    })?;
    let moving = context.kafka.reassignments().await?;
    Hold::unless(moving.is_empty(), HoldReason::ForeignReassignment, || {
        format!("{} partition(s) are being reassigned", moving.len())
    })?;
    match optimizer {
        OptimizerKind::TuneBrokers | OptimizerKind::Reapply => {
            in_sync(context, run, topology).await
        }
        // None of these closes a connection of a broker.
        OptimizerKind::ElectLeaders | OptimizerKind::ShedLoad | OptimizerKind::ScaleConsumers => {
            Ok(())
        }
    }
}

fn placed(topology: &Topology) -> impl Iterator<Item = BrokerId> {
    topology.topics.iter().flat_map(|it| &it.partitions).flat_map(|it| it.replicas.iter().copied())
}

/// More than 40 % of the brokers down, or named by firing alerts: no place for an optimizer.
async fn too_broken(
    context: &Context,
    live: &BTreeSet<BrokerId>,
    missing: BTreeSet<BrokerId>,
) -> Result<(), Hold> {
    let query = format!(
        r#"count by (broker_id) (ALERTS{{alertstate="firing",severity!="info",broker_id!="",kafka_cluster={}}})"#,
        crate::playbook::quoted(context.cluster.name.as_str())
    );
    let named = evidence::prometheus(context)?.instant(&query).await?;
    let all = live.union(&missing).count();
    let mut ill = missing;
    ill.extend(named.iter().filter_map(|it| BrokerId::parse(it.labels.get("broker_id")?)));
    // 40 % in whole numbers, so that nothing rounds.
    Hold::unless(
        ill.len().saturating_mul(10) <= all.saturating_mul(4),
        HoldReason::TooBroken,
        || format!("{} of {all} brokers are missing or named by firing alerts", ill.len()),
    )
}

/// A change that may have to be taken back by shrinking network threads is not begun where the gate
/// would not open for it (I15).
async fn in_sync(context: &Context, run: &RunRow, topology: &Topology) -> Result<(), Hold> {
    let targets = super::targets(run, topology);
    let minimums = super::minimums(context, topology, &targets).await?;
    for broker in targets {
        if let Some(problem) = availability::blocked(topology, &minimums, broker) {
            return Err(Hold::new(HoldReason::AvailabilityGate, problem));
        }
    }
    Ok(())
}

/// Whole cores that each broker may use, where its container says so.
pub(super) fn cores(context: &Context) -> BTreeMap<BrokerId, u32> {
    let latest = context.latest.borrow().clone();
    let containers = latest.iter().flat_map(|it| &it.containers).flat_map(|it| it.value.iter());
    containers.filter_map(|it| Some((it.broker, whole(it.cpu_limit_cores?)?))).collect()
}

/// Rounded up; 64 cores allow more threads than [`crate::optimizers::tune_brokers::POOL_MAX`]
/// anyway.
fn whole(cores: f64) -> Option<u32> {
    (1..=64).find(|it| cores <= f64::from(*it)).or(Some(64)).filter(|_| 0.0 < cores)
}
