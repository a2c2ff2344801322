//! Identifiers. Raw numbers and strings are converted where they enter the program.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The `node.id` of a broker; never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "i32", try_from = "i32")]
pub struct BrokerId(i32);

impl BrokerId {
    /// `None` for a negative number: Kafka reports -1 for "no broker".
    pub fn from_wire(raw: i32) -> Option<Self> {
        (raw >= 0).then_some(Self(raw))
    }

    /// The id as the protocol encodes it.
    pub const fn to_wire(self) -> i32 {
        self.0
    }

    /// Parses a label or an argument. Only the canonical form is accepted: not ` 1`, `+1` or `01`.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.parse().ok().and_then(Self::from_wire)?;
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<BrokerId> for i32 {
    fn from(id: BrokerId) -> Self {
        id.0
    }
}

impl TryFrom<i32> for BrokerId {
    type Error = NegativeId;

    fn try_from(raw: i32) -> Result<Self, Self::Error> {
        Self::from_wire(raw).ok_or(NegativeId)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a broker's id is not negative")]
pub struct NegativeId;

macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }
    };
}

name! {
    /// The name of a cluster in the configuration: the value of the label `kafka_cluster`.
    ClusterName
}
name! {
    TopicName
}
name! {
    /// Id of a consumer group. Kafka allows any text, also spaces and Unicode.
    GroupName
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: TopicName,
    pub partition: i32,
}

/// A run of the remediation pipeline: its row id in the store, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_of_a_broker_id_is_accepted() {
        assert_eq!(BrokerId::parse("1"), BrokerId::from_wire(1));
        for text in ["-1", "+1", "01", " 1", "1 ", "", "1e0", "99999999999", "1\"} or vector(1)"] {
            assert_eq!(BrokerId::parse(text), None, "{text:?}");
        }
    }
}
