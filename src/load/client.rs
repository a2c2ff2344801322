//! The client of one producer, and the thread that polls it for delivery reports.
//!
//! rdkafka's own `FutureProducer` polls every 100 ms and spins for the last millisecond of each
//! poll: 24 idle producers take a fifth of a core. This one polls once per second.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, ProducerContext},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long one poll takes; so also how long stopping may take.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) type LoadClient = BaseProducer<DeliveryContext>;

type DeliverySender = oneshot::Sender<Result<(), KafkaError>>;

/// Passes each delivery report to its waiting producer. librdkafka's log lines and errors are
/// dropped: the load's own report shows what a user needs.
pub(super) struct DeliveryContext;

impl ClientContext for DeliveryContext {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ProducerContext<NoCustomPartitioner> for DeliveryContext {
    type DeliveryOpaque = Box<DeliverySender>;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Box<DeliverySender>) {
        let outcome = match result {
            Ok(_record) => Ok(()),
            Err((error, _record)) => Err(error.clone()),
        };
        // The receiver is gone when the load has ended.
        let _gone = sender.send(outcome).is_err();
    }
}

/// Creates a client, which connects in the background.
pub(super) fn create(config: &ClientConfig) -> Result<LoadClient, KafkaError> {
    config.create_with_context(DeliveryContext)
}

/// Polls the client until `stop`. Run it on a blocking thread and let it hold the last reference:
/// dropping a client waits for librdkafka's own threads.
pub(super) fn poll_loop(client: Arc<LoadClient>, stop: CancellationToken) -> impl FnOnce() + Send {
    move || {
        while !stop.is_cancelled() {
            client.poll(POLL_TIMEOUT);
        }
    }
}

/// Produces one record and waits for its delivery report.
pub(super) async fn produce_record(
    client: &LoadClient,
    topic: &str,
    partition: i32,
    value: &[u8],
) -> Result<(), KafkaError> {
    let (sender, delivered) = oneshot::channel();
    let record = BaseRecord::<(), [u8], _>::with_opaque_to(topic, Box::new(sender))
        .partition(partition)
        .payload(value);
    client.send(record).map_err(|(error, _record)| error)?;

    // The sender is dropped without a report only when the client is closed.
    delivered.await.unwrap_or(Err(KafkaError::Canceled))
}
