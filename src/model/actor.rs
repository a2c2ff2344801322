//! Which process may change a cluster (I43).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process that wants to act on a cluster, as other processes see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorIdentity {
    /// The id in its state file.
    pub installation: String,
    /// The name of the host or container that it runs on.
    pub host: String,
}

impl fmt::Display for ActorIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "installation {} on host {}", self.installation, self.host)
    }
}

/// The right to change a cluster: one process at a time has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActingLease {
    /// This process has the lease.
    Held,
    HeldBy(ActorIdentity),
    /// It is not known who has it, and why not.
    Unconfirmed(String),
}
