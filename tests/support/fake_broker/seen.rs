//! The requests received by all brokers of a cluster, in order.

use std::sync::{Mutex, MutexGuard};

use kafka_protocol::messages::ApiKey;

#[derive(Clone, Debug)]
pub(crate) struct SeenRequest {
    /// The broker, and its number of starts, that received it.
    pub(super) start: u64,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    /// The change, if the request asks for one.
    pub(crate) change: Option<SeenChange>,
}

/// The change that a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SeenChange {
    Config(SeenConfigChange),
    Quota(SeenQuotaChange),
    Leaders(SeenElection),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenConfigChange {
    pub(crate) validate_only: bool,
    pub(crate) changes: Vec<(String, i8, Option<String>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenQuotaChange {
    pub(crate) validate_only: bool,
    /// Type and name of each part.
    pub(crate) entity: Vec<(String, Option<String>)>,
    pub(crate) key: String,
    /// `None` removes the quota.
    pub(crate) value: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenElection {
    /// 0 is the preferred replica.
    pub(crate) kind: i8,
    /// Topic and partition; `None` means all partitions of the cluster.
    pub(crate) partitions: Option<Vec<(String, i32)>>,
    pub(crate) timeout_ms: i32,
}

/// Grows until it is taken: a test with many requests must take them from time to time.
#[derive(Debug, Default)]
pub(super) struct RequestLog(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    seen: Vec<SeenRequest>,
    starts: u64,
}

impl RequestLog {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap()
    }

    /// A number for each start of a broker.
    pub(super) fn start(&self) -> u64 {
        let mut lines = self.lock();
        lines.starts += 1;
        lines.starts
    }

    pub(super) fn push(&self, seen: SeenRequest) {
        self.lock().seen.push(seen);
    }

    pub(super) fn of(&self, start: u64, api: ApiKey) -> Vec<SeenRequest> {
        let of = |it: &&SeenRequest| it.start == start && it.api == api;
        self.lock().seen.iter().filter(of).cloned().collect()
    }

    pub(super) fn take(&self) -> Vec<SeenRequest> {
        std::mem::take(&mut self.lock().seen)
    }
}
