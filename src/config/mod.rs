//! The configuration: as written (`raw`), checked (`check`), as meant ([`Config`]).
//!
//! Holding a [`Config`] proves that it was checked.

mod check;
#[cfg(test)]
mod documentation;
mod filter;
mod load;
mod raw;
pub mod web;

use std::{fmt, path::PathBuf, time::Duration};

pub use filter::NameFilter;
pub use load::{ConfigError, Loaded, SecretFile, SecretReader, load, of_servers, parse};

pub use crate::security::Secret;

use crate::{
    model::{ClusterName, Export, GroupState, Mode, TopicName},
    playbook::Playbook,
    security::Security,
};

/// One thing wrong with the file, addressed by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file: `remediation.playbooks[0].objective.query`.
    pub path: String,
    pub advice: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.advice)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// At least one; names are unique.
    pub clusters: Vec<ClusterConfig>,
    pub remediation: RemediationConfig,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClusterConfig {
    /// Its name: the value of the label `kafka_cluster`.
    pub name: ClusterName,
    /// At least one `host:port`.
    pub bootstrap_servers: Vec<String>,
    /// Start of one collection round to the start of the next.
    pub collect_interval: Duration,
    /// Deadline of one request to one broker; less than `collect_interval`.
    pub request_timeout: Duration,
    /// The Docker engine that runs the brokers, if any.
    pub docker: Option<DockerConfig>,
    /// The Prometheus that scrapes this process and the brokers; needed to remediate.
    pub prometheus: Option<PrometheusConfig>,
    /// The end-to-end probe, which writes records to a topic of its own; none without the key.
    pub probe: Option<ProbeConfig>,
    /// The operator that owns the brokers' configuration (`strimzi`, …): then this program advises
    /// only.
    pub managed_by: Option<String>,
    pub topics: NameFilter,
    pub groups: NameFilter,
    /// In which states groups are collected; empty for all.
    pub group_states: Vec<GroupState>,
    /// What is put on the page.
    pub export: Export,
    /// How connections to its brokers are secured.
    pub security: Security,
}

impl ClusterConfig {
    /// A cluster of which only this is said: it is collected, whole, and nothing more.
    pub fn new(name: ClusterName, bootstrap_servers: Vec<String>) -> Self {
        Self {
            name,
            bootstrap_servers,
            collect_interval: check::COLLECT_INTERVAL_DEFAULT,
            request_timeout: check::REQUEST_TIMEOUT_DEFAULT_MAX,
            docker: None,
            prometheus: None,
            probe: None,
            managed_by: None,
            topics: NameFilter::default(),
            groups: NameFilter::default(),
            group_states: Vec::new(),
            export: Export::DEFAULT,
            security: Security::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerConfig {
    pub socket: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusConfig {
    pub url: String,
    /// Its `scrape_interval` for the brokers; also its `evaluation_interval`.
    pub scrape_interval: Duration,
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// The topic it writes to; created when it is missing.
    pub topic: TopicName,
    /// Start of one record to the start of the next, by broker.
    pub interval: Duration,
    /// When a record that has not come back is given up.
    pub timeout: Duration,
    /// Replicas of the topic; the smaller of 3 and the number of brokers when left out.
    pub replication_factor: Option<u32>,
    /// Bytes of a record's value.
    pub record_bytes: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RemediationConfig {
    /// How far this process may go.
    pub mode: Mode,
    /// The token that whoever changes state must present.
    pub token: Option<Secret>,
    /// Names of client certificates that stand for the token. Not empty, or there is a token, in
    /// mode `act`.
    pub client_sans: Vec<String>,
    /// Holds the store, its lock and the pause file.
    pub state_dir: PathBuf,
    /// Runs that wrote anything, in an hour, by cluster.
    pub runs_per_hour_max: u32,
    /// Runs that wrote anything, in a day, by cluster.
    pub runs_per_day_max: u32,
    /// How long an undo of network threads waits between two halvings.
    pub shrink_pause: Duration,
    pub playbooks: Vec<Playbook>,
}
