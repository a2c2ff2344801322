//! The causes: what each one is called, what to do about it, and the function that finds it.

mod brokers;
mod cluster;
mod consumers;
mod handlers;
mod partitions;
mod producers;

use super::{finding::Finding, signal::Signal, signals::ClusterSignals};
use crate::model::closed_list;

/// What is known of one cause, and how it is found.
#[derive(Clone, Copy, Debug)]
pub struct CauseSpec {
    /// A sentence for people, without a full stop.
    pub title: &'static str,
    /// What is seen of it, where another cause explains it.
    pub symptom: &'static str,
    /// What to do, as text for people.
    pub advice: &'static str,
    /// The alert whose playbook would act, or that tells people.
    pub alert: Option<&'static str>,
    /// The optimizer that the alert's label `remediation` names.
    pub optimizer: Option<&'static str>,
    /// The signals that it is found by, the most important first.
    pub signals: &'static [Signal],
    /// Finds it; once for each subject.
    pub find: fn(&ClusterSignals) -> Vec<Finding>,
}

closed_list! {
    /// Why a cluster is not well, in the order of likelihood: the first of two equally bad findings
    /// is shown first.
    pub enum Cause {
        ClusterDown = "cluster_down",
        CpuBound = "cpu_bound",
        GcPressure = "gc_pressure",
        SlowDisk = "slow_disk",
        PartitionLock = "partition_lock",
        TooFewHandlers = "too_few_request_handlers",
        TooFewNetworkThreads = "too_few_network_threads",
        SkewedLeaders = "skewed_leaders",
        HotPartition = "hot_partition",
        DiskFilling = "disk_filling",
        MemoryShort = "memory_short",
        ControllerTrouble = "controller_trouble",
        ReplicationLagging = "replication_lagging",
        IsrFlapping = "isr_flapping",
        ThrottledClients = "throttled_clients",
        SmallBatches = "small_batches",
        NoCompression = "no_compression",
        RebalanceStorm = "rebalance_storm",
        StuckConsumer = "stuck_consumer",
        TooFewConsumers = "too_few_consumers",
        SlowConsumer = "slow_consumer",
        RetentionRisk = "retention_risk",
    }
}

impl Cause {
    pub const fn spec(self) -> CauseSpec {
        match self {
            Self::ClusterDown => cluster::CLUSTER_DOWN,
            Self::CpuBound => brokers::CPU_BOUND,
            Self::GcPressure => brokers::GC_PRESSURE,
            Self::SlowDisk => handlers::SLOW_DISK,
            Self::PartitionLock => handlers::PARTITION_LOCK,
            Self::TooFewHandlers => handlers::TOO_FEW_HANDLERS,
            Self::TooFewNetworkThreads => brokers::TOO_FEW_NETWORK_THREADS,
            Self::SkewedLeaders => partitions::SKEWED_LEADERS,
            Self::HotPartition => partitions::HOT_PARTITION,
            Self::DiskFilling => brokers::DISK_FILLING,
            Self::MemoryShort => brokers::MEMORY_SHORT,
            Self::ControllerTrouble => cluster::CONTROLLER_TROUBLE,
            Self::ReplicationLagging => cluster::REPLICATION_LAGGING,
            Self::IsrFlapping => cluster::ISR_FLAPPING,
            Self::ThrottledClients => brokers::THROTTLED_CLIENTS,
            Self::SmallBatches => producers::SMALL_BATCHES,
            Self::NoCompression => producers::NO_COMPRESSION,
            Self::RebalanceStorm => consumers::REBALANCE_STORM,
            Self::StuckConsumer => consumers::STUCK_CONSUMER,
            Self::TooFewConsumers => consumers::TOO_FEW_CONSUMERS,
            Self::SlowConsumer => consumers::SLOW_CONSUMER,
            Self::RetentionRisk => consumers::RETENTION_RISK,
        }
    }
}

/// Every finding, with nothing correlated yet.
pub(super) fn find_all(signals: &ClusterSignals) -> Vec<Finding> {
    Cause::ALL.iter().flat_map(|it| (it.spec().find)(signals)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_word_in_a_shell() {
        assert_eq!(shell_words::quote("orders-1.a_b"), "orders-1.a_b");
        assert_eq!(shell_words::quote(""), "''");
        assert_eq!(shell_words::quote("a b; $(rm x)"), "'a b; $(rm x)'");
        assert_eq!(shell_words::quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_cause_says_what_to_do_and_which_signals_it_reads() {
        for cause in Cause::ALL {
            let spec = cause.spec();
            assert!(!spec.signals.is_empty(), "{cause}");
            assert!(!spec.title.ends_with('.') && !spec.symptom.ends_with('.'), "{cause}");
            assert!(spec.advice.ends_with('.'), "{cause}");
            assert!(spec.optimizer.is_none() || spec.alert.is_some(), "{cause}");
        }
    }

    #[test]
    fn every_signal_is_read_by_a_cause() {
        let read: Vec<Signal> =
            Cause::ALL.iter().flat_map(|it| it.spec().signals).copied().collect();
        for signal in Signal::ALL {
            assert!(read.contains(signal), "no cause reads {signal}");
        }
    }
}
