//! Counts requests sent and failed, by API.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{Api, ReadFailure, RequestCount};

#[derive(Debug)]
pub(super) struct RequestCounters(Vec<ApiCounters>);

#[derive(Debug)]
struct ApiCounters {
    api: Api,
    sent: AtomicU64,
    failed: Vec<(ReadFailure, AtomicU64)>,
}

impl RequestCounters {
    pub(super) fn new() -> Self {
        let counters = |api: &Api| ApiCounters {
            api: *api,
            sent: AtomicU64::new(0),
            failed: ReadFailure::OF_REQUEST.iter().map(|it| (*it, AtomicU64::new(0))).collect(),
        };
        Self(Api::ALL.iter().map(counters).collect())
    }

    pub(super) fn record_sent(&self, api: Api) {
        for counters in self.0.iter().filter(|it| it.api == api) {
            counters.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn record_failed(&self, api: Api, failure: ReadFailure) {
        for counters in self.0.iter().filter(|it| it.api == api) {
            for (_, count) in counters.failed.iter().filter(|(it, _)| *it == failure) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn snapshot(&self) -> Vec<RequestCount> {
        let load = |it: &AtomicU64| it.load(Ordering::Relaxed);
        let count = |it: &ApiCounters| RequestCount {
            api: it.api,
            sent: load(&it.sent),
            failed: it.failed.iter().map(|(failure, count)| (*failure, load(count))).collect(),
        };

        self.0.iter().map(count).collect()
    }
}
