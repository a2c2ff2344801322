//! What all clients of an open-loop load share.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::KafkaError,
    producer::{DeliveryResult, NoCustomPartitioner, ProducerContext},
    types::RDKafkaErrorCode,
};
use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use crate::clock::SharedClock;

#[derive(Clone)]
pub(super) struct LoadShared {
    pub(super) clock: SharedClock,
    pub(super) ledger: Arc<Ledger>,
    pub(super) last_error: Arc<LastError>,
    /// Cancelled when the load has to end early.
    pub(super) halt: CancellationToken,
}

impl LoadShared {
    pub(super) fn quiet_context(&self) -> QuietContext {
        QuietContext { last_error: Arc::clone(&self.last_error) }
    }
}

/// The last error of any client, in librdkafka's words.
#[derive(Debug, Default)]
pub(super) struct LastError(Mutex<Option<String>>);

impl LastError {
    pub(super) fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// What a client reports about its connections. That all brokers are down explains nothing, and
    /// comes after the reason.
    pub(super) fn report(&self, error: &KafkaError, text: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.set(text.to_owned());
        }
    }

    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The context of clients that only have to say why they fail. librdkafka's log lines are dropped:
/// the result shows what a user needs.
pub(super) struct QuietContext {
    last_error: Arc<LastError>,
}

impl ClientContext for QuietContext {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, error: KafkaError, text: &str) {
        self.last_error.report(&error, text);
    }
}

impl ConsumerContext for QuietContext {}

impl ProducerContext<NoCustomPartitioner> for QuietContext {
    type DeliveryOpaque = ();

    fn delivery(&self, _report: &DeliveryResult<'_>, (): ()) {}
}
