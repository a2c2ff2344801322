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
        /// The answer could not be decoded, or the versions do not meet.
        Protocol = "protocol",
        /// The connection could not be encrypted, or the broker not be trusted.
        Tls = "tls",
        /// The broker does not accept our credentials, or there are none to show.
        Authentication = "authentication",
        /// The broker still owes an answer of an earlier round, so it was not asked again.
        Busy = "busy",
        /// The partition has no leader to ask.
        Leaderless = "leaderless",
        /// The broker asked is not the leader.
        NotLeader = "not_leader",
        /// No leader, or it is coming up.
        Unavailable = "unavailable",
        /// Topic, partition or group unknown there.
        Unknown = "unknown",
        /// Not authorised.
        Unauthorized = "unauthorized",
        /// The broker does not coordinate the group, or is still loading it.
        NotCoordinator = "not_coordinator",
        /// There is no room to remember what it is computed from.
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
