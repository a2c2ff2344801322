//! The file as parsed: every key optional, no value checked.
//!
//! Unknown and duplicate keys are rejected, also in the map `match`, of which the YAML library
//! would silently keep the last. These types are private to `config`.
//!
//! The doc comment of a key becomes its row in `docs/config.md` (see `documentation`): first what
//! it means, then a paragraph `Default: …`.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) clusters: Option<Vec<RawCluster>>,
    pub(super) remediation: Option<RawRemediation>,
}

impl RawConfig {
    /// Makes relative paths relative to `dir`, the directory of the file.
    pub(super) fn resolve_paths(&mut self, dir: &Path) {
        let mut paths: Vec<&mut PathBuf> = Vec::new();
        for cluster in self.clusters.iter_mut().flatten() {
            paths.extend(cluster.docker.iter_mut().flat_map(|it| &mut it.socket));
            if let Some(prometheus) = &mut cluster.prometheus {
                paths.extend(prometheus.paths());
            }

            let Some(security) = &mut cluster.security else { continue };
            if let Some(tls) = &mut security.tls {
                paths.extend(
                    [&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file].into_iter().flatten(),
                );
            }

            if let Some(sasl) = &mut security.sasl {
                paths.extend([&mut sasl.password_file, &mut sasl.token_file].into_iter().flatten());
            }
        }

        if let Some(remediation) = &mut self.remediation {
            paths.extend(
                [&mut remediation.token_file, &mut remediation.state_dir].into_iter().flatten(),
            );
            let tokens = remediation.tokens.iter_mut().flatten();
            paths.extend(tokens.filter_map(|it| it.token_file.as_mut()));
        }

        // An empty path stays empty: the check refuses it.
        for path in paths.into_iter().filter(|it| !it.as_os_str().is_empty()) {
            *path = dir.join(&path);
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCluster {
    /// Name of the cluster, used as the label `kafka_cluster`. Up to 64 letters, digits, `-`, `_`
    /// or `.`; unique.
    ///
    /// Default: `main`, if there is only one cluster
    pub(super) name: Option<String>,
    /// Bootstrap servers, each `host:port`. The other brokers are discovered through them.
    ///
    /// Default: required
    pub(super) bootstrap_servers: Option<Vec<String>>,
    /// From the start of one collection round to the start of the next. At least `1s`.
    ///
    /// Default: `15s`
    pub(super) collect_interval: Option<Scalar>,
    /// Timeout of one request to one broker. Less than `collect_interval`.
    ///
    /// Default: `5s`, or two thirds of `collect_interval` if that is less
    pub(super) request_timeout: Option<Scalar>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) docker: Option<RawDocker>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) prometheus: Option<RawPrometheus>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) probe: Option<RawProbe>,
    /// Operator that manages the brokers' configuration and would revert a change, such as
    /// `strimzi`. If set, kafka-optimizer does not change broker configuration.
    ///
    /// Default: none
    pub(super) managed_by: Option<String>,
    pub(super) topics: Option<RawTopics>,
    pub(super) groups: Option<RawGroups>,
    pub(super) export: Option<RawExport>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) security: Option<RawSecurity>,
    pub(super) capacity: Option<RawCapacity>,
    pub(super) prices: Option<RawPrices>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCapacity {
    /// Bytes per second that a broker can send, and as many that it can receive, such as `1250MB`
    /// for 10 Gbit/s. The report says when 80 % of it are reached.
    ///
    /// Default: none; the report has no date for the network
    pub(super) network_per_broker: Option<Scalar>,
    /// Replicas of partitions that one broker is to have at most. The report says when that is
    /// reached.
    ///
    /// Default: `4000`
    pub(super) partitions_per_broker: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrices {
    /// Currency of the prices, such as `EUR`. It is only shown.
    ///
    /// Default: required with `prices`
    pub(super) currency: Option<String>,
    /// Price of one broker for one hour.
    ///
    /// Default: none; brokers are not part of the cost
    pub(super) broker_hour: Option<f64>,
    /// Price of one gigabyte (10⁹ bytes) of disk for one month.
    ///
    /// Default: none; disks are not part of the cost
    pub(super) disk_gb_month: Option<f64>,
    /// Price of one gigabyte (10⁹ bytes) from or to clients.
    ///
    /// Default: none; the network is not part of the cost
    pub(super) network_gb: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecurity {
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) tls: Option<RawTls>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) sasl: Option<RawSasl>,
}

/// An empty `tls` verifies brokers against the system's CA certificates.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    /// PEM file with the CA certificates that brokers' certificates are verified against. Without
    /// `tls`, connections are plain text; `tls: {}`, or `tls:` with nothing after it, uses the
    /// system's CA certificates.
    ///
    /// Default: the system's CA certificates
    pub(super) ca_file: Option<PathBuf>,
    /// PEM file with the client certificate followed by its intermediate certificates, for brokers
    /// that request one (`ssl.client.auth`).
    ///
    /// Default: none
    pub(super) cert_file: Option<PathBuf>,
    /// PEM file with the private key of the client certificate, unencrypted.
    ///
    /// Default: required with `cert_file`
    pub(super) key_file: Option<PathBuf>,
    /// Name that every broker's certificate must have. Needed if brokers advertise addresses that
    /// their certificates do not contain.
    ///
    /// Default: the host of the connection
    pub(super) server_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSasl {
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`.
    ///
    /// Default: required with `sasl`
    pub(super) mechanism: Option<String>,
    /// User name.
    ///
    /// Default: required, except for `OAUTHBEARER`
    pub(super) username: Option<String>,
    /// File with the password on one line.
    ///
    /// Default: required, except for `OAUTHBEARER`
    pub(super) password_file: Option<PathBuf>,
    /// File with the token, one word. Another process must replace it before the token expires.
    ///
    /// Default: required for `OAUTHBEARER`
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTopics {
    /// Regular expressions, fully anchored. Only topics that match one of them are collected; an
    /// empty list means all. The filter applies before offsets are fetched.
    ///
    /// Default: `[]`
    pub(super) include: Option<Vec<String>>,
    /// Topics that match one of these are not collected.
    ///
    /// Default: `[]`
    pub(super) exclude: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroups {
    /// Regular expressions, fully anchored. Only groups that match one of them are collected; an
    /// empty list means all. The filter applies before members and offsets are fetched.
    ///
    /// Default: `[]`
    pub(super) include: Option<Vec<String>>,
    /// Groups that match one of these are not collected.
    ///
    /// Default: `[]`
    pub(super) exclude: Option<Vec<String>>,
    /// Only groups in one of these states are collected; the brokers filter them. An empty list
    /// means all. Possible states: `stable`, `empty`, `preparing_rebalance`,
    /// `completing_rebalance`, `assigning`, `reconciling`, `not_ready`, `dead`.
    ///
    /// Default: `[]`
    pub(super) states: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawExport {
    /// `partition`: one series per partition. `topic`: only sums per topic; the shipped rules and
    /// guards about replication then have no data.
    ///
    /// Default: `partition`
    pub(super) topics: Option<String>,
    /// `partition`: offset and lag of each partition. `topic`: only sums per topic.
    ///
    /// Default: `partition`
    pub(super) groups: Option<String>,
    /// Whether to export lag in seconds too. Needs up to 64 MiB of memory for 200,000 partitions.
    ///
    /// Default: `true`
    pub(super) lag_seconds: Option<bool>,
    /// Maximum number of exported series of the cluster. Above it, whole metric families are
    /// omitted, first those per partition; `kafka_optimizer_series_dropped` counts the omitted
    /// series.
    ///
    /// Default: `5000000`
    pub(super) series_max: Option<u64>,
}

/// Reads a section with nothing after its key, such as `tls:`, as if it were `{}`: whoever comments
/// out all keys of a section does not mean to switch it off.
pub(super) fn present_or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer).map(|it| Some(it.unwrap_or_default()))
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawDocker {
    /// Socket of the Docker engine that runs the brokers. Without `docker`, containers are not
    /// read; `docker: {}`, or `docker:` with nothing after it, uses the default socket. Brokers are
    /// found by the labels `kafka-optimizer.role: broker`, `kafka-optimizer.cluster` and
    /// `kafka-optimizer.broker-id`, consumers by `kafka-optimizer.role: consumer`,
    /// `kafka-optimizer.cluster` and `kafka-optimizer.group`.
    ///
    /// Default: `/var/run/docker.sock`
    pub(super) socket: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrometheus {
    /// Base URL of the Prometheus that scrapes the brokers and kafka-optimizer. Required if there
    /// are playbooks or the mode is `act`, because alerts are confirmed and effects are measured
    /// there.
    ///
    /// Default: required with `prometheus`
    pub(super) url: Option<String>,
    /// Prometheus's scrape and evaluation interval.
    ///
    /// Default: `15s`
    pub(super) scrape_interval: Option<Scalar>,
    /// Timeout of one query.
    ///
    /// Default: `5s`
    pub(super) timeout: Option<Scalar>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) authorization: Option<RawAuthorization>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) basic_auth: Option<RawBasicAuth>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) tls_config: Option<RawPrometheusTls>,
    /// Headers sent with each query, such as `X-Scope-OrgID` for a tenant of Mimir. Put no secret
    /// here: use `authorization` or `basic_auth`.
    ///
    /// Default: none
    pub(super) headers: Option<BTreeMap<String, Scalar>>,
    /// URL of an HTTP proxy for the queries. `HTTP_PROXY` and `HTTPS_PROXY` of the environment are
    /// not used.
    ///
    /// Default: none
    pub(super) proxy_url: Option<String>,
}

impl RawPrometheus {
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let token = self.authorization.iter_mut().map(|it| &mut it.credentials_file);
        let password = self.basic_auth.iter_mut().map(|it| &mut it.password_file);
        let tls = self.tls_config.iter_mut();
        let tls = tls.flat_map(|it| [&mut it.ca_file, &mut it.cert_file, &mut it.key_file]);

        token.chain(password).chain(tls).flatten()
    }
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthorization {
    /// Scheme of the header `Authorization`.
    ///
    /// Default: `Bearer`
    #[serde(rename = "type")]
    pub(super) scheme: Option<String>,
    /// File with the token, one word. It is read again when it changes.
    ///
    /// Default: required with `authorization`
    pub(super) credentials_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawBasicAuth {
    /// User name.
    ///
    /// Default: required with `basic_auth`
    pub(super) username: Option<String>,
    /// File with the password on one line. It is read again when it changes.
    ///
    /// Default: required with `basic_auth`
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrometheusTls {
    /// PEM file with the CA certificates that the server's certificate is verified against.
    ///
    /// Default: the system's CA certificates
    pub(super) ca_file: Option<PathBuf>,
    /// PEM file with the client certificate followed by its intermediate certificates.
    ///
    /// Default: none
    pub(super) cert_file: Option<PathBuf>,
    /// PEM file with the private key of the client certificate, unencrypted.
    ///
    /// Default: required with `cert_file`
    pub(super) key_file: Option<PathBuf>,
    /// Name that the server's certificate must have. Cannot be used together with `proxy_url`.
    ///
    /// Default: the host of `url`
    pub(super) server_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawProbe {
    /// Topic of the end-to-end probe (see below). Use no topic of your own: short retention deletes
    /// its records. Connects with `security`; `tls.server_name` and OAUTHBEARER are not supported.
    ///
    /// Default: `_kafka_optimizer_probe`
    pub(super) topic: Option<String>,
    /// From one record to the next, per broker. At least `1s`. No record is sent while the previous
    /// one is still in flight.
    ///
    /// Default: `5s`
    pub(super) interval: Option<Scalar>,
    /// A record that has not been consumed within this time counts as failed. `1s` to `1m`.
    ///
    /// Default: `10s`
    pub(super) timeout: Option<Scalar>,
    /// Replication factor of the topic when it is created, `1` to `16`. If omitted on a cluster
    /// with fewer than 3 brokers, the topic is created after the number of brokers was stable for
    /// two minutes.
    ///
    /// Default: the smaller of 3 and the number of brokers
    pub(super) replication_factor: Option<u32>,
    /// Size of a record's value in bytes, `16` to `100000`.
    ///
    /// Default: `100`
    pub(super) record_bytes: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawRemediation {
    /// `observe`: only count the alerts that match. `rehearse`: plan, and let the brokers validate
    /// the plan (a dry run). `act`: carry out plans.
    ///
    /// Default: `rehearse`
    pub(super) mode: Option<String>,
    /// File with the token that requests must send as `Authorization: Bearer …` to change state.
    /// One word of at least 16 bytes; make one with `openssl rand -hex 32`. Surrounding whitespace
    /// is ignored. The simple form of `tokens`: its name is `token`, and it has all scopes. Mode
    /// `act` requires a token or a client certificate. Without any, the webhook and every other
    /// request that changes state gets 403.
    ///
    /// Default: none
    pub(super) token_file: Option<PathBuf>,
    /// Tokens with a name and scopes, such as one for Alertmanager and one for each operator.
    ///
    /// Default: `[]`
    pub(super) tokens: Option<Vec<RawToken>>,
    /// Subject alternative names of client certificates that may change state without a token: DNS
    /// names, mail addresses, IPs or URIs, each exactly as in the certificate. The simple form of
    /// `clients`: all scopes. Requires a web configuration that verifies clients.
    ///
    /// Default: `[]`
    pub(super) client_sans: Option<Vec<String>>,
    /// Client certificates with scopes. Requires a web configuration that verifies clients.
    ///
    /// Default: `[]`
    pub(super) clients: Option<Vec<RawClient>>,
    /// Directory of the state store, its lock and the pause file. Only one process can use it.
    ///
    /// Default: `/var/lib/kafka-optimizer`
    pub(super) state_dir: Option<PathBuf>,
    /// Maximum runs per hour and cluster that write anything. A rollback counts as part of its run.
    ///
    /// Default: `4`
    pub(super) runs_per_hour_max: Option<u32>,
    /// Maximum runs per day and cluster that write anything.
    ///
    /// Default: `12`
    pub(super) runs_per_day_max: Option<u32>,
    /// Pause between two halvings when network threads are reduced: each halving closes the
    /// connections of the removed threads.
    ///
    /// Default: `30s`
    pub(super) shrink_pause: Option<Scalar>,
    pub(super) playbooks: Option<Vec<RawPlaybook>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawToken {
    /// Who uses the token; the same characters as in a cluster's name, unique. The journal and the
    /// log say who did what by this name.
    ///
    /// Default: required
    pub(super) name: Option<String>,
    /// File with the token, as `token_file` above. No two tokens may be equal.
    ///
    /// Default: required
    pub(super) token_file: Option<PathBuf>,
    /// What the token allows. `alerts`: deliver alerts to the webhook. `operate`: start, cancel,
    /// retry and roll back runs, pause, resume, release, acknowledge, reload the configuration.
    /// `approve`: approve and reject plans.
    ///
    /// Default: required
    pub(super) scopes: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawClient {
    /// A subject alternative name of the certificate, exactly as in it; unique.
    ///
    /// Default: required
    pub(super) san: Option<String>,
    /// Who has the certificate, as for a token.
    ///
    /// Default: the value of `san`
    pub(super) name: Option<String>,
    /// What the certificate allows, as for a token.
    ///
    /// Default: required
    pub(super) scopes: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlaybook {
    /// Name of the playbook; the same characters as in a cluster's name, unique.
    ///
    /// Default: required
    pub(super) name: Option<String>,
    /// Labels that the alert must have, with exactly these values. Must contain `alertname`.
    ///
    /// Default: required
    #[serde(rename = "match")]
    pub(super) matches: Option<RawMatch>,
    /// PromQL expression that confirms the alert if its ruler writes no `ALERTS` series to this
    /// Prometheus (Mimir, Thanos, Grafana, VictoriaMetrics): the expression of the alerting rule,
    /// with `$kafka_cluster` as the only variable. A series with the target's `broker_id` or
    /// `consumergroup` confirms the alert.
    ///
    /// Default: none, the alert must be firing in `ALERTS`
    pub(super) confirm: Option<String>,
    /// PromQL expression that must return a series before a run starts, in addition to the alert.
    ///
    /// Default: none
    pub(super) when: Option<String>,
    pub(super) optimizer: Option<RawOptimizer>,
    pub(super) objective: Option<RawObjective>,
    /// PromQL expression for the load that the objective depends on, a value of the moment; must
    /// return one series. What the load explains of a difference is taken off. If almost no load
    /// came before the change, the verdict is `inconclusive`.
    ///
    /// Default: `count` of the objective's `mean`; required for other objectives
    pub(super) load: Option<String>,
    /// PromQL expressions that count what is wrong, such as partitions under their minimum. Any
    /// rise above the last value before the write rolls the change back at once. Count with `sum`:
    /// the `max` of values that are 0 or 1 cannot rise while one is 1 already.
    ///
    /// Default: `[]`
    pub(super) guards: Option<Vec<String>>,
    /// Guards on values that swing by themselves, such as latencies.
    ///
    /// Default: `[]`
    pub(super) soft_guards: Option<Vec<RawSoftGuard>>,
    /// Longest range of the recording rules behind the objective: how long it contains old samples.
    ///
    /// Default: `0s` if the objective is a `mean` or a `rate`, which are computed from counters;
    /// else `5m`
    pub(super) window: Option<Scalar>,
    /// Length of the baseline, which ends at the first write. At least two bins and six scrapes.
    ///
    /// Default: `5m`
    pub(super) baseline: Option<Scalar>,
    /// Wait between the last write and the observation. At least `window` plus two scrapes.
    ///
    /// Default: `window` and one bin, which is a fifth of `observe`: `1m` or `6m`
    pub(super) settle: Option<Scalar>,
    /// Length of the observation. It is compared in five parts (bins), each of which needs two
    /// scrapes. A huge effect is decided after two of them, a doubtful one after ten.
    ///
    /// Default: `5m`
    pub(super) observe: Option<Scalar>,
    /// How much of the past the change is compared with: how much the objective changes by itself.
    /// At most 10,100 bins, a week of minutes; what Prometheus no longer has is left out.
    ///
    /// Default: `1d`, or 10,100 bins if that is less
    pub(super) history: Option<Scalar>,
    /// Minimum time between the end of a run and the start of the next, per playbook and target.
    /// Doubles after a rollback. At most `24h`.
    ///
    /// Default: `1h`
    pub(super) cooldown: Option<Scalar>,
    /// Maximum runs per episode of the alert, `1` to `10`. The next one starts after the cooldown,
    /// if the alert still fires.
    ///
    /// Default: `1`
    pub(super) max_attempts: Option<u32>,
    /// Whether to keep a change whose verdict is `neutral`.
    ///
    /// Default: `false`
    pub(super) keep_neutral: Option<bool>,
    /// Whether each run needs a person's approval, within 30 minutes.
    ///
    /// Default: `false`
    pub(super) approve: Option<bool>,
    /// Only for `shed_load` and `scale_consumers`: the change expires this long after it took
    /// effect. At most `24h`.
    ///
    /// Default: `30m` for `shed_load`, `2h` for `scale_consumers`
    pub(super) expire_after: Option<Scalar>,
    /// Only for `shed_load` and `scale_consumers`: PromQL expression; the change expires as soon as
    /// it returns a series.
    ///
    /// Default: none
    pub(super) expire_when: Option<String>,
    /// PromQL expression that has a series if the change reached what it is for, such as a client
    /// that was throttled. Without a series, an improvement is not its doing, and the run is
    /// `inconclusive`. Asked at each look.
    ///
    /// Default: none
    pub(super) reached_when: Option<String>,
}

/// Exactly one key must be present.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawOptimizer {
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) tune_brokers: Option<RawTuneBrokers>,
    /// `{}`: apply kept changes again that a broker lost when it restarted.
    ///
    /// Default: none
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) reapply: Option<RawNothing>,
    /// `{}`: move leadership back to preferred leaders that are in sync.
    ///
    /// Default: none
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) elect_leaders: Option<RawNothing>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) shed_load: Option<RawShedLoad>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) scale_consumers: Option<RawScaleConsumers>,
}

/// An optimizer without parameters, written `{}`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawNothing {}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTuneBrokers {
    /// `conservative` (12 network and 12 I/O threads), `moderate` (16 and 16) or `aggressive` (32
    /// and 32). Never lowers a value.
    ///
    /// Default: required
    pub(super) level: Option<String>,
    /// What to do above twice the value that the broker starts with, because a restart drops such
    /// values. `cap`: stop at twice the value. `reapply`: continue, if all dynamic configs of the
    /// broker are ours; requires a playbook with the optimizer `reapply`. `restart` is not
    /// supported in this version.
    ///
    /// Default: `cap`
    pub(super) above_static: Option<String>,
    /// How a change is rolled out to several brokers. `together`: all at once, step by step.
    /// `canary`: first one broker, which is `$broker_id` in all expressions; the others if its
    /// change is kept.
    ///
    /// Default: `together`
    pub(super) rollout: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawShedLoad {
    pub(super) clients: Option<Vec<RawShed>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawShed {
    /// Client id. Together with `user`, the quota is for that client of that user.
    ///
    /// Default: required without `user`
    pub(super) client_id: Option<String>,
    /// Authenticated user; alone, the quota is for all its clients.
    ///
    /// Default: required without `client_id`
    pub(super) user: Option<String>,
    /// Rate to throttle to, in bytes per second and broker. At least `1MiB`: at lower rates,
    /// batches exceed `delivery.timeout.ms` and are lost.
    ///
    /// Default: required without `consumer_byte_rate`
    pub(super) producer_byte_rate: Option<Scalar>,
    /// The same for consumers. Set exactly one of the two.
    ///
    /// Default: required without `producer_byte_rate`
    pub(super) consumer_byte_rate: Option<Scalar>,
    /// Rate without a quota, in bytes per second and broker. The quota starts there and is halved
    /// at each step.
    ///
    /// Default: required
    pub(super) usual: Option<Scalar>,
    /// Kinds of client to throttle although a quota can harm them: `connect`, `mirrormaker`,
    /// `streams`, `transactional`.
    ///
    /// Default: `[]`
    pub(super) even_if: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawScaleConsumers {
    /// `by_lag`: 2 times the containers above a lag of 100,000 records, 1.5 times above 50,000.
    /// `double`: 2 times.
    ///
    /// Default: `by_lag`
    pub(super) factor: Option<String>,
    /// Maximum containers of the group, `2` to `100`. There are never more than partitions with
    /// lag.
    ///
    /// Default: required
    pub(super) containers_max: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawObjective {
    /// The mean of what two counters count, such as the time of a request.
    ///
    /// Default: one of `mean`, `rate`, `gauge` and `lag` is required
    pub(super) mean: Option<RawMean>,
    /// A counter, whose increase should change. Without `rate()`, which is applied to it.
    ///
    /// Default: none
    pub(super) rate: Option<String>,
    /// A value of the moment that should change; must return one series. For a recorded mean or
    /// rate give its `window`.
    ///
    /// Default: none
    pub(super) gauge: Option<String>,
    /// A number of things to go, such as records or partitions, which is 0 when all is well; must
    /// return one series.
    ///
    /// Default: none
    pub(super) lag: Option<String>,
    /// Whether `lower` or `higher` values are better.
    ///
    /// Default: required
    pub(super) better: Option<String>,
    /// Minimum relative improvement to keep a change, `1%` to `95%`.
    ///
    /// Default: `20%`
    pub(super) at_least: Option<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawMean {
    /// Counter of the total, such as milliseconds.
    ///
    /// Default: required
    pub(super) sum: Option<String>,
    /// Counter of the number, such as requests.
    ///
    /// Default: required
    pub(super) count: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSoftGuard {
    /// PromQL expression for a value of the moment of which higher is worse; must return one
    /// series.
    ///
    /// Default: required
    pub(super) query: Option<String>,
    /// The change is rolled back if the value rose by at least this share, and by more than it ever
    /// does by itself.
    ///
    /// Default: `50%`
    pub(super) rises_by: Option<Scalar>,
    /// The change is also rolled back if the mean of a bin is above this.
    ///
    /// Default: none
    pub(super) at_most: Option<f64>,
    /// Without an hour of history nobody can tell how much the value changes by itself: `hold` the
    /// run, or `warn` in its plan and guard it by `at_most` alone.
    ///
    /// Default: `warn`
    pub(super) without_history: Option<String>,
}

/// A duration, rate or percentage. Accepts a bare number too, so that the check can ask for a unit
/// instead of reporting "invalid type".
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;

        impl Visitor<'_> for AnyScalar {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with a unit, such as 5m or 20%")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
        }

        deserializer.deserialize_any(AnyScalar)
    }
}

/// Label values by label name.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct RawMatch(pub(super) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for RawMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;

        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = RawMatch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels with their values, such as {alertname: A}")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<RawMatch, M::Error> {
                let mut labels = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if labels.contains_key(&name) {
                        return Err(de::Error::custom(format!(
                            "duplicate entry with key `{name}`"
                        )));
                    }

                    labels.insert(name, value);
                }

                Ok(RawMatch(labels))
            }
        }

        deserializer.deserialize_map(LabelsVisitor)
    }
}
