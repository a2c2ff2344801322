//! The cluster as a whole, its brokers, their disks, configuration and containers.

use std::collections::BTreeMap;

use super::{
    super::{
        catalogue,
        text::{Family, SampleValue, Text, push_label, with_label},
    },
    Cluster, broker_label, family, length, value,
};
use crate::{
    model::{ConfigEntry, ContainerUsage, LogDir, Quorum, QuorumReplica, TopicName},
    telemetry::Spec,
};

/// Writes families with few series.
pub(super) fn encode(text: &mut Text, clusters: &[Cluster<'_>]) {
    cluster(text, clusters);
    brokers(text, clusters);
    quorum(text, clusters);
    log_dirs(text, clusters);
    configs(text, clusters);
    containers(text, clusters);
}

fn cluster(text: &mut Text, clusters: &[Cluster<'_>]) {
    family(text, clusters, &catalogue::UP, |out, it| {
        out.whole([&it.labels, ""], u64::from(it.snapshot.up));
    });

    family(text, clusters, &catalogue::CLUSTER_INFO, |out, it| {
        if let Some(id) = it.topology.and_then(|it| it.cluster_id.as_ref()) {
            out.whole([&with_label(&it.labels, "cluster_id", id), ""], 1);
        }
    });

    family(text, clusters, &catalogue::REASSIGNMENTS, |out, it| {
        if let Some(moving) = value(it.snapshot.reassignments.as_ref()) {
            out.whole([&it.labels, ""], length(moving));
        }
    });
}

fn brokers(text: &mut Text, clusters: &[Cluster<'_>]) {
    family(text, clusters, &catalogue::BROKERS, |out, it| {
        if let Some(topology) = it.topology {
            out.whole([&it.labels, ""], length(&topology.brokers));
        }
    });

    family(text, clusters, &catalogue::BROKER_INFO, |out, it| {
        for broker in it.topology.into_iter().flat_map(|it| &it.brokers) {
            let mut labels = with_label(&it.labels, "id", &broker.id.to_string());
            push_label(&mut labels, "address", &format!("{}:{}", broker.host, broker.port));
            out.whole([&labels, ""], 1);
        }
    });

    family(text, clusters, &catalogue::BROKER_RACK, |out, it| {
        for broker in it.topology.into_iter().flat_map(|it| &it.brokers) {
            if let Some(rack) = &broker.rack {
                let labels = with_label(&it.labels, "broker_id", &broker.id.to_string());
                out.whole([&with_label(&labels, "rack", rack), ""], 1);
            }
        }
    });
}

fn quorum(text: &mut Text, clusters: &[Cluster<'_>]) {
    of_quorum(text, clusters, &catalogue::CONTROLLER_ID, |it| Some(it.leader?.to_wire().into()));
    of_quorum(text, clusters, &catalogue::QUORUM_EPOCH, |it| Some(it.epoch.into()));
    of_quorum(text, clusters, &catalogue::QUORUM_HIGH_WATERMARK, |it| it.high_watermark);
    replicas(text, clusters, &catalogue::QUORUM_LAG, |quorum, it| {
        // Replicas copy the leader's log.
        let leader = quorum.replicas.iter().find(|it| Some(it.id) == quorum.leader)?;
        Some(SampleValue::Signed(leader.log_end?.saturating_sub(it.log_end?).max(0)))
    });

    replicas(text, clusters, &catalogue::QUORUM_FETCH, |_, it| {
        it.last_fetch.map(|it| SampleValue::Float(it.seconds()))
    });

    replicas(text, clusters, &catalogue::QUORUM_CAUGHT_UP, |_, it| {
        it.last_caught_up.map(|it| SampleValue::Float(it.seconds()))
    });
}

fn of_quorum(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value_of: impl Fn(&Quorum) -> Option<i64>,
) {
    family(text, clusters, spec, |out, it| {
        if let Some(value) = value(it.snapshot.quorum.as_ref()).and_then(&value_of) {
            out.sample([&it.labels, ""], SampleValue::Signed(value));
        }
    });
}

fn replicas(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value_of: impl Fn(&Quorum, &QuorumReplica) -> Option<SampleValue>,
) {
    family(text, clusters, spec, |out, it| {
        let Some(quorum) = value(it.snapshot.quorum.as_ref()) else { return };
        for replica in &quorum.replicas {
            if let Some(sample) = value_of(quorum, replica) {
                let labels = with_label(&it.labels, "replica_id", &replica.id.to_string());
                out.sample([&with_label(&labels, "role", replica.role.label()), ""], sample);
            }
        }
    });
}

fn log_dirs(text: &mut Text, clusters: &[Cluster<'_>]) {
    by_log_dir(text, clusters, &catalogue::LOG_DIR_TOTAL, |it| it.total_bytes);
    by_log_dir(text, clusters, &catalogue::LOG_DIR_USABLE, |it| it.usable_bytes);
    by_log_dir(text, clusters, &catalogue::LOG_DIR_OFFLINE, |it| Some(u64::from(it.offline)));
    family(text, clusters, &catalogue::TOPIC_LOG_SIZE, |out, it| {
        for (broker, section) in &it.snapshot.log_dirs {
            if !it.admits(length(&it.topics)) {
                continue;
            }
            let broker = broker_label(*broker);
            let sizes = topic_sizes(&section.value);
            // Only topics that still exist: this section may be older than their deletion.
            for topic in &it.topics {
                if let Some(bytes) = sizes.get(&topic.topic.name) {
                    out.whole([&topic.labels, &broker], *bytes);
                }
            }
        }
    });
}

fn by_log_dir(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value: impl Fn(&LogDir) -> Option<u64>,
) {
    family(text, clusters, spec, |out, it| {
        for (broker, section) in &it.snapshot.log_dirs {
            let broker = with_label(&it.labels, "broker_id", &broker.to_string());
            for dir in section.value.iter() {
                if let Some(value) = value(dir) {
                    out.whole([&with_label(&broker, "path", &dir.path), ""], value);
                }
            }
        }
    });
}

/// Empty while a directory is offline: the sums would be incomplete.
fn topic_sizes(dirs: &[LogDir]) -> BTreeMap<&TopicName, u64> {
    let mut sizes = BTreeMap::new();
    if dirs.iter().any(|it| it.offline) {
        return sizes;
    }

    for of in dirs.iter().flat_map(|it| &it.topics) {
        let bytes: &mut u64 = sizes.entry(&of.topic).or_default();
        *bytes = bytes.saturating_add(of.bytes);
    }

    sizes
}

fn configs(text: &mut Text, clusters: &[Cluster<'_>]) {
    by_config(text, clusters, &catalogue::CONFIG_VALUE, |out, labels, it| {
        number(out, labels, it.effective.as_deref());
    });

    by_config(text, clusters, &catalogue::CONFIG_STORED, |out, labels, it| {
        number(out, labels, it.stored());
    });

    by_config(text, clusters, &catalogue::CONFIG_INFO, |out, labels, it| {
        out.whole([&with_label(labels, "source", it.source.label()), ""], 1);
    });

    by_config(text, clusters, &catalogue::CONFIG_APPLIED, |out, labels, it| {
        match (it.stored(), it.effective.as_deref()) {
            (None, _) => out.whole([labels, ""], 1),
            (Some(stored), Some(effective)) => {
                out.whole([labels, ""], u64::from(stored == effective));
            }
            // The broker does not report the effective value.
            (Some(_), None) => {}
        }
    });
}

fn by_config(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    write: impl Fn(&mut Family<'_>, &str, &ConfigEntry),
) {
    family(text, clusters, spec, |out, it| {
        for (broker, section) in &it.snapshot.configs {
            let broker = with_label(&it.labels, "broker_id", &broker.to_string());
            for entry in &section.value.entries {
                write(out, &with_label(&broker, "key", &entry.key), entry);
            }
        }
    });
}

/// Writes a configuration value; the values of all keys we read are integers.
fn number(out: &mut Family<'_>, labels: &str, value: Option<&str>) {
    if let Some(value) = value.and_then(|it| it.parse().ok()) {
        out.sample([labels, ""], SampleValue::Signed(value));
    }
}

fn containers(text: &mut Text, clusters: &[Cluster<'_>]) {
    container(text, clusters, &catalogue::CONTAINER_CPU, |it| {
        it.cpu_seconds.map(SampleValue::Float)
    });
    container(text, clusters, &catalogue::CONTAINER_CPU_LIMIT, |it| {
        it.cpu_limit_cores.map(SampleValue::Float)
    });

    container(text, clusters, &catalogue::CONTAINER_THROTTLED, |it| {
        it.throttled_periods.map(SampleValue::Whole)
    });

    container(text, clusters, &catalogue::CONTAINER_MEMORY, |it| {
        it.memory_anonymous_bytes.map(SampleValue::Whole)
    });

    container(text, clusters, &catalogue::CONTAINER_MEMORY_LIMIT, |it| {
        it.memory_limit_bytes.map(SampleValue::Whole)
    });

    container(text, clusters, &catalogue::CONTAINER_WORKING_SET, |it| {
        it.memory_working_set_bytes.map(SampleValue::Whole)
    });

    container(text, clusters, &catalogue::CONTAINER_READ, |it| {
        it.block_read_bytes.map(SampleValue::Whole)
    });

    container(text, clusters, &catalogue::CONTAINER_WRITTEN, |it| {
        it.block_write_bytes.map(SampleValue::Whole)
    });

    container(text, clusters, &catalogue::CONTAINER_RECEIVED, |it| {
        it.network_receive_bytes.map(SampleValue::Whole)
    });

    container(text, clusters, &catalogue::CONTAINER_SENT, |it| {
        it.network_transmit_bytes.map(SampleValue::Whole)
    });
}

fn container(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value_of: impl Fn(&ContainerUsage) -> Option<SampleValue>,
) {
    family(text, clusters, spec, |out, it| {
        for usage in value(it.snapshot.containers.as_ref()).into_iter().flatten() {
            let label = broker_label(usage.broker);
            if let Some(sample) = value_of(usage) {
                out.sample([&it.labels, &label], sample);
            }
        }
    });
}
