//! The file as written: every key optional, no meaning checked.
//!
//! Unknown keys are refused, and so are duplicates, in the free map `match` too: YAML libraries
//! keep the last of two equal keys without a word. No type of this file leaves `config`.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) clusters: Option<Vec<RawCluster>>,
    pub(super) remediation: Option<RawRemediation>,
}

/// One entry of `clusters`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCluster {
    pub(super) name: Option<String>,
    pub(super) bootstrap_servers: Option<Vec<String>>,
    pub(super) collect_interval: Option<Scalar>,
    pub(super) request_timeout: Option<Scalar>,
    pub(super) docker: Option<RawDocker>,
    pub(super) prometheus: Option<RawPrometheus>,
    pub(super) managed_by: Option<String>,
    pub(super) topics: Option<RawTopics>,
    pub(super) groups: Option<RawGroups>,
    pub(super) export: Option<RawExport>,
}

/// `topics` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTopics {
    pub(super) include: Option<Vec<String>>,
    pub(super) exclude: Option<Vec<String>>,
}

/// `groups` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroups {
    pub(super) include: Option<Vec<String>>,
    pub(super) exclude: Option<Vec<String>>,
    pub(super) states: Option<Vec<String>>,
}

/// `export` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawExport {
    pub(super) topics: Option<String>,
    pub(super) groups: Option<String>,
    pub(super) lag_seconds: Option<bool>,
    pub(super) series_max: Option<u64>,
}

/// `docker` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawDocker {
    pub(super) socket: Option<PathBuf>,
}

/// `prometheus` of a cluster.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrometheus {
    pub(super) url: Option<String>,
    pub(super) scrape_interval: Option<Scalar>,
    pub(super) timeout: Option<Scalar>,
}

/// `remediation`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawRemediation {
    pub(super) mode: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) runs_per_hour_max: Option<u32>,
    pub(super) runs_per_day_max: Option<u32>,
    pub(super) shrink_pause: Option<Scalar>,
    pub(super) playbooks: Option<Vec<RawPlaybook>>,
}

/// One entry of `remediation.playbooks`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlaybook {
    pub(super) name: Option<String>,
    #[serde(rename = "match")]
    pub(super) matches: Option<RawMatch>,
    pub(super) when: Option<String>,
    pub(super) optimizer: Option<RawOptimizer>,
    pub(super) objective: Option<RawObjective>,
    pub(super) load: Option<String>,
    pub(super) guards: Option<Vec<String>>,
    pub(super) window: Option<Scalar>,
    pub(super) baseline: Option<Scalar>,
    pub(super) settle: Option<Scalar>,
    pub(super) observe: Option<Scalar>,
    pub(super) cooldown: Option<Scalar>,
    pub(super) max_attempts: Option<u32>,
    pub(super) keep_neutral: Option<bool>,
    pub(super) approve: Option<bool>,
}

/// `optimizer` of a playbook: exactly one key.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawOptimizer {
    pub(super) tune_brokers: Option<RawTuneBrokers>,
}

/// `optimizer.tune_brokers`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTuneBrokers {
    pub(super) level: Option<String>,
    pub(super) above_static: Option<String>,
    pub(super) rollout: Option<String>,
}

/// `objective` of a playbook.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawObjective {
    pub(super) query: Option<String>,
    pub(super) better: Option<String>,
    pub(super) at_least: Option<Scalar>,
}

/// A duration or a percentage as written. A bare number is taken as text too, so that the check can
/// say which unit is missing instead of "invalid type".
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize))]
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
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct RawMatch(pub(super) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for RawMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Labels;

        impl<'de> Visitor<'de> for Labels {
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

        deserializer.deserialize_map(Labels)
    }
}

#[cfg(test)]
mod tests {
    use serde_yaml::Value;

    use super::*;

    const REFERENCE: &str = include_str!("../../config/reference.yaml");
    const DOCS: &str = include_str!("../../docs/config.md");

    /// The path of every leaf, `[]` for a list's entries. A key that the file leaves out is null.
    fn leaves(value: &Value, at: &str, found: &mut Vec<(String, bool)>) {
        match value {
            // Free labels, not keys of ours.
            Value::Mapping(_) if at.rsplit('.').next() == Some("match") => {
                found.push((at.to_owned(), true));
            }
            Value::Mapping(map) => {
                for (key, value) in map {
                    let dot = if at.is_empty() { "" } else { "." };
                    leaves(value, &format!("{at}{dot}{}", key.as_str().unwrap()), found);
                }
            }
            Value::Sequence(list) if list.is_empty() => found.push((format!("{at}[]"), true)),
            Value::Sequence(list) => {
                for value in list {
                    leaves(value, &format!("{at}[]"), found);
                }
            }
            Value::Null => found.push((at.to_owned(), false)),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => {
                found.push((at.to_owned(), true));
            }
        }
    }

    #[test]
    fn every_key_is_in_the_reference_file_and_in_the_documentation() {
        let raw: RawConfig = serde_yaml::from_str(REFERENCE).unwrap();
        let mut found = Vec::new();
        leaves(&serde_yaml::to_value(raw).unwrap(), "", &mut found);
        assert!(30 < found.len(), "{found:?}");
        for (path, present) in found {
            assert!(present, "config/reference.yaml leaves out {path}");
            assert!(
                DOCS.contains(&format!("| `{path}` |")),
                "docs/config.md has no row for {path}"
            );
        }
    }
}
