//! What a step changes: one variant of [`Change`] for each kind.
//!
//! The JSON form is part of two contracts, the state file and the API: fields are added, never
//! renamed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BrokerId, QuotaEntity, QuotaKey, TopicName, closed_list};

/// One change, with what was there before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    BrokerConfig(BrokerConfigChange),
    RemoveBrokerConfig(BrokerConfigRemoval),
    ClientQuota(ClientQuotaChange),
    PreferredLeaders(PreferredLeaderElection),
    ConsumerClone(ConsumerClone),
}

/// Sets one key of one broker's dynamic configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerConfigChange {
    pub broker: BrokerId,
    pub key: String,
    /// The effective value before the change.
    pub from: String,
    /// The broker's own dynamic entry before the change; `None` if it had none.
    pub from_stored: Option<String>,
    pub to: String,
}

/// Deletes several keys of one broker's dynamic configuration in one request. A broker that does
/// not run one of its entries refuses every change that leaves the entry there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerConfigRemoval {
    pub broker: BrokerId,
    pub keys: Vec<RemovedKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedKey {
    pub key: String,
    /// The effective value before the change.
    pub from: String,
    /// The entry that is deleted.
    pub from_stored: String,
}

/// Sets one quota of one client or user.
///
/// Rates are bytes per second and broker. Kafka accepts whole ones only (`QuotaConfig` declares
/// them as LONG), and JSON keeps 15 digits exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientQuotaChange {
    pub entity: QuotaEntity,
    #[serde(with = "closed_list::as_label")]
    pub key: QuotaKey,
    /// The rate before the change; `None` if there was no quota.
    pub from: Option<f64>,
    pub to: f64,
}

/// Elects the preferred leaders of a batch of partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferredLeaderElection {
    /// Number of the batch in its plan, from 1.
    pub batch: u32,
    pub partitions: Vec<LeaderChange>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderChange {
    pub topic: TopicName,
    pub partition: i32,
    /// The leader before the election.
    pub from: Option<BrokerId>,
    pub to: BrokerId,
}

/// Starts a copy of a consumer's container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerClone {
    /// Id of the container that is copied.
    pub template: String,
    pub name: String,
}

/// What a change writes, as one key: for bookkeeping of who wrote it last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ResourceKey {
    BrokerConfig {
        broker: BrokerId,
        key: String,
    },
    ClientQuota {
        entity: QuotaEntity,
        #[serde(with = "closed_list::as_label")]
        key: QuotaKey,
    },
    Container {
        name: String,
    },
}

/// What a change leaves in its resources. A value is compared as text, as the broker reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    Value(String),
    /// The entry was deleted.
    Removed,
}

/// A change in words, for people and scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeText {
    /// `broker 1`, `client greedy`, `container orders-2`, …
    pub subject: String,
    pub key: String,
    pub from: String,
    pub from_stored: Option<String>,
    /// `None` deletes the entry.
    pub to: Option<String>,
}

impl Change {
    /// The broker whose configuration is changed.
    pub const fn broker(&self) -> Option<BrokerId> {
        match self {
            Self::BrokerConfig(it) => Some(it.broker),
            Self::RemoveBrokerConfig(it) => Some(it.broker),
            Self::ClientQuota(_) | Self::PreferredLeaders(_) | Self::ConsumerClone(_) => None,
        }
    }

    /// The resources that the change writes. The leader of a partition is none: brokers change it
    /// by themselves.
    pub fn resources(&self) -> Vec<ResourceKey> {
        match self {
            Self::BrokerConfig(it) => {
                vec![ResourceKey::BrokerConfig { broker: it.broker, key: it.key.clone() }]
            }
            Self::RemoveBrokerConfig(BrokerConfigRemoval { broker, keys }) => keys
                .iter()
                .map(|it| ResourceKey::BrokerConfig { broker: *broker, key: it.key.clone() })
                .collect(),
            Self::ClientQuota(it) => {
                vec![ResourceKey::ClientQuota { entity: it.entity.clone(), key: it.key }]
            }
            Self::PreferredLeaders(_) => Vec::new(),
            Self::ConsumerClone(it) => vec![ResourceKey::Container { name: it.name.clone() }],
        }
    }

    /// What the change leaves in each of its resources, where someone else could overwrite it.
    pub fn written(&self) -> Option<Written> {
        match self {
            Self::BrokerConfig(it) => Some(Written::Value(it.to.clone())),
            Self::RemoveBrokerConfig(_) => Some(Written::Removed),
            Self::ClientQuota(it) => Some(Written::Value(it.to.to_string())),
            Self::PreferredLeaders(_) | Self::ConsumerClone(_) => None,
        }
    }

    /// Whether the prior state comes back when the run is undone. It does not where the change is
    /// what the cluster is meant to be: a preferred leader, or a deleted entry that the broker did
    /// not run.
    pub const fn is_restored_on_undo(&self) -> bool {
        match self {
            Self::BrokerConfig(_) | Self::ClientQuota(_) | Self::ConsumerClone(_) => true,
            Self::RemoveBrokerConfig(_) | Self::PreferredLeaders(_) => false,
        }
    }

    pub fn text(&self) -> ChangeText {
        match self {
            Self::BrokerConfig(it) => ChangeText {
                subject: format!("broker {}", it.broker),
                key: it.key.clone(),
                from: it.from.clone(),
                from_stored: it.from_stored.clone(),
                to: Some(it.to.clone()),
            },
            Self::RemoveBrokerConfig(it) => ChangeText {
                subject: format!("broker-keys {}", it.broker),
                key: joined(&it.keys, |it| it.key.clone()),
                from: joined(&it.keys, |it| it.from.clone()),
                from_stored: Some(joined(&it.keys, |it| it.from_stored.clone())),
                to: None,
            },
            Self::ClientQuota(it) => ChangeText {
                subject: it.entity.to_string(),
                key: it.key.to_string(),
                from: it.from.map_or("no quota".to_owned(), |it| it.to_string()),
                from_stored: it.from.map(|it| it.to_string()),
                to: Some(it.to.to_string()),
            },
            Self::PreferredLeaders(it) => ChangeText {
                subject: "leaders".to_owned(),
                key: format!("batch {}", it.batch),
                from: joined(&it.partitions, |it| it.led_by(it.from)),
                from_stored: None,
                to: Some(joined(&it.partitions, |it| it.led_by(Some(it.to)))),
            },
            Self::ConsumerClone(it) => ChangeText {
                subject: format!("container {}", it.name),
                key: it.template.clone(),
                from: "absent".to_owned(),
                from_stored: None,
                to: Some("running".to_owned()),
            },
        }
    }
}

fn joined<T>(parts: &[T], text: impl Fn(&T) -> String) -> String {
    parts.iter().map(text).collect::<Vec<_>>().join(" ")
}

impl LeaderChange {
    /// `orders/0=1`, or `orders/0=-` without a leader.
    fn led_by(&self, leader: Option<BrokerId>) -> String {
        let leader = leader.map_or("-".to_owned(), |it| it.to_string());
        format!("{}/{}={leader}", self.topic, self.partition)
    }
}

/// A stored value, or the lack of one.
fn stored(value: Option<&String>) -> &str {
    value.map_or("no entry of its own", String::as_str)
}

impl ChangeText {
    /// The value that an undo brings back.
    pub fn prior(&self) -> &str {
        stored(self.from_stored.as_ref())
    }

    /// The change backwards: `broker 1 num.io.threads 16 → no entry of its own`.
    pub fn undo(&self) -> String {
        let Self { subject, key, to, .. } = self;
        format!("{subject} {key} {} → {}", stored(to.as_ref()), self.prior())
    }
}

/// `broker 1 num.io.threads 8 → 16`.
impl fmt::Display for ChangeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, key, from, to, .. } = self;
        write!(f, "{subject} {key} {from} → {}", stored(to.as_ref()))
    }
}

/// `num.io.threads of broker 1`.
impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrokerConfig { broker, key } => write!(f, "{key} of broker {broker}"),
            Self::ClientQuota { entity, key } => write!(f, "{key} of {entity}"),
            Self::Container { name } => write!(f, "container {name}"),
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.write_str(value),
            Self::Removed => f.write_str(stored(None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn broker(id: i32) -> BrokerId {
        BrokerId::from_wire(id).unwrap()
    }

    fn greedy() -> QuotaEntity {
        QuotaEntity { user: None, client_id: Some("greedy".to_owned()) }
    }

    /// One change of each kind, with its JSON and its words.
    fn all() -> Vec<(Change, Value, &'static str)> {
        let threads = |key: &str| RemovedKey {
            key: key.to_owned(),
            from: "4".to_owned(),
            from_stored: "16".to_owned(),
        };
        let led = |partition, from| LeaderChange {
            topic: TopicName::new("orders"),
            partition,
            from,
            to: broker(1),
        };

        vec![
            (
                Change::BrokerConfig(BrokerConfigChange {
                    broker: broker(1),
                    key: "num.io.threads".to_owned(),
                    from: "8".to_owned(),
                    from_stored: None,
                    to: "16".to_owned(),
                }),
                json!({"kind": "broker_config", "broker": 1, "key": "num.io.threads", "from": "8",
                    "from_stored": null, "to": "16"}),
                "broker 1 num.io.threads 8 → 16",
            ),
            (
                Change::RemoveBrokerConfig(BrokerConfigRemoval {
                    broker: broker(1),
                    keys: vec![threads("num.io.threads"), threads("num.network.threads")],
                }),
                json!({"kind": "remove_broker_config", "broker": 1, "keys": [
                    {"key": "num.io.threads", "from": "4", "from_stored": "16"},
                    {"key": "num.network.threads", "from": "4", "from_stored": "16"}]}),
                "broker-keys 1 num.io.threads num.network.threads 4 4 → no entry of its own",
            ),
            (
                Change::ClientQuota(ClientQuotaChange {
                    entity: greedy(),
                    key: QuotaKey::ProducerByteRate,
                    from: None,
                    to: 1_048_576.0,
                }),
                json!({"kind": "client_quota", "entity": {"client_id": "greedy"},
                    "key": "producer_byte_rate", "from": null, "to": 1_048_576.0}),
                "client greedy producer_byte_rate no quota → 1048576",
            ),
            (
                Change::PreferredLeaders(PreferredLeaderElection {
                    batch: 1,
                    partitions: vec![led(0, Some(broker(2))), led(1, None)],
                }),
                json!({"kind": "preferred_leaders", "batch": 1, "partitions": [
                    {"topic": "orders", "partition": 0, "from": 2, "to": 1},
                    {"topic": "orders", "partition": 1, "from": null, "to": 1}]}),
                "leaders batch 1 orders/0=2 orders/1=- → orders/0=1 orders/1=1",
            ),
            (
                Change::ConsumerClone(ConsumerClone {
                    template: "0123".to_owned(),
                    name: "worker-1-clone-7-1".to_owned(),
                }),
                json!({"kind": "consumer_clone", "template": "0123", "name": "worker-1-clone-7-1"}),
                "container worker-1-clone-7-1 0123 absent → running",
            ),
        ]
    }

    #[test]
    fn the_json_form_of_every_kind_is_a_contract() {
        for (change, json, text) in all() {
            assert_eq!(serde_json::to_value(&change).unwrap(), json);
            assert_eq!(serde_json::from_value::<Change>(json).unwrap(), change);
            assert_eq!(change.text().to_string(), text);
        }
    }

    #[test]
    fn the_json_form_of_a_resource_is_a_contract() {
        let json = |it: &Change| serde_json::to_string(&it.resources()).unwrap();
        let found: Vec<String> = all().iter().map(|it| json(&it.0)).collect();

        assert_eq!(
            found,
            [
                r#"[{"kind":"broker_config","broker":1,"key":"num.io.threads"}]"#,
                r#"[{"kind":"broker_config","broker":1,"key":"num.io.threads"},{"kind":"broker_config","broker":1,"key":"num.network.threads"}]"#,
                r#"[{"kind":"client_quota","entity":{"client_id":"greedy"},"key":"producer_byte_rate"}]"#,
                "[]",
                r#"[{"kind":"container","name":"worker-1-clone-7-1"}]"#,
            ]
        );
        for (change, ..) in all() {
            let json = serde_json::to_string(&change.resources()).unwrap();
            assert_eq!(
                serde_json::from_str::<Vec<ResourceKey>>(&json).unwrap(),
                change.resources()
            );
        }
    }

    #[test]
    fn i23_a_whole_rate_survives_the_way_into_the_store_and_back() {
        for rate in [2.0, 1_048_576.0, 999_999_999_999_998.0, 9_223_372_036_854_775_807.0] {
            let change = Change::ClientQuota(ClientQuotaChange {
                entity: greedy(),
                key: QuotaKey::ConsumerByteRate,
                from: Some(rate),
                to: rate / 2.0,
            });
            let json = serde_json::to_string(&change).unwrap();

            assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change);
        }
    }

    #[test]
    fn a_broker_that_cannot_be_is_not_read() {
        let json = json!({"kind": "broker_config", "broker": -1, "key": "k", "from": "1",
            "from_stored": null, "to": "2"});
        assert!(serde_json::from_value::<Change>(json).is_err());
    }
}
