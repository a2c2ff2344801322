//! The configuration file: parsed into `raw`, checked by `check`, used as [`Config`].
//!
//! A [`Config`] has always been checked.

mod check;
#[cfg(test)]
mod documentation;
mod filter;
mod load;
mod raw;
pub mod web;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

pub use filter::NameFilter;
pub use load::{
    ConfigError, Loaded, SecretFile, SecretReader, TokenStamps, load, of_servers, parse,
};

pub use crate::security::Secret;

use crate::{
    model::{
        BrokerCapacity, ClusterName, Export, GroupState, Mode, Prices, Principal, Scope, Scopes,
        TopicName,
    },
    playbook::Playbook,
    security::{HttpOptions, Security},
};

/// A problem in the file, or a warning about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the value, such as `remediation.playbooks[0].objective.gauge`.
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
    /// At least one; their names are unique.
    pub clusters: Vec<ClusterConfig>,
    pub remediation: RemediationConfig,
}

impl Config {
    pub fn cluster_names(&self) -> Vec<ClusterName> {
        self.clusters.iter().map(|it| it.name.clone()).collect()
    }

    pub fn playbook_names(&self) -> Vec<String> {
        self.remediation.playbooks.iter().map(|it| it.name.clone()).collect()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClusterConfig {
    /// Value of the label `kafka_cluster`.
    pub name: ClusterName,
    /// Not empty; each `host:port`.
    pub bootstrap_servers: Vec<String>,
    /// From the start of one collection round to the start of the next.
    pub collect_interval: Duration,
    /// Timeout of one request to one broker; less than `collect_interval`.
    pub request_timeout: Duration,
    /// The Docker engine that runs the brokers.
    pub docker: Option<DockerConfig>,
    /// The Prometheus that scrapes this process and the brokers. Always present if there are
    /// playbooks or the mode is `act`.
    pub prometheus: Option<PrometheusConfig>,
    /// The end-to-end probe, which writes records to its own topic; off by default.
    pub probe: Option<ProbeConfig>,
    /// The operator that manages the brokers' configuration (`strimzi`, …). If set, no broker
    /// configuration is changed.
    pub managed_by: Option<String>,
    pub topics: NameFilter,
    pub groups: NameFilter,
    /// Only groups in these states are collected; empty means all.
    pub group_states: Vec<GroupState>,
    /// Level of detail of the exported metrics.
    pub export: Export,
    /// TLS and SASL of connections to the brokers.
    pub security: Security,
    /// Limits that no broker reports; for the report.
    pub capacity: BrokerCapacity,
    /// For the report; `None` leaves the costs out.
    pub prices: Option<Prices>,
}

impl ClusterConfig {
    /// A cluster with defaults only: it is collected, and never changed.
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
            capacity: BrokerCapacity::default(),
            prices: None,
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
    /// Prometheus's `scrape_interval` for the brokers, which is also its `evaluation_interval`.
    pub scrape_interval: Duration,
    pub timeout: Duration,
    pub http: HttpOptions,
}

impl PrometheusConfig {
    /// A Prometheus with defaults only, which needs no credentials.
    pub fn new(url: String) -> Self {
        Self {
            url,
            scrape_interval: check::SCRAPE_INTERVAL_DEFAULT,
            timeout: check::QUERY_TIMEOUT_DEFAULT,
            http: HttpOptions::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// Created if it does not exist.
    pub topic: TopicName,
    /// From one record to the next, per broker.
    pub interval: Duration,
    /// A record that has not been consumed by then counts as failed.
    pub timeout: Duration,
    /// `None`: the smaller of 3 and the number of brokers.
    pub replication_factor: Option<u32>,
    /// Size of a record's value in bytes.
    pub record_bytes: u32,
}

/// Who may change state over HTTP. Names are unique, and so are tokens and SANs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessConfig {
    pub tokens: Vec<TokenGrant>,
    pub clients: Vec<ClientGrant>,
}

/// A token, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    pub name: Principal,
    pub scopes: Scopes,
    /// Where the token was read from.
    pub file: PathBuf,
    pub token: Secret,
}

/// A client certificate, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientGrant {
    /// One of the certificate's subject alternative names.
    pub san: String,
    /// The SAN unless another name is configured.
    pub name: Principal,
    pub scopes: Scopes,
}

impl AccessConfig {
    /// Whether nobody may change state.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.clients.is_empty()
    }

    pub fn grants(&self, scope: Scope) -> bool {
        let tokens = self.tokens.iter().map(|it| &it.scopes);
        tokens.chain(self.clients.iter().map(|it| &it.scopes)).any(|it| it.contains(&scope))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct RemediationConfig {
    pub mode: Mode,
    /// Who may change state over HTTP. Not empty in mode `act`.
    pub access: AccessConfig,
    /// Directory of the store, its lock and the pause file.
    pub state_dir: PathBuf,
    /// Maximum runs per hour and cluster that write anything.
    pub runs_per_hour_max: u32,
    /// Maximum runs per day and cluster that write anything.
    pub runs_per_day_max: u32,
    /// Pause between two halvings when network threads are reduced.
    pub shrink_pause: Duration,
    pub playbooks: Vec<Playbook>,
}

impl RemediationConfig {
    /// Names of playbooks by the alert that they answer: of several for one alert, the first.
    pub fn playbooks_by_alert(&self) -> BTreeMap<String, String> {
        let by_alert = self.playbooks.iter().rev().filter_map(|it| {
            let alert = it.matcher.labels.get("alertname")?;
            Some((alert.clone(), it.name.clone()))
        });

        by_alert.collect()
    }
}
