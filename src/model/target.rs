//! What a run is about, and what its steps change. Both are stored and shown as text.

use std::fmt;

use super::{BrokerId, GroupName, QuotaEntity, closed_list};

/// What a run is about: `cluster`, `broker 1`, `group orders`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Cluster,
    Broker(BrokerId),
    Group(GroupName),
}

impl Target {
    /// The broker, where it is one.
    pub const fn broker(&self) -> Option<BrokerId> {
        match self {
            Self::Broker(id) => Some(*id),
            Self::Cluster | Self::Group(_) => None,
        }
    }

    /// The group, where it is one.
    pub const fn group(&self) -> Option<&GroupName> {
        match self {
            Self::Group(name) => Some(name),
            Self::Cluster | Self::Broker(_) => None,
        }
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "cluster" {
            return Some(Self::Cluster);
        }
        match text.split_once(' ')? {
            ("broker", id) => BrokerId::parse(id).map(Self::Broker),
            ("group", name) => Some(Self::Group(GroupName::new(name))),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}

/// What one step changes, as text: `broker 1`, `client greedy`, `container orders-2`, ….
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// One key of the dynamic configuration of one broker.
    Broker(BrokerId),
    /// Several keys of it at once, which no request could change one by one.
    BrokerKeys(BrokerId),
    /// A quota of one client or user.
    Quota(QuotaEntity),
    Leaders,
    Container(String),
}

impl Subject {
    /// The broker, where it is one.
    pub const fn broker(&self) -> Option<BrokerId> {
        match self {
            Self::Broker(id) | Self::BrokerKeys(id) => Some(*id),
            Self::Quota(_) | Self::Leaders | Self::Container(_) => None,
        }
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some(("broker", id)) => BrokerId::parse(id).map(Self::Broker),
            Some(("broker-keys", id)) => BrokerId::parse(id).map(Self::BrokerKeys),
            Some(("container", name)) => Some(Self::Container(name.to_owned())),
            Some(_) => QuotaEntity::parse(text).map(Self::Quota),
            None => (text == "leaders").then_some(Self::Leaders),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::BrokerKeys(id) => write!(f, "broker-keys {id}"),
            Self::Quota(entity) => write!(f, "{entity}"),
            Self::Leaders => f.write_str("leaders"),
            Self::Container(name) => write!(f, "container {name}"),
        }
    }
}

closed_list! {
    /// What becomes of a step when its run is undone.
    pub enum OnUndo {
        /// What was there before comes back, exactly.
        Restore = "restore",
        /// It stays: what it brought about is what the cluster is meant to be.
        Leave = "leave",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_written() {
        let broker = BrokerId::from_wire(1).unwrap();
        for target in [
            Target::Cluster,
            Target::Broker(broker),
            Target::Group(GroupName::new("a group of ours")),
            Target::Group(GroupName::new("")),
        ] {
            assert_eq!(Target::parse(&target.to_string()), Some(target));
        }
        for text in ["", "brokers", "broker", "broker 01", "topic t", "Cluster"] {
            assert_eq!(Target::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        let broker = BrokerId::from_wire(1).unwrap();
        let greedy = QuotaEntity { user: None, client_id: Some("greedy".to_owned()) };
        for subject in [
            Subject::Broker(broker),
            Subject::BrokerKeys(broker),
            Subject::Quota(greedy),
            Subject::Leaders,
            Subject::Container("orders-2".to_owned()),
        ] {
            assert_eq!(Subject::parse(&subject.to_string()), Some(subject));
        }
        for text in ["", "broker", "broker x", "cluster", "leaders of"] {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
    }
}
