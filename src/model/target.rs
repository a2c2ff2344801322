//! What a run is about. Stored and shown as text: `cluster`, `broker 1`, `group orders`.

use std::fmt;

use super::{BrokerId, GroupName};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Cluster,
    Broker(BrokerId),
    Group(GroupName),
}

impl Target {
    pub const fn broker(&self) -> Option<BrokerId> {
        match self {
            Self::Broker(id) => Some(*id),
            Self::Cluster | Self::Group(_) => None,
        }
    }

    pub const fn group(&self) -> Option<&GroupName> {
        match self {
            Self::Group(name) => Some(name),
            Self::Cluster | Self::Broker(_) => None,
        }
    }

    /// Parses what `Display` writes.
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
}
