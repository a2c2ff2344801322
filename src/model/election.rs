//! Elections of preferred leaders (KIP-460).

use super::closed_list;

closed_list! {
    /// Why a partition's preferred replica was not elected.
    pub enum ElectionFailure {
        /// It is already the leader.
        NotNeeded = "not_needed",
        /// It is not in sync, or not up.
        NotAvailable = "not_available",
        Unknown = "unknown",
        Unauthorized = "unauthorized",
        Other = "other",
    }
}
