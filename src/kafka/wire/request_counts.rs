//! Requests sent and failed, by API.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{Api, ReadFailure, RequestCount};

#[derive(Debug)]
pub(super) struct RequestCounters(Vec<Row>);

#[derive(Debug)]
struct Row {
    api: Api,
    sent: AtomicU64,
    /// In the order of `ReadFailure::OF_REQUEST`.
    failed: Vec<AtomicU64>,
}

impl RequestCounters {
    pub(super) fn new() -> Self {
        let row = |api: &Api| Row {
            api: *api,
            sent: AtomicU64::new(0),
            failed: ReadFailure::OF_REQUEST.iter().map(|_| AtomicU64::new(0)).collect(),
        };
        Self(Api::ALL.iter().map(row).collect())
    }

    pub(super) fn sent(&self, api: Api) {
        for row in self.0.iter().filter(|it| it.api == api) {
            row.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self, api: Api, fault: ReadFailure) {
        for row in self.0.iter().filter(|it| it.api == api) {
            for (_, count) in
                ReadFailure::OF_REQUEST.iter().zip(&row.failed).filter(|(it, _)| **it == fault)
            {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn read(&self) -> Vec<RequestCount> {
        let load = |it: &AtomicU64| it.load(Ordering::Relaxed);
        self.0
            .iter()
            .map(|row| RequestCount {
                api: row.api,
                sent: load(&row.sent),
                failed: ReadFailure::OF_REQUEST
                    .iter()
                    .copied()
                    .zip(row.failed.iter().map(load))
                    .collect(),
            })
            .collect()
    }
}
