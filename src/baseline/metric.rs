//! What a baseline records of each broker, and the PromQL that reads it.

use super::Unit;
use crate::{
    model::{ClusterName, closed_list},
    playbook::{Better, ObjectiveExpression, quoted},
};

closed_list! {
    /// What is measured of each broker.
    pub enum Metric {
        /// Mean time of a produce request.
        ProduceTime = "produce_time",
        /// Mean time of a consumer's fetch request. A fetch may wait for records on purpose
        /// (`fetch.max.wait.ms`), so less is better only while there is something to read.
        FetchTime = "fetch_time",
        BytesIn = "bytes_in",
        BytesOut = "bytes_out",
        /// Produce and fetch requests of clients: the load.
        Requests = "requests",
        /// CPU time of the container, else of the JVM.
        Cpu = "cpu",
        /// Share of the time in which an average request handler is idle.
        HandlerIdle = "handler_idle",
        /// The same of the busiest network processor.
        NetworkIdle = "network_idle",
        Heap = "heap",
    }
}

/// How the values of all brokers become that of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Total {
    /// The mean of all requests, not of the brokers' means.
    Weighted,
    Sum,
    Mean,
}

impl Metric {
    pub const fn unit(self) -> Unit {
        match self {
            Self::ProduceTime | Self::FetchTime => Unit::Seconds,
            Self::BytesIn | Self::BytesOut => Unit::BytesPerSecond,
            Self::Requests => Unit::PerSecond,
            Self::Cpu => Unit::Cores,
            Self::HandlerIdle | Self::NetworkIdle => Unit::Ratio,
            Self::Heap => Unit::Bytes,
        }
    }

    /// Which direction is the better one. `None` for the load, which clients decide on.
    pub const fn better(self) -> Option<Better> {
        match self {
            Self::ProduceTime | Self::FetchTime | Self::Cpu | Self::Heap => Some(Better::Lower),
            Self::BytesIn | Self::BytesOut | Self::HandlerIdle | Self::NetworkIdle => {
                Some(Better::Higher)
            }
            Self::Requests => None,
        }
    }

    /// Whether what the load explains is taken off. Of throughput it would be everything.
    pub const fn depends_on_load(self) -> bool {
        !matches!(self, Self::BytesIn | Self::BytesOut | Self::Requests)
    }

    pub(super) const fn total(self) -> Total {
        match self {
            Self::ProduceTime | Self::FetchTime | Self::HandlerIdle => Total::Weighted,
            Self::BytesIn | Self::BytesOut | Self::Requests | Self::Cpu | Self::Heap => Total::Sum,
            Self::NetworkIdle => Total::Mean,
        }
    }

    /// One series for each broker of the cluster, with the label `broker_id` only. Series that the
    /// rules of `prometheus/rules/recording.yml` record, else those of the JMX exporter: the two
    /// counters of a mean have to be of the same instants.
    pub fn expression(self, cluster: &ClusterName) -> ObjectiveExpression<String> {
        let labels = format!("kafka_cluster={},broker_id!=\"\"", quoted(cluster.as_str()));
        let by_broker = |aggregate: &str, name: &str, more: &str| {
            format!("{aggregate} by (broker_id) ({name}{{{labels}{more}}})")
        };
        let sum = |name: &str, more: &str| by_broker("sum", name, more);
        let time = |name: &str| ObjectiveExpression::Mean {
            sum: format!("{} / 1000", sum(&format!("kafka:{name}:milliseconds_sum"), "")),
            count: sum(&format!("kafka:{name}:requests_count"), ""),
        };
        let traffic = |name: &str| {
            let name = format!("kafka_server_brokertopicmetrics_{name}_total");
            ObjectiveExpression::Rate(sum(&name, ",topic=\"\""))
        };

        match self {
            Self::ProduceTime => time("produce_time"),
            Self::FetchTime => time("fetch_time"),
            Self::BytesIn => traffic("bytesin"),
            Self::BytesOut => traffic("bytesout"),
            Self::Requests => ObjectiveExpression::Rate(sum(
                "kafka_network_requestmetrics_totaltimems_count_total",
                ",request=~\"Produce|FetchConsumer\"",
            )),
            Self::Cpu => ObjectiveExpression::Rate(format!(
                "{} or {}",
                by_broker("max", "kafka_broker_container_cpu_seconds_total", ""),
                by_broker("max", "process_cpu_seconds_total", ""),
            )),
            Self::HandlerIdle => ObjectiveExpression::Mean {
                sum: sum("kafka:request_handler_idle:seconds_sum", ""),
                count: sum("kafka:request_handler_time:seconds_sum", ""),
            },
            Self::NetworkIdle => ObjectiveExpression::Gauge(by_broker(
                "min",
                "kafka_network_socketserver_networkprocessoravgidle_percent",
                "",
            )),
            Self::Heap => {
                ObjectiveExpression::Gauge(sum("jvm_memory_used_bytes", ",area=\"heap\""))
            }
        }
    }
}
