//! What came in, in order, over all brokers of a cluster.

use std::sync::{Mutex, MutexGuard};

use kafka_protocol::messages::ApiKey;

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct SeenRequest {
    /// Which start of which broker saw it.
    pub(super) start: u64,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    /// Set for what would change something.
    pub(crate) change: Option<SeenChange>,
}

/// What a request would change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SeenChange {
    Config(SeenConfigChange),
    Quota(SeenQuotaChange),
    Leaders(SeenElection),
}

/// What a change of configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenConfigChange {
    pub(crate) validate_only: bool,
    pub(crate) changes: Vec<(String, i8, Option<String>)>,
}

/// What a change of a quota asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenQuotaChange {
    pub(crate) validate_only: bool,
    /// Kind and name of each part.
    pub(crate) entity: Vec<(String, Option<String>)>,
    pub(crate) key: String,
    /// `None` removes it.
    pub(crate) value: Option<f64>,
}

/// What an election asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenElection {
    /// 0: of the preferred replica.
    pub(crate) kind: i8,
    /// Topic and partition; `None` would be all of the cluster.
    pub(crate) partitions: Option<Vec<(String, i32)>>,
    pub(crate) timeout_ms: i32,
}

/// Grows until it is taken: who sends many requests takes them now and then.
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

    /// Tells the requests to one start of a broker from those to others.
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
