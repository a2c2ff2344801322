//! The file as written: every key optional, no meaning checked.
//!
//! Unknown keys are refused, and so are duplicates, in the free map `match` too: YAML libraries
//! keep the last of two equal keys without a word. No type of this file leaves `config`.
//!
//! A key's doc comment becomes its row of `docs/config.md` (`documentation`): what it means, then a
//! paragraph `Default: …`.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) clusters: Option<Vec<RawCluster>>,
    pub(super) remediation: Option<RawRemediation>,
}

/// One entry of `clusters`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCluster {
    /// The value of the label `kafka_cluster`. Letters, digits, `-`, `_`, `.`; at most 64. Unique.
    ///
    /// Default: `main`, when there is one cluster
    pub(super) name: Option<String>,
    /// `host:port` of brokers to ask first. The others are found through them.
    ///
    /// Default: required
    pub(super) bootstrap_servers: Option<Vec<String>>,
    /// From the start of one collection round to the start of the next. At least `1s`.
    ///
    /// Default: `15s`
    pub(super) collect_interval: Option<Scalar>,
    /// Deadline of one request to one broker. Less than `collect_interval`.
    ///
    /// Default: `5s`, or two thirds of `collect_interval` if that is less
    pub(super) request_timeout: Option<Scalar>,
    pub(super) docker: Option<RawDocker>,
    pub(super) prometheus: Option<RawPrometheus>,
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) probe: Option<RawProbe>,
    /// The operator that owns the brokers' configuration (`strimzi`, …) and would undo a change.
    /// Then this program only advises.
    ///
    /// Default: none
    pub(super) managed_by: Option<String>,
    pub(super) topics: Option<RawTopics>,
    pub(super) groups: Option<RawGroups>,
    pub(super) export: Option<RawExport>,
    pub(super) security: Option<RawSecurity>,
}

/// `security` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecurity {
    pub(super) tls: Option<RawTls>,
    pub(super) sasl: Option<RawSasl>,
}

/// `security.tls`. Present and empty it means: as the system trusts.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    /// PEM file with the CAs that a broker's certificate must lead to. Without `tls` connections
    /// are plain text; `tls: {}` trusts what the system trusts.
    ///
    /// Default: the CAs that the system trusts
    pub(super) ca_file: Option<PathBuf>,
    /// PEM file with a certificate of our own, then those between it and its CA, for brokers that
    /// want one (`ssl.client.auth`).
    ///
    /// Default: none
    pub(super) cert_file: Option<PathBuf>,
    /// PEM file with its key, not encrypted.
    ///
    /// Default: required with `cert_file`
    pub(super) key_file: Option<PathBuf>,
    /// The name that every broker's certificate must carry. Needed where brokers advertise
    /// addresses that their certificates do not name.
    ///
    /// Default: the host that is connected to
    pub(super) server_name: Option<String>,
}

/// `security.sasl`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSasl {
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`.
    ///
    /// Default: required with `sasl`
    pub(super) mechanism: Option<String>,
    /// The user.
    ///
    /// Default: required but for `OAUTHBEARER`
    pub(super) username: Option<String>,
    /// File with the password, in one line.
    ///
    /// Default: required but for `OAUTHBEARER`
    pub(super) password_file: Option<PathBuf>,
    /// File with the token, one word. Something beside this process writes a new one before it
    /// ends.
    ///
    /// Default: required for `OAUTHBEARER`
    pub(super) token_file: Option<PathBuf>,
}

/// `topics` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTopics {
    /// Regular expressions; only topics whose whole name one of them matches are collected. None
    /// means all. Filters apply before offsets are fetched.
    ///
    /// Default: `[]`
    pub(super) include: Option<Vec<String>>,
    /// Topics that one of these matches are not collected.
    ///
    /// Default: `[]`
    pub(super) exclude: Option<Vec<String>>,
}

/// `groups` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroups {
    /// Regular expressions; only groups whose whole name one of them matches are collected. None
    /// means all. Filters apply before members and offsets are fetched.
    ///
    /// Default: `[]`
    pub(super) include: Option<Vec<String>>,
    /// Groups that one of these matches are not collected.
    ///
    /// Default: `[]`
    pub(super) exclude: Option<Vec<String>>,
    /// Only groups in one of these states are collected; the brokers select them. None means all.
    /// Some of `stable`, `empty`, `preparing_rebalance`, `completing_rebalance`, `assigning`,
    /// `reconciling`, `not_ready`, `dead`.
    ///
    /// Default: `[]`
    pub(super) states: Option<Vec<String>>,
}

/// `export` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawExport {
    /// `partition`: a series for each partition. `topic`: the sums of each topic alone; the shipped
    /// rules and guards for replication then have nothing to read.
    ///
    /// Default: `partition`
    pub(super) topics: Option<String>,
    /// `partition`: offset and lag of each partition. `topic`: the sums of each topic alone.
    ///
    /// Default: `partition`
    pub(super) groups: Option<String>,
    /// Whether lag is followed in time too. Takes up to 64 MiB for 200,000 partitions.
    ///
    /// Default: `true`
    pub(super) lag_seconds: Option<bool>,
    /// Most series of the cluster on one page. Beyond it whole families are left out, those of
    /// single partitions first, and `kafka_optimizer_series_dropped` says how many series that
    /// were.
    ///
    /// Default: `5000000`
    pub(super) series_max: Option<u64>,
}

/// A key that is there without a value means its defaults, and not that it is not there.
fn present_or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer).map(|it| Some(it.unwrap_or_default()))
}

/// `docker` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawDocker {
    /// Socket of the Docker engine that runs the brokers. Without `docker` no container is read;
    /// `docker: {}` takes the default. Brokers are found by the labels `kafka-optimizer.role:
    /// broker`, `kafka-optimizer.cluster` and `kafka-optimizer.broker-id`, consumers by
    /// `kafka-optimizer.role: consumer`, `kafka-optimizer.cluster` and `kafka-optimizer.group`.
    ///
    /// Default: `/var/run/docker.sock`
    pub(super) socket: Option<PathBuf>,
}

/// `prometheus` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrometheus {
    /// Base URL of the Prometheus that scrapes the brokers and this process. Needed as soon as
    /// there is a playbook, or the mode is `act`: alerts are confirmed and effects are measured
    /// there.
    ///
    /// Default: required with `prometheus`
    pub(super) url: Option<String>,
    /// Its scrape and evaluation interval: how far apart two samples are.
    ///
    /// Default: `15s`
    pub(super) scrape_interval: Option<Scalar>,
    /// Deadline of one query.
    ///
    /// Default: `5s`
    pub(super) timeout: Option<Scalar>,
}

/// `probe` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawProbe {
    /// The topic of the end-to-end probe, see below. A topic of its own: what is in it is written
    /// over by retention. In this version a cluster with `security` cannot be probed.
    ///
    /// Default: `_kafka_optimizer_probe`
    pub(super) topic: Option<String>,
    /// From one record to the next, by broker. At least `1s`. A broker that owes an answer gets no
    /// second record.
    ///
    /// Default: `5s`
    pub(super) interval: Option<Scalar>,
    /// When a record that has not come back counts as failed. `1s` to `1m`.
    ///
    /// Default: `10s`
    pub(super) timeout: Option<Scalar>,
    /// Replicas of the topic when it is created, `1` to `16`. Left out, and with fewer than 3
    /// brokers, it is created when they have been all for two minutes.
    ///
    /// Default: the smaller of 3 and the number of brokers
    pub(super) replication_factor: Option<u32>,
    /// Size of a record's value, `16` to `100000`.
    ///
    /// Default: `100`
    pub(super) record_bytes: Option<u32>,
}

/// `remediation`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawRemediation {
    /// `observe`: count what would match. `rehearse`: plan, and let the brokers validate the plan.
    /// `act`: carry plans out.
    ///
    /// Default: `rehearse`
    pub(super) mode: Option<String>,
    /// File with the token that whoever changes state must send as `Authorization: Bearer …`. One
    /// word of at least 16 bytes, as `openssl rand -hex 32` makes it; blanks around it are dropped.
    /// Required in mode `act`, unless there are `client_sans`. Without either the webhook and every
    /// other order over HTTP is answered with 403.
    ///
    /// Default: none
    pub(super) token_file: Option<PathBuf>,
    /// Names of client certificates whose holders may change state without the token: hosts, mail
    /// addresses, IPs or URIs, each exactly as it stands among the certificate's subject
    /// alternative names. Needs a web configuration that verifies clients.
    ///
    /// Default: `[]`
    pub(super) client_sans: Option<Vec<String>>,
    /// Directory of the store, its lock and the pause file. One process per directory.
    ///
    /// Default: `/var/lib/kafka-optimizer`
    pub(super) state_dir: Option<PathBuf>,
    /// Runs that wrote anything, in an hour, by cluster. A rollback belongs to its run.
    ///
    /// Default: `4`
    pub(super) runs_per_hour_max: Option<u32>,
    /// The same in a day.
    ///
    /// Default: `12`
    pub(super) runs_per_day_max: Option<u32>,
    /// How long an undo of network threads waits between two halvings: each closes the connections
    /// of the threads it removes.
    ///
    /// Default: `30s`
    pub(super) shrink_pause: Option<Scalar>,
    pub(super) playbooks: Option<Vec<RawPlaybook>>,
}

/// One entry of `remediation.playbooks`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlaybook {
    /// Unique; the same characters as a cluster's name.
    ///
    /// Default: required
    pub(super) name: Option<String>,
    /// Labels that the alert must carry with exactly these values; must hold `alertname`.
    ///
    /// Default: required
    #[serde(rename = "match")]
    pub(super) matches: Option<RawMatch>,
    /// Expression that must return a series before a run starts, besides the alert itself.
    ///
    /// Default: none
    pub(super) when: Option<String>,
    pub(super) optimizer: Option<RawOptimizer>,
    pub(super) objective: Option<RawObjective>,
    /// The load that the objective depends on; returns one series. A verdict that the load alone
    /// explains is `inconclusive`, and so is an improvement on next to no load.
    ///
    /// Default: required
    pub(super) load: Option<String>,
    /// Expressions where higher is worse. Two samples in a row above the baseline's maximum undo
    /// the change at once.
    ///
    /// Default: `[]`
    pub(super) guards: Option<Vec<String>>,
    /// Longest range of the recording rules behind the objective: how long an old sample stays in
    /// it.
    ///
    /// Default: `5m`
    pub(super) window: Option<Scalar>,
    /// Length of the baseline, which ends with the first write. Holds at least 6 scrapes.
    ///
    /// Default: `5m`
    pub(super) baseline: Option<Scalar>,
    /// Wait after the last write. At least `window` and two scrapes.
    ///
    /// Default: `6m`
    pub(super) settle: Option<Scalar>,
    /// Length of the observation. Holds at least 6 scrapes.
    ///
    /// Default: `5m`
    pub(super) observe: Option<Scalar>,
    /// Rest after the end of a run, by playbook and target; doubled after a rollback. At most
    /// `24h`.
    ///
    /// Default: `1h`
    pub(super) cooldown: Option<Scalar>,
    /// Runs per episode of the alert, `1` to `10`. The next one starts after the cooldown while the
    /// alert still fires.
    ///
    /// Default: `1`
    pub(super) max_attempts: Option<u32>,
    /// Whether a change that made no difference is kept.
    ///
    /// Default: `false`
    pub(super) keep_neutral: Option<bool>,
    /// Whether a person must approve each run, within 30 minutes.
    ///
    /// Default: `false`
    pub(super) approve: Option<bool>,
    /// For `shed_load` and `scale_consumers`: what they did is lifted so long after it came into
    /// force. At most `24h`.
    ///
    /// Default: `30m` for `shed_load`, `2h` for `scale_consumers`
    pub(super) expire_after: Option<Scalar>,
    /// For the same two: what they did is lifted as soon as this expression returns a series.
    ///
    /// Default: none
    pub(super) expire_when: Option<String>,
}

/// `optimizer` of a playbook: exactly one key.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawOptimizer {
    pub(super) tune_brokers: Option<RawTuneBrokers>,
    /// `{}`: walk up again what this program wrote and a broker lost at its restart.
    ///
    /// Default: none
    pub(super) reapply: Option<RawNothing>,
    /// `{}`: give partitions back to their preferred leaders.
    ///
    /// Default: none
    pub(super) elect_leaders: Option<RawNothing>,
    pub(super) shed_load: Option<RawShedLoad>,
    pub(super) scale_consumers: Option<RawScaleConsumers>,
}

/// An optimizer without parameters, written `{}`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawNothing {}

/// `optimizer.tune_brokers`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTuneBrokers {
    /// `conservative` (12 network and 12 I/O threads), `moderate` (16, 16) or `aggressive` (32,
    /// 32). Never lowers a value.
    ///
    /// Default: required
    pub(super) level: Option<String>,
    /// What to do above twice the value that the broker starts with, which it would not survive a
    /// restart with. `cap`: stop there and say so. `reapply`: go on, where the broker has no
    /// dynamic key but ours; a playbook with the optimizer `reapply` has to be there. `restart` is
    /// not in this version.
    ///
    /// Default: `cap`
    pub(super) above_static: Option<String>,
    /// How a change of several brokers is spread. `together`: all at once, step by step. `canary`:
    /// one broker first, which is `$broker_id` in all expressions; the others when it is judged
    /// worth keeping.
    ///
    /// Default: `together`
    pub(super) rollout: Option<String>,
}

/// `optimizer.shed_load`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawShedLoad {
    pub(super) clients: Option<Vec<RawShed>>,
}

/// One entry of `optimizer.shed_load.clients`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawShed {
    /// The client's id. With `user` too, the quota is for that client of that user.
    ///
    /// Default: required without `user`
    pub(super) client_id: Option<String>,
    /// The user, as authenticated: all of its clients.
    ///
    /// Default: required without `client_id`
    pub(super) user: Option<String>,
    /// What it is left with, in bytes a second and broker; at least `1MiB`: below that, batches
    /// outlive `delivery.timeout.ms` and are lost.
    ///
    /// Default: required without `consumer_byte_rate`
    pub(super) producer_byte_rate: Option<Scalar>,
    /// The same for what it fetches. One of the two.
    ///
    /// Default: required without `producer_byte_rate`
    pub(super) consumer_byte_rate: Option<Scalar>,
    /// What it moves without a quota, in bytes a second and broker. The quota goes down from there,
    /// halving at each step.
    ///
    /// Default: required
    pub(super) usual: Option<Scalar>,
    /// What it may be although a quota may hurt it: `connect`, `mirrormaker`, `streams`,
    /// `transactional`.
    ///
    /// Default: `[]`
    pub(super) even_if: Option<Vec<String>>,
}

/// `optimizer.scale_consumers`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawScaleConsumers {
    /// `by_lag`: twice as many containers above a lag of 100,000 records, half as many more above
    /// 50,000. `double`: twice as many.
    ///
    /// Default: `by_lag`
    pub(super) factor: Option<String>,
    /// Most containers of one group, `2` to `100`. There are never more than partitions with lag.
    ///
    /// Default: required
    pub(super) containers_max: Option<u32>,
}

/// `objective` of a playbook.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawObjective {
    /// What shall get better; returns one series.
    ///
    /// Default: required
    pub(super) query: Option<String>,
    /// `lower` or `higher`.
    ///
    /// Default: required
    pub(super) better: Option<String>,
    /// Least relative improvement of the median for a change to be kept, `1%` to `100%`.
    ///
    /// Default: `20%`
    pub(super) at_least: Option<Scalar>,
}

/// A duration or a percentage as written. A bare number is taken as text too, so that the check can
/// say which unit is missing instead of "invalid type".
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;

        impl Visitor<'_> for AnyScalar {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its unit, as 5m or 20%")
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

/// `match` of a playbook: label to value.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
pub(super) struct RawMatch(pub(super) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for RawMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;

        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = RawMatch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels with their values, as {alertname: A}")
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
