//! The catalogue of all metrics of a cluster: name, type, help, labels and the bound of each.
//!
//! The first fifteen are `kafka_exporter`'s, with its exact help texts, so that dashboards and
//! alerts people have keep working; `kafka_cluster` is added in front.

use crate::telemetry::{Kind, Spec, own, probe};

macro_rules! catalogue {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*]
        $help:literal, $bound:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: Spec = Spec {
                name: $name,
                kind: Kind::$kind,
                help: $help,
                labels: &["kafka_cluster" $(, $label)*],
                bound: $bound,
            };
        )+

        /// All metrics of a cluster, in the order of the documentation.
        pub const CLUSTER: &[Spec] = &[$($constant),+];
    };
}

catalogue! {
    BROKERS: Gauge "kafka_brokers" []
        "Number of Brokers in the Kafka Cluster.", "clusters";
    BROKER_INFO: Gauge "kafka_broker_info" ["id", "address"]
        "Information about the Kafka Broker.", "brokers";
    TOPIC_PARTITIONS: Gauge "kafka_topic_partitions" ["topic"]
        "Number of partitions for this Topic", "topics";
    CURRENT_OFFSET: Gauge "kafka_topic_partition_current_offset" ["topic", "partition"]
        "Current Offset of a Broker at Topic/Partition", "partitions";
    OLDEST_OFFSET: Gauge "kafka_topic_partition_oldest_offset" ["topic", "partition"]
        "Oldest Offset of a Broker at Topic/Partition", "partitions";
    LEADER: Gauge "kafka_topic_partition_leader" ["topic", "partition"]
        "Leader Broker ID of this Topic/Partition", "partitions";
    REPLICAS: Gauge "kafka_topic_partition_replicas" ["topic", "partition"]
        "Number of Replicas for this Topic/Partition", "partitions";
    IN_SYNC: Gauge "kafka_topic_partition_in_sync_replica" ["topic", "partition"]
        "Number of In-Sync Replicas for this Topic/Partition", "partitions";
    PREFERRED: Gauge "kafka_topic_partition_leader_is_preferred" ["topic", "partition"]
        "1 if Topic/Partition is using the Preferred Broker", "partitions";
    UNDER_REPLICATED: Gauge "kafka_topic_partition_under_replicated_partition"
        ["topic", "partition"]
        "1 if Topic/Partition is under Replicated", "partitions";
    GROUP_OFFSET: Gauge "kafka_consumergroup_current_offset"
        ["consumergroup", "topic", "partition"]
        "Current Offset of a ConsumerGroup at Topic/Partition",
        "groups × partitions they committed";
    GROUP_OFFSET_SUM: Untyped "kafka_consumergroup_current_offset_sum" ["consumergroup", "topic"]
        "Current Offset of a ConsumerGroup at Topic for all partitions",
        "groups × topics they committed";
    GROUP_LAG: Gauge "kafka_consumergroup_lag" ["consumergroup", "topic", "partition"]
        "Current Approximate Lag of a ConsumerGroup at Topic/Partition",
        "groups × partitions they committed";
    GROUP_LAG_SUM: Untyped "kafka_consumergroup_lag_sum" ["consumergroup", "topic"]
        "Current Approximate Lag of a ConsumerGroup at Topic for all partitions",
        "groups × topics they committed";
    GROUP_MEMBERS: Gauge "kafka_consumergroup_members" ["consumergroup"]
        "Amount of members in a consumer group", "groups";

    UP: Gauge "kafka_up" []
        "1 if the cluster's metadata was read in the latest round", "clusters";
    CLUSTER_INFO: Gauge "kafka_cluster_info" ["cluster_id"]
        "The cluster's own id, always 1", "clusters";
    BROKER_RACK: Gauge "kafka_broker_rack_info" ["broker_id", "rack"]
        "Rack of the broker, always 1, absent without one", "brokers";
    CONTROLLER_ID: Gauge "kafka_controller_id" []
        "Node id of the active controller, absent while there is none", "clusters";
    QUORUM_EPOCH: Gauge "kafka_quorum_epoch" []
        "Epoch of the active controller", "clusters";
    QUORUM_HIGH_WATERMARK: Gauge "kafka_quorum_high_watermark" []
        "Committed end of the metadata log", "clusters";
    QUORUM_LAG: Gauge "kafka_quorum_replica_lag_records" ["replica_id", "role"]
        "Records of the metadata log that the replica has yet to copy", "controllers and brokers";
    QUORUM_FETCH: Gauge "kafka_quorum_replica_last_fetch_timestamp_seconds"
        ["replica_id", "role"]
        "When the replica last fetched from the active controller, as a Unix time",
        "controllers and brokers";
    QUORUM_CAUGHT_UP: Gauge "kafka_quorum_replica_last_caught_up_timestamp_seconds"
        ["replica_id", "role"]
        "When the replica last had the whole metadata log, as a Unix time",
        "controllers and brokers";
    LEADER_CHANGES: Counter "kafka_topic_partition_leader_changes_total" ["topic", "partition"]
        "Changes of the partition's leader seen by this process", "partitions";
    UNDER_MIN_ISR: Gauge "kafka_topic_partition_under_min_isr" ["topic", "partition"]
        "1 if the partition has fewer replicas in sync than min.insync.replicas, or than replicas if \
         those are fewer", "partitions";
    OFFLINE: Gauge "kafka_topic_partition_offline" ["topic", "partition"]
        "1 if the partition has no leader", "partitions";
    TOPIC_UNDER_REPLICATED: Gauge "kafka_topic_under_replicated_partitions" ["topic"]
        "Partitions of the topic with fewer replicas in sync than assigned", "topics";
    TOPIC_UNDER_MIN_ISR: Gauge "kafka_topic_under_min_isr_partitions" ["topic"]
        "Partitions of the topic with fewer replicas in sync than min.insync.replicas, or than replicas \
         if those are fewer", "topics";
    TOPIC_OFFLINE: Gauge "kafka_topic_offline_partitions" ["topic"]
        "Partitions of the topic without a leader", "topics";
    MIN_INSYNC: Gauge "kafka_topic_min_insync_replicas" ["topic"]
        "Effective min.insync.replicas of the topic", "topics";
    REASSIGNMENTS: Gauge "kafka_partition_reassignments" []
        "Partitions with a reassignment in flight", "clusters";
    LOG_DIR_TOTAL: Gauge "kafka_broker_log_dir_total_bytes" ["broker_id", "path"]
        "Size of the log directory's volume", "brokers × log directories";
    LOG_DIR_USABLE: Gauge "kafka_broker_log_dir_usable_bytes" ["broker_id", "path"]
        "Bytes free on the log directory's volume", "brokers × log directories";
    LOG_DIR_OFFLINE: Gauge "kafka_broker_log_dir_offline" ["broker_id", "path"]
        "1 if the broker reports the log directory as failed", "brokers × log directories";
    TOPIC_LOG_SIZE: Gauge "kafka_topic_log_size_bytes" ["topic", "broker_id"]
        "Bytes of the topic's logs on the broker, absent while one of its log directories is offline",
        "topics × brokers that hold them";
    CONFIG_VALUE: Gauge "kafka_broker_config_value" ["broker_id", "key"]
        "Value of the key in force on the broker", "brokers × six keys";
    CONFIG_STORED: Gauge "kafka_broker_config_stored_value" ["broker_id", "key"]
        "Dynamic value of the key stored for the broker, in force or not, absent without one",
        "brokers × six keys";
    CONFIG_INFO: Gauge "kafka_broker_config_info" ["broker_id", "key", "source"]
        "Where the broker says the key's value comes from, always 1", "brokers × six keys";
    CONFIG_APPLIED: Gauge "kafka_broker_config_applied" ["broker_id", "key"]
        "0 if a dynamic value is stored for the broker and another one is in force, else 1",
        "brokers × six keys";
    GROUP_STATE: Gauge "kafka_consumergroup_state" ["consumergroup", "state"]
        "1 for the group's state, 0 for the others", "groups × nine states";
    GROUP_INFO: Gauge "kafka_consumergroup_info"
        ["consumergroup", "group_type", "protocol_type", "coordinator_id"]
        "Type of the group and the broker that coordinates it, always 1", "groups";
    GROUP_REBALANCES: Counter "kafka_consumergroup_rebalances_total" ["consumergroup"]
        "Rebalances of the group seen by this process, at most one each round", "groups";
    GROUP_PROGRESS: Gauge "kafka_consumergroup_last_progress_timestamp_seconds" ["consumergroup"]
        "When a commit of the group was last seen to move on, as a Unix time, absent until one was",
        "groups";
    GROUP_UNASSIGNED: Gauge "kafka_consumergroup_unassigned_partitions" ["consumergroup", "topic"]
        "Partitions of a topic that members subscribe to and none holds, absent during a rebalance",
        "groups × topics they subscribe to";
    GROUP_UNCOMMITTED: Gauge "kafka_consumergroup_uncommitted_partitions"
        ["consumergroup", "topic"]
        "Partitions without a commit of a topic that the group has commits in",
        "groups × topics they committed";
    GROUP_LOST: Gauge "kafka_consumergroup_lost_records" ["consumergroup", "topic"]
        "Records between the group's commits and the starts of the logs, which are gone unread",
        "groups × topics they committed";
    GROUP_HEADROOM: Gauge "kafka_consumergroup_retention_headroom_ratio"
        ["consumergroup", "topic"]
        "Where the commit closest to its log's start lies between start (0) and end (1)",
        "groups × topics they committed";
    GROUP_LAG_MAX_SECONDS: Gauge "kafka_consumergroup_lag_max_seconds"
        ["consumergroup", "topic", "method"]
        "Age of the oldest record of the topic that the group has yet to read",
        "groups × topics they committed";
    GROUP_LAG_SECONDS: Gauge "kafka_consumergroup_lag_seconds"
        ["consumergroup", "topic", "partition", "method"]
        "Age of the oldest record that the group has yet to read, a lower bound if the method says it",
        "groups × partitions they committed";
    CONTAINER_CPU: Counter "kafka_broker_container_cpu_seconds_total" ["broker_id"]
        "CPU seconds used by the broker's container", "brokers";
    CONTAINER_CPU_LIMIT: Gauge "kafka_broker_container_cpu_limit_cores" ["broker_id"]
        "Cores that the broker's container may use, without a limit the host's", "brokers";
    CONTAINER_THROTTLED: Counter "kafka_broker_container_cpu_throttled_periods_total" ["broker_id"]
        "Scheduler periods in which the broker's container was throttled", "brokers";
    CONTAINER_MEMORY: Gauge "kafka_broker_container_memory_anonymous_bytes" ["broker_id"]
        "Memory of the broker's container that is not page cache", "brokers";
    CONTAINER_MEMORY_LIMIT: Gauge "kafka_broker_container_memory_limit_bytes" ["broker_id"]
        "Memory that the broker's container may use, without a limit the host's", "brokers";
    CONTAINER_WORKING_SET: Gauge "kafka_broker_container_memory_working_set_bytes" ["broker_id"]
        "Memory of the broker's container without the page cache that is easily given back",
        "brokers";
    CONTAINER_READ: Counter "kafka_broker_container_block_read_bytes_total" ["broker_id"]
        "Bytes that the broker's container read from disks", "brokers";
    CONTAINER_WRITTEN: Counter "kafka_broker_container_block_write_bytes_total" ["broker_id"]
        "Bytes that the broker's container wrote to disks", "brokers";
    CONTAINER_RECEIVED: Counter "kafka_broker_container_network_receive_bytes_total" ["broker_id"]
        "Bytes received by the broker's container", "brokers";
    CONTAINER_SENT: Counter "kafka_broker_container_network_transmit_bytes_total" ["broker_id"]
        "Bytes sent by the broker's container", "brokers";
}

/// All metrics: of clusters, of the probe and of this process.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    CLUSTER.iter().chain(probe::ALL).chain(own::ALL)
}

/// The expected text of `docs/metrics.md`.
pub fn document() -> String {
    let mut text = String::from(HEAD);
    table(&mut text, "Of clusters", CLUSTER);
    table(&mut text, "Of the probe, where a cluster's configuration has `probe`", probe::ALL);
    table(&mut text, "Of this process", own::ALL);

    text
}

/// The text before the tables.
const HEAD: &str = include_str!("metrics-head.md");

fn table(text: &mut String, title: &str, specs: &[Spec]) {
    text.push_str("\n## ");
    text.push_str(title);
    text.push_str("\n\n| name | type | labels | help | bounded by |\n");
    text.push_str("| --- | --- | --- | --- | --- |\n");

    for spec in specs {
        let labels: Vec<String> = spec.labels.iter().map(|it| format!("`{it}`")).collect();
        let cells = [
            format!("`{}`", spec.name),
            spec.kind.to_string(),
            labels.join(", "),
            spec.help.to_owned(),
            spec.bound.to_owned(),
        ];
        text.push_str("| ");
        text.push_str(&cells.join(" | "));
        text.push_str(" |\n");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names that break a rule because `kafka_exporter`'s users have them.
    const DROP_IN: usize = 15;

    #[test]
    fn names_keep_to_the_rules() {
        let mut seen = BTreeSet::new();
        for spec in all() {
            let name = spec.name;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.chars().all(|it| it.is_ascii_lowercase() || it == '_'), "{name}");
            assert_eq!(name.ends_with("_total"), spec.kind == Kind::Counter, "{name}");

            let reserved = ["_count", "_sum", "_bucket"].iter().any(|it| name.ends_with(it));
            assert_eq!(reserved, spec.kind == Kind::Untyped, "{name}");

            for unit in ["_ms", "_millis", "_kb", "_mb", "_percent", "_ratios"] {
                assert!(!name.ends_with(unit), "{name}");
            }
        }
    }

    #[test]
    fn a_prefix_says_whose_metric_it_is() {
        for spec in CLUSTER.iter().chain(probe::ALL) {
            assert!(spec.name.starts_with("kafka_"), "{}", spec.name);
            assert!(!spec.name.starts_with("kafka_optimizer_"), "{}", spec.name);
            assert_eq!(spec.labels.first(), Some(&"kafka_cluster"), "{}", spec.name);
        }

        for spec in own::ALL {
            let ours = ["kafka_optimizer_", "process_"];
            assert!(ours.iter().any(|it| spec.name.starts_with(it)), "{}", spec.name);
        }
    }

    #[test]
    fn help_is_one_line_and_its_full_stop_is_kafka_exporters() {
        for (at, spec) in all().enumerate() {
            assert!(!spec.help.is_empty() && !spec.bound.is_empty(), "{}", spec.name);
            assert!(!spec.help.contains(['\n', '\\', '|']), "{}", spec.name);
            assert!(DROP_IN <= at || spec.kind != Kind::Counter, "{}", spec.name);
            assert_eq!(spec.help.ends_with('.'), at < 2, "{}", spec.name);
        }
    }

    #[test]
    fn no_label_collides_with_those_of_a_target() {
        let taken = ["cluster", "instance", "job", "type", "env", "region", "zone", "service"];
        for spec in all() {
            assert!(!spec.labels.iter().any(|it| taken.contains(it)), "{}", spec.name);
        }
    }

    #[test]
    fn the_documentation_is_the_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(path, document()).unwrap();
        }

        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(written, document(), "run it again with UPDATE_GOLDEN=1");
    }
}
