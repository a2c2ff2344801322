//! What a cluster can hold and what it costs, as far as the configuration says it.

use serde::{Deserialize, Serialize};

/// Limits that no broker reports.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrokerCapacity {
    /// Bytes per second that a broker can send, and as many that it can receive.
    pub network_per_broker: Option<f64>,
    /// Replicas of partitions that one broker is to have at most.
    pub partitions_per_broker: f64,
}

/// Replicas that Kafka's documentation calls safe for one broker.
pub const PARTITIONS_PER_BROKER_DEFAULT: f64 = 4000.0;

impl Default for BrokerCapacity {
    fn default() -> Self {
        Self { network_per_broker: None, partitions_per_broker: PARTITIONS_PER_BROKER_DEFAULT }
    }
}

/// What is paid for a cluster. What has no price is left out of every sum.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Such as `EUR`; only shown.
    pub currency: String,
    /// One broker for one hour.
    pub broker_hour: Option<f64>,
    /// One gigabyte (10⁹ bytes) of disk for a month.
    pub disk_gb_month: Option<f64>,
    /// One gigabyte (10⁹ bytes) from or to clients.
    pub network_gb: Option<f64>,
}
