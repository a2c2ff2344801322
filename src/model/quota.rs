//! Client quotas (KIP-13, KIP-546).

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::closed_list;

/// Characters of a name that are percent-encoded as text, as Kafka's `Sanitizer` does: a client id
/// may be any text.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

closed_list! {
    /// What a quota limits, on each broker.
    pub enum QuotaKey {
        /// Bytes per second that a client may produce.
        ProducerByteRate = "producer_byte_rate",
        /// Bytes per second that a client may fetch.
        ConsumerByteRate = "consumer_byte_rate",
    }
}

/// The user, the client id, or both, that a quota applies to. At least one is given; never a
/// default entity. As text: `client greedy`, `user batch`, `user batch, client greedy`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuotaEntity {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

impl fmt::Display for QuotaEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("user", &self.user), ("client", &self.client_id)];
        let named = parts.into_iter().filter_map(|(kind, name)| Some((kind, name.as_ref()?)));

        for (place, (kind, name)) in named.enumerate() {
            let before = if place == 0 { "" } else { ", " };
            write!(f, "{before}{kind} {}", utf8_percent_encode(name, ENCODED))?;
        }

        Ok(())
    }
}

/// One quota that is set.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientQuota {
    pub entity: QuotaEntity,
    pub key: QuotaKey,
    /// Bytes per second and broker.
    pub value: f64,
}

/// The user or the client id that a quota applies to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaName {
    /// Every one without a quota of its own.
    Default,
    Named(String),
}

/// A quota whose user, client id, or both are the default. It is read, and never set.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultQuota {
    pub user: Option<QuotaName>,
    pub client_id: Option<QuotaName>,
    pub key: QuotaKey,
    /// Bytes per second and broker.
    pub value: f64,
}

/// The client quotas as one broker reports them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientQuotas {
    /// Those of named users and client ids.
    pub named: Vec<ClientQuota>,
    pub defaults: Vec<DefaultQuota>,
}

impl ClientQuotas {
    /// The value of one quota; `None` if it is not set.
    pub fn get(&self, entity: &QuotaEntity, key: QuotaKey) -> Option<f64> {
        let mut named = self.named.iter();
        named.find(|it| it.entity == *entity && it.key == key).map(|it| it.value)
    }
}

/// Sets a quota, or removes it (`AlterClientQuotas`, KIP-546).
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaChange {
    pub entity: QuotaEntity,
    pub key: QuotaKey,
    /// Bytes per second and broker to set, or `None` to remove the quota.
    pub value: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_shown_with_its_names_encoded() {
        for (user, client_id, text) in [
            (None, Some("greedy"), "client greedy"),
            (Some("batch"), None, "user batch"),
            (Some("batch"), Some("greedy-1.a_b"), "user batch, client greedy-1.a_b"),
            (Some("a, client b"), None, "user a%2C%20client%20b"),
            (None, Some("\u{1b}[31mä"), "client %1B%5B31m%C3%A4"),
            (None, Some(""), "client "),
        ] {
            let entity =
                QuotaEntity { user: user.map(Into::into), client_id: client_id.map(Into::into) };
            assert_eq!(entity.to_string(), text);
        }
    }
}
