//! Configuration of brokers and topics.

use super::{BrokerId, ReadFailure, closed_list};

closed_list! {
    /// Where an effective configuration value comes from.
    pub enum ConfigSource {
        Topic = "topic",
        /// Dynamic, of the named broker.
        DynamicBroker = "dynamic_broker",
        /// Dynamic, default of the cluster.
        DynamicDefault = "dynamic_default",
        Static = "static",
        Default = "default",
        /// One that this program does not know.
        Unknown = "unknown",
    }
}

/// One configuration key of one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub key: String,
    /// The effective value. `None` for a sensitive key, and for one that the broker does not know.
    pub effective: Option<String>,
    /// Where the broker says that the value comes from.
    pub source: ConfigSource,
    /// Whether it can only be changed by a restart.
    pub read_only: bool,
    /// Every place that sets the key, strongest first, as (source, value).
    pub synonyms: Vec<(ConfigSource, Option<String>)>,
}

impl ConfigEntry {
    /// The dynamic value of this broker, whether it is effective or not.
    pub fn stored(&self) -> Option<&str> {
        self.synonym(ConfigSource::DynamicBroker)
    }

    /// The value the broker starts with: its file's, else Kafka's default.
    pub fn at_start(&self) -> Option<&str> {
        self.synonym(ConfigSource::Static).or_else(|| self.synonym(ConfigSource::Default))
    }

    fn synonym(&self, source: ConfigSource) -> Option<&str> {
        let found = self.synonyms.iter().find(|(it, _)| *it == source);
        found.and_then(|(_, value)| value.as_deref())
    }
}

/// Configuration of one broker, for the keys that were asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// The broker that was asked.
    pub broker: BrokerId,
    pub entries: Vec<ConfigEntry>,
}

impl BrokerConfig {
    pub fn get(&self, key: &str) -> Option<&ConfigEntry> {
        self.entries.iter().find(|it| it.key == key)
    }
}

/// One change of dynamic configuration (`IncrementalAlterConfigs`, KIP-339).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    pub key: String,
    /// The value to set, or `None` to delete the broker's own entry.
    pub value: Option<String>,
}

/// Effective `min.insync.replicas` of one topic, or why it is not known.
pub type MinInsync = Result<u32, ReadFailure>;
