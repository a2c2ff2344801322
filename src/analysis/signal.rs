//! The table of signals: what each one means, where it comes from, and its threshold.

use super::thresholds::{self, Threshold};
use crate::model::closed_list;

/// What the values of a signal are about. The series of a disk have the labels `instance` and
/// `device`, those of a group `consumergroup`; the others are named like their labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    Cluster,
    Broker,
    Disk,
    Topic,
    Partition,
    Group,
    GroupTopic,
}

/// How a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalUnit {
    /// 0 to 1, shown in percent.
    Ratio,
    Seconds,
    Hours,
    Count,
    PerSecond,
    BytesPerSecond,
}

impl SignalUnit {
    /// The word for it in the API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Seconds => "seconds",
            Self::Hours => "hours",
            Self::Count => "count",
            Self::PerSecond => "per_second",
            Self::BytesPerSecond => "bytes_per_second",
        }
    }
}

closed_list! {
    /// Who measures, beside this program.
    pub enum SignalSource {
        Jmx = "jmx",
        Docker = "docker",
        NodeExporter = "node_exporter",
        /// This program's own metrics, or the snapshot of a running server.
        Optimizer = "optimizer",
    }
}

/// What is missing without a source.
#[derive(Clone, Copy, Debug)]
pub struct SourceSpec {
    /// A signal that has a value whenever the source works.
    pub sentinel: Signal,
    /// What is not known without it.
    pub what: &'static str,
    /// Why, and how to change that.
    pub why: &'static str,
}

impl SignalSource {
    pub const fn spec(self) -> SourceSpec {
        match self {
            Self::Jmx => SourceSpec {
                sentinel: Signal::HandlerIdle,
                what: "what happens inside the brokers: threads, request times, garbage collection, quotas",
                why: "no series of the JMX exporter: run it on the brokers with prometheus/jmx, and load prometheus/rules",
            },
            Self::Docker => SourceSpec {
                sentinel: Signal::Memory,
                what: "the brokers' memory, and CPU relative to the limits of their containers",
                why: "no series of the containers: configure `docker` for the cluster, or pass --docker",
            },
            Self::NodeExporter => SourceSpec {
                sentinel: Signal::DiskIo,
                what: "how busy the disks are",
                why: "no series of node-exporter: run it on the hosts, with the label kafka_cluster",
            },
            Self::Optimizer => SourceSpec {
                sentinel: Signal::Leaders,
                what: "partitions, consumer groups and lag",
                why: "no data of this program: pass --kafka.server, or run `kafka-optimizer serve` and let Prometheus scrape it",
            },
        }
    }
}

/// What a signal means, where it comes from, and when it is bad.
#[derive(Clone, Copy, Debug)]
pub struct SignalSpec {
    pub kind: SubjectKind,
    pub unit: SignalUnit,
    pub threshold: Option<&'static Threshold>,
    /// PromQL, in which `{$` stands for the matcher of the cluster. `None` for what is computed, or
    /// known from the snapshot only.
    pub query: Option<&'static str>,
    pub meaning: &'static str,
}

macro_rules! signals {
    ($($variant:ident = $label:literal: $kind:ident, $unit:ident, $threshold:expr, $query:expr,
        $meaning:literal;)+) => {
        closed_list! {
            /// A value that a finding may rest on.
            pub enum Signal {
                $($variant = $label,)+
            }
        }

        impl Signal {
            pub const fn spec(self) -> SignalSpec {
                match self {
                    $(Self::$variant => SignalSpec {
                        kind: SubjectKind::$kind,
                        unit: SignalUnit::$unit,
                        threshold: $threshold,
                        query: $query,
                        meaning: $meaning,
                    },)+
                }
            }
        }
    };
}

impl Signal {
    /// The query as a template with `$kafka_cluster`.
    pub fn template(self) -> Option<String> {
        let query = self.spec().query?;
        Some(query.replace("{$", "{kafka_cluster=\"$kafka_cluster\""))
    }
}

signals! {
    Up = "up": Cluster, Count, Some(&thresholds::UP),
        Some("max by (kafka_cluster) (kafka_up{$})"),
        "1 if a broker answered in the latest round of collection, else 0";
    HandlerIdle = "request_handler_idle": Broker, Ratio, Some(&thresholds::HANDLER_IDLE),
        Some("kafka:request_handler_idle:ratio{$}"),
        "Share of time in which the request handlers (num.io.threads) are idle";
    NetworkIdle = "network_processor_idle": Broker, Ratio, Some(&thresholds::NETWORK_IDLE),
        Some("kafka:network_processor_idle:ratio{$}"),
        "Share of time in which the network processors (num.network.threads) are idle";
    Cpu = "broker_cpu": Broker, Ratio, Some(&thresholds::CPU),
        Some("kafka:broker_cpu:ratio{$}"),
        "CPU of the broker, as a share of what it may use";
    Memory = "broker_memory": Broker, Ratio, Some(&thresholds::MEMORY),
        Some("kafka:broker_memory:ratio{$}"),
        "Memory of the broker's container without page cache, as a share of its limit";
    GcTime = "gc_time": Broker, Ratio, Some(&thresholds::GC_TIME),
        Some("kafka:gc_time:ratio{$}"),
        "Share of time in garbage collection";
    ProduceTime = "produce_time": Broker, Seconds, None,
        Some("kafka:produce_time:mean_seconds{$}"),
        "Mean time of a produce request";
    ProduceQueueTime = "produce_queue_time": Broker, Seconds,
        Some(&thresholds::PRODUCE_QUEUE_TIME),
        Some("kafka:produce_queue_time:mean_seconds{$}"),
        "Of that, waiting for a request handler";
    ProduceLocalTime = "produce_local_time": Broker, Seconds, Some(&thresholds::LOCAL_TIME),
        Some("kafka:produce_local_time:mean_seconds{$}"),
        "Of that, writing to the log, with all waiting for locks and disks";
    ProduceRemoteTime = "produce_remote_time": Broker, Seconds, None,
        Some("kafka:produce_remote_time:mean_seconds{$}"),
        "Of that, waiting for the followers";
    ProduceThrottleTime = "produce_throttle_time": Broker, Seconds,
        Some(&thresholds::THROTTLE_TIME),
        Some("kafka:produce_throttle_time:mean_seconds{$}"),
        "Of that, delayed by a quota";
    ProduceResponseQueueTime = "produce_response_queue_time": Broker, Seconds, None,
        Some("kafka:produce_response_queue_time:mean_seconds{$}"),
        "Of that, waiting for a network processor";
    ProduceResponseSendTime = "produce_response_send_time": Broker, Seconds, None,
        Some("kafka:produce_response_send_time:mean_seconds{$}"),
        "Of that, sending the response";
    FetchTime = "fetch_time": Broker, Seconds, None,
        Some("kafka:fetch_time:mean_seconds{$}"),
        "Mean time of a consumer's fetch, with the wait for new records";
    FetchQueueTime = "fetch_queue_time": Broker, Seconds, None,
        Some("kafka:fetch_queue_time:mean_seconds{$}"),
        "Of that, waiting for a request handler";
    FetchLocalTime = "fetch_local_time": Broker, Seconds, Some(&thresholds::LOCAL_TIME),
        Some("kafka:fetch_local_time:mean_seconds{$}"),
        "Of that, reading the log";
    FetchThrottleTime = "fetch_throttle_time": Broker, Seconds,
        Some(&thresholds::THROTTLE_TIME),
        Some("kafka:fetch_throttle_time:mean_seconds{$}"),
        "Of that, delayed by a quota";
    ProduceRequests = "produce_requests": Broker, PerSecond, None,
        Some("kafka:produce_requests:rate{$}"),
        "Produce requests that the broker receives";
    RecordsPerRequest = "records_per_request": Broker, Count,
        Some(&thresholds::RECORDS_PER_REQUEST),
        Some("kafka:messages_in:rate{$} / (kafka:produce_requests:rate{$} > 0)"),
        "Records in a produce request";
    MessagesIn = "messages_in": Broker, PerSecond, None,
        Some("kafka:messages_in:rate{$}"),
        "Records that the broker receives from producers";
    BytesIn = "bytes_in": Broker, BytesPerSecond, None,
        Some("kafka:bytes_in:rate{$}"),
        "Bytes that the broker receives from producers";
    Leaders = "leaders": Broker, Count, None,
        Some("count_values by (kafka_cluster) (\"broker_id\", max by (kafka_cluster, topic, partition) (kafka_topic_partition_leader{$}))"),
        "Partitions that the broker leads";
    OutOfSyncReplicas = "out_of_sync_replicas": Broker, Count, None,
        None,
        "Replicas on the broker that are not in sync; from the snapshot only";
    IsrShrinks = "isr_shrinks": Broker, Count, Some(&thresholds::ISR_SHRINKS),
        Some("max by (kafka_cluster, broker_id) (changes(kafka_server_replicamanager_isrshrinks_total{$,broker_id!=\"\"}[30m]))"),
        "Scrapes of the last 30 minutes in which the ISR of a partition shrank";
    DiskUsage = "disk_usage": Broker, Ratio, Some(&thresholds::DISK_USAGE),
        Some("max by (kafka_cluster, broker_id) (kafka:disk_usage:ratio{$})"),
        "Used share of the fullest log directory's volume";
    DiskHoursLeft = "disk_hours_left": Broker, Hours, Some(&thresholds::DISK_HOURS_LEFT),
        Some("min by (kafka_cluster, broker_id) (kafka_broker_log_dir_usable_bytes{$} / (-deriv(kafka_broker_log_dir_usable_bytes{$}[1h]) > 0) and kafka_broker_log_dir_usable_bytes{$} offset 1h) / 3600"),
        "Hours until a log directory is full, at the growth of the last hour; unknown before there is an hour";
    IoThreads = "io_threads": Broker, Count, None,
        Some("max by (kafka_cluster, broker_id) (kafka_broker_config_value{$,key=\"num.io.threads\"})"),
        "num.io.threads in force";
    NetworkThreads = "network_threads": Broker, Count, None,
        Some("max by (kafka_cluster, broker_id) (kafka_broker_config_value{$,key=\"num.network.threads\"})"),
        "num.network.threads in force";
    DiskIo = "disk_io": Disk, Ratio, Some(&thresholds::DISK_IO),
        Some("kafka:disk_io:ratio{$}"),
        "Share of time in which the disk is busy";
    UnderReplicated = "under_replicated_partitions": Cluster, Count,
        Some(&thresholds::UNDER_REPLICATED),
        Some("kafka:under_replicated_partitions:count{$}"),
        "Partitions with replicas that are not in sync";
    UnderMinIsr = "under_min_isr_partitions": Cluster, Count, Some(&thresholds::UNDER_MIN_ISR),
        Some("kafka:under_min_isr_partitions:count{$}"),
        "Partitions that refuse writes with acks=all";
    OfflinePartitions = "offline_partitions": Cluster, Count,
        Some(&thresholds::OFFLINE_PARTITIONS),
        Some("kafka:offline_partitions:count{$}"),
        "Partitions without a leader";
    LeadersNotPreferred = "leaders_not_preferred": Cluster, Count,
        Some(&thresholds::LEADERS_NOT_PREFERRED),
        Some("kafka:leaders_not_preferred:count{$}"),
        "Partitions that another replica than the preferred one leads, with every replica in sync";
    Reassignments = "reassignments": Cluster, Count, None,
        Some("max by (kafka_cluster) (kafka_partition_reassignments{$})"),
        "Partitions with a reassignment in flight";
    MissingBrokers = "missing_brokers": Cluster, Count, None,
        Some("max by (kafka_cluster) (max_over_time(kafka_brokers{$}[1h]) - kafka_brokers{$})"),
        "Brokers of the last hour that are gone";
    ActiveControllers = "active_controllers": Cluster, Count,
        Some(&thresholds::ACTIVE_CONTROLLERS),
        Some("sum by (kafka_cluster) (kafka_controller_kafkacontroller_activecontrollercount{$})"),
        "Active controllers";
    ControllerChanges = "controller_changes": Cluster, Count,
        Some(&thresholds::CONTROLLER_CHANGES),
        Some("max by (kafka_cluster) (changes(kafka_quorum_epoch{$}[30m]))"),
        "Changes of the active controller in the last 30 minutes";
    TopicRecords = "topic_records": Topic, PerSecond, None,
        Some("sum by (kafka_cluster, topic) (max by (kafka_cluster, topic, partition) (clamp_min(deriv(kafka_topic_partition_current_offset{$}[5m]), 0)))"),
        "Records that the topic receives";
    TopicPartitions = "topic_partitions": Topic, Count, None,
        Some("max by (kafka_cluster, topic) (kafka_topic_partitions{$})"),
        "Partitions of the topic";
    BatchBytes = "bytes_per_batch": Topic, Count, Some(&thresholds::BATCH_BYTES),
        None,
        "Mean size of a record batch in bytes; sampled, with `--advise` only";
    Batches = "batches": Topic, PerSecond, None,
        None,
        "Record batches that the topic receives, if its producers could send fewer; sampled, with `--advise` only";
    CompressionSaves = "compression_saves": Topic, Ratio, Some(&thresholds::COMPRESSION_SAVES),
        None,
        "Share of its bytes that compression would save; sampled, with `--advise` only";
    TopicBytes = "topic_bytes": Topic, BytesPerSecond, None,
        None,
        "Bytes that the topic receives; sampled, with `--advise` only";
    PartitionRecords = "partition_records": Partition, PerSecond, None,
        Some("topk(50, max by (kafka_cluster, topic, partition) (clamp_min(deriv(kafka_topic_partition_current_offset{$}[5m]), 0)) > 0)"),
        "Records that the partition receives; of the 50 busiest partitions";
    PartitionLeader = "partition_leader": Partition, Count, None,
        Some("max by (kafka_cluster, topic, partition) (kafka_topic_partition_leader{$}) and on (kafka_cluster, topic, partition) topk(50, max by (kafka_cluster, topic, partition) (clamp_min(deriv(kafka_topic_partition_current_offset{$}[5m]), 0)) > 0)"),
        "The broker that leads it";
    TopicShare = "topic_share": Partition, Ratio, Some(&thresholds::TOPIC_SHARE),
        None,
        "Share of the partition in the records of its topic; computed";
    BrokerShare = "broker_share": Partition, Ratio, Some(&thresholds::BROKER_SHARE),
        None,
        "Share of the partition in the records that its broker receives; computed";
    Lag = "lag": GroupTopic, Count, Some(&thresholds::LAG),
        Some("kafka:consumergroup_topic_lag:sum{$}"),
        "Records of the topic that the group has yet to read";
    LostRecords = "lost_records": GroupTopic, Count, Some(&thresholds::LOST_RECORDS),
        Some("max by (kafka_cluster, consumergroup, topic) (kafka_consumergroup_lost_records{$})"),
        "Records that retention deleted before the group read them";
    RetentionHeadroom = "retention_headroom": GroupTopic, Ratio,
        Some(&thresholds::RETENTION_HEADROOM),
        Some("min by (kafka_cluster, consumergroup, topic) (kafka_consumergroup_retention_headroom_ratio{$}) and on (kafka_cluster, topic) sum by (kafka_cluster, topic) (clamp_min(delta(kafka_topic_partition_oldest_offset{$}[1h]), 0)) > 0"),
        "Where the commit stands between log start (0) and log end (1), if retention deleted records in the last hour";
    LagGrowth = "lag_growth": Group, PerSecond, None,
        Some("kafka:group_lag:deriv{$}"),
        "By how much the group falls behind; negative while it catches up";
    Consumed = "consumed": Group, PerSecond, None,
        Some("kafka:group_consumed:rate{$}"),
        "Records that the group consumes";
    Members = "members": Group, Count, None,
        Some("max by (kafka_cluster, consumergroup) (kafka_consumergroup_members{$})"),
        "Members of the group";
    GroupPartitions = "partitions": Group, Count, None,
        Some("count by (kafka_cluster, consumergroup) (max by (kafka_cluster, consumergroup, topic, partition) (kafka_consumergroup_lag{$}))"),
        "Partitions that the group reads";
    PartitionsWithLag = "partitions_with_lag": Group, Count, None,
        Some("count by (kafka_cluster, consumergroup) (max by (kafka_cluster, consumergroup, topic, partition) (kafka_consumergroup_lag{$}) > 0)"),
        "Of these, partitions with records to read";
    Unassigned = "unassigned_partitions": Group, Count, None,
        Some("sum by (kafka_cluster, consumergroup) (max by (kafka_cluster, consumergroup, topic) (kafka_consumergroup_unassigned_partitions{$}))"),
        "Partitions that no member reads";
    SinceProgress = "since_progress": Group, Seconds, Some(&thresholds::SINCE_PROGRESS),
        Some("time() - max by (kafka_cluster, consumergroup) (kafka_consumergroup_last_progress_timestamp_seconds{$})"),
        "Time since a commit of the group last advanced";
    Rebalances = "rebalances": Group, Count, Some(&thresholds::REBALANCES),
        Some("max by (kafka_cluster, consumergroup) (count_over_time((increase(kafka_consumergroup_rebalances_total{$}[2m]) > 0)[10m:2m]))"),
        "Of the last five spans of two minutes, those in which the group rebalanced";
}
