//! Checks that the cluster is healthy enough to be changed (I11, I13, I14).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    super::{context::Context, evidence, hold::Hold},
    availability,
};
use crate::{
    model::{BrokerId, HoldReason, MonotonicTime, Topology},
    playbook::{OptimizerKind, quoted},
    snapshot::{Membership, Snapshot},
    store::RunRow,
};

/// How long no run starts after a broker came or went, or the controller changed.
const QUIET: Duration = Duration::from_mins(1);

/// Checks that the latest snapshot is fresh, that every broker reports, and that no broker came or
/// went recently.
pub(super) fn check_snapshot(context: &Context) -> Result<(), Hold> {
    let now = context.clock.monotonic();
    let latest = context.latest.borrow().clone();
    let read = latest.as_ref().and_then(|it| Some((it, it.read?)));
    let Some((snapshot, read)) = read else {
        let detail = "the brokers have not been read since this process started";
        return Err(Hold::new(HoldReason::EvidenceStale, detail));
    };

    let limit = context.cluster.collect_interval.saturating_mul(2).max(Duration::from_secs(10));
    let age = now.since(read);
    Hold::unless(snapshot.up && age <= limit, HoldReason::EvidenceStale, || {
        format!("the latest snapshot is {} s old", age.as_secs())
    })?;

    check_reporting(snapshot, now, limit)?;

    check_quiet(&snapshot.membership, now)
}

fn check_reporting(snapshot: &Snapshot, now: MonotonicTime, limit: Duration) -> Result<(), Hold> {
    for broker in snapshot.topology.iter().flat_map(|it| &it.value.brokers) {
        let reported = snapshot.reporting.get(&broker.id);
        let is_recent = reported.is_some_and(|it| now.since(*it) <= limit);
        Hold::unless(is_recent, HoldReason::BrokerNotReporting, || {
            format!("broker {} has not answered within {} s", broker.id, limit.as_secs())
        })?;
    }
    Ok(())
}

/// Checks that no broker came or went and the controller did not change for [`QUIET`] (I11). What
/// happened before this process watched is unknown, so that it has to watch for as long first.
fn check_quiet(membership: &Membership, now: MonotonicTime) -> Result<(), Hold> {
    let quiet = |since: MonotonicTime| now.since(since) >= QUIET;
    let moved = membership.returned.iter().chain(&membership.missing);

    for (broker, &since) in moved {
        Hold::unless(quiet(since), HoldReason::RollingRestart, || {
            format!("broker {broker} came or went {} s ago", now.since(since).as_secs())
        })?;
    }

    if let Some(since) = membership.controller_changed {
        Hold::unless(quiet(since), HoldReason::ControllerChanged, || {
            format!("the controller changed {} s ago", now.since(since).as_secs())
        })?;
    }

    let watched = membership.watched_since.map_or(Duration::ZERO, |it| now.since(it));
    Hold::unless(watched >= QUIET, HoldReason::RollingRestart, || {
        format!(
            "this process has watched the brokers for {} s of {} s: one may have been restarted \
             before",
            watched.as_secs(),
            QUIET.as_secs()
        )
    })
}

/// Checks the live cluster, and that the run's target is part of it.
pub(super) async fn check_cluster(
    context: &Context,
    run: &RunRow,
    optimizer: OptimizerKind,
    topology: &Topology,
) -> Result<(), Hold> {
    let live: BTreeSet<BrokerId> = topology.brokers.iter().map(|it| it.id).collect();
    if let Some(target) = run.target.broker() {
        Hold::unless(live.contains(&target), HoldReason::UnknownTarget, || {
            format!("broker {target} is not in the cluster's metadata")
        })?;
    }

    let replicas = topology.topics.iter().flat_map(|it| &it.partitions).flat_map(|it| &it.replicas);
    let missing: BTreeSet<BrokerId> = replicas.copied().filter(|it| !live.contains(it)).collect();
    Hold::unless(missing.len() <= 1, HoldReason::BrokersMissing, || {
        format!("{} brokers with replicas are missing", missing.len())
    })?;

    Hold::unless(topology.unreadable.is_empty(), HoldReason::OfflinePartitions, || {
        format!("the metadata of {} topic(s) cannot be read", topology.unreadable.len())
    })?;
    let partitions = topology.topics.iter().flat_map(|it| &it.partitions);
    let offline = partitions.filter(|it| it.leader.is_none()).count();
    Hold::unless(offline == 0, HoldReason::OfflinePartitions, || {
        format!("{offline} partition(s) have no leader")
    })?;

    check_not_too_broken(context, &live, missing).await?;

    let quorum = context.kafka.quorum().await?;
    Hold::unless(quorum.leader.is_some(), HoldReason::NoController, || {
        "the quorum has no leader".to_owned()
    })?;
    let reassignments = context.kafka.reassignments().await?;

    Hold::unless(reassignments.is_empty(), HoldReason::ForeignReassignment, || {
        format!("{} partition(s) are being reassigned", reassignments.len())
    })?;

    match optimizer {
        OptimizerKind::TuneBrokers | OptimizerKind::Reapply => {
            check_availability(context, run, topology).await
        }
        // None of these closes a connection of a broker.
        OptimizerKind::ElectLeaders | OptimizerKind::ShedLoad | OptimizerKind::ScaleConsumers => {
            Ok(())
        }
    }
}

/// Checks that at most 40 % of the brokers are down or named by firing alerts. An alert that is to
/// be cured does not count: one with the label `remediation`, or that a playbook answers (I14).
async fn check_not_too_broken(
    context: &Context,
    live: &BTreeSet<BrokerId>,
    missing: BTreeSet<BrokerId>,
) -> Result<(), Hold> {
    let playbooks = &context.remediation.playbooks;
    let matched = playbooks.iter().flat_map(|it| it.matcher.labels.keys().map(String::as_str));
    let by: BTreeSet<&str> = matched.chain(["broker_id"]).collect();
    let query = format!(
        r#"count by ({}) (ALERTS{{alertstate="firing",severity!="info",broker_id!="",remediation="",kafka_cluster={}}})"#,
        Vec::from_iter(by).join(","),
        quoted(context.cluster.name.as_str())
    );
    let mut firing = evidence::prometheus(context)?.instant(&query).await?;
    firing.retain(|alert| !playbooks.iter().any(|it| it.matcher.matches(&alert.labels)));

    let all = live.union(&missing).count();
    let mut broken = missing;
    broken.extend(firing.iter().filter_map(|it| BrokerId::parse(it.labels.get("broker_id")?)));

    // In whole numbers, so that nothing is rounded.
    let is_usable = broken.len().saturating_mul(10) <= all.saturating_mul(4);

    Hold::unless(is_usable, HoldReason::TooBroken, || {
        format!(
            "{} of {all} brokers are missing or named by firing alerts that no playbook answers",
            broken.len()
        )
    })
}

/// An undo may have to remove network threads: such a change does not begin where the availability
/// check would hold its undo (I15).
async fn check_availability(
    context: &Context,
    run: &RunRow,
    topology: &Topology,
) -> Result<(), Hold> {
    let targets = super::targets(run, topology);
    let minimums = super::minimums(context, topology, &targets).await?;

    for broker in targets {
        if let Some(problem) = availability::problem(topology, &minimums, broker) {
            return Err(Hold::new(HoldReason::AvailabilityGate, problem));
        }
    }

    Ok(())
}

/// Number of cores that each broker may use, rounded up, where its container has a limit.
pub(super) fn cores(context: &Context) -> BTreeMap<BrokerId, u32> {
    let latest = context.latest.borrow().clone();
    let containers = latest.iter().flat_map(|it| &it.containers).flat_map(|it| it.value.iter());
    containers.filter_map(|it| Some((it.broker, whole_cores(it.cpu_limit_cores?)?))).collect()
}

/// Rounded up, at most 64: the pool maximum does not depend on more.
fn whole_cores(cores: f64) -> Option<u32> {
    (1..=64).find(|it| cores <= f64::from(*it)).or(Some(64)).filter(|_| cores > 0.0)
}
