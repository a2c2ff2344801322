//! Why a value could not be read.

use super::closed_list;

closed_list! {
    /// Why a value could not be read.
    pub enum ReadFailure {
        /// No connection could be made, or it broke.
        Connection = "connection",
        /// No answer within the deadline.
        Timeout = "timeout",
        /// The broker answered with an error.
        Refused = "refused",
        /// The response could not be decoded, or there is no common version.
        Protocol = "protocol",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The broker refused our credentials, or we have none.
        Authentication = "authentication",
        /// An earlier request is still unanswered, so no other was sent.
        Busy = "busy",
        /// The partition has no leader.
        Leaderless = "leaderless",
        /// The broker is not the leader, or its leader epoch is behind.
        NotLeader = "not_leader",
        /// No leader yet, or it is starting.
        Unavailable = "unavailable",
        /// The broker does not know the topic, partition or group.
        Unknown = "unknown",
        Unauthorized = "unauthorized",
        /// The broker does not coordinate the group, or is still loading it.
        NotCoordinator = "not_coordinator",
        /// The history that it is computed from has no room left.
        Budget = "budget",
        /// A value it depends on is not known.
        Incomplete = "incomplete",
        Other = "other",
    }
}

impl ReadFailure {
    /// How a whole request can fail. The others concern one part of an answer, or what is computed
    /// from answers.
    pub const OF_REQUEST: &'static [Self] = &[
        Self::Connection,
        Self::Timeout,
        Self::Refused,
        Self::Protocol,
        Self::Tls,
        Self::Authentication,
    ];
}
