//! Who asks for what: names of callers, and the scopes that allow them to change state.

use std::{collections::BTreeSet, fmt, sync::Arc};

use super::closed_list;

closed_list! {
    /// What a token or a client certificate allows.
    pub enum Scope {
        /// To deliver alerts to the webhook.
        Alerts = "alerts",
        /// To start, cancel, retry and roll back runs, to pause, resume, release and acknowledge.
        Operate = "operate",
        /// To approve and reject plans.
        Approve = "approve",
    }
}

/// The scopes of one token or client certificate.
pub type Scopes = BTreeSet<Scope>;

/// Who gave an order: the name of a token or of a client certificate, or a signal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
