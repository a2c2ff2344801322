//! One producer's client, and the thread that brings its acknowledgements in.
//!
//! rdkafka's own `FutureProducer` polls every 100 ms and spins for the last millisecond of each
//! poll: 24 idle producers cost a fifth of a core. This one polls once a second.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, ProducerContext},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long one poll lasts, whatever comes in meanwhile; so also how long an end may take.
const POLL_FOR: Duration = Duration::from_secs(1);

pub(super) type LoadClient = BaseProducer<DeliveryContext>;

/// What became of one record.
type Delivered = oneshot::Sender<Result<(), KafkaError>>;

/// Hands each acknowledgement to whoever waits for it, and keeps librdkafka silent otherwise: what
/// a user should see is in the report.
pub(super) struct DeliveryContext;

impl ClientContext for DeliveryContext {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ProducerContext<NoCustomPartitioner> for DeliveryContext {
    type DeliveryOpaque = Box<Delivered>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Box<Delivered>) {
        let end = match result {
            Ok(_record) => Ok(()),
            Err((problem, _record)) => Err(problem.clone()),
        };
        // Nobody waits any more when the load has ended.
        let _gone = waiting.send(end).is_err();
    }
}

/// Makes a client; it connects by itself.
pub(super) fn make(config: &ClientConfig) -> Result<LoadClient, KafkaError> {
    config.create_with_context(DeliveryContext)
}

/// Blocks until `ends`, and closes the client if it is the last to hold it: closing waits for the
/// client's threads, so it must not happen on a thread of the runtime.
pub(super) fn poller(client: Arc<LoadClient>, ends: CancellationToken) -> impl FnOnce() + Send {
    move || {
        while !ends.is_cancelled() {
            client.poll(POLL_FOR);
        }
    }
}

/// Writes one record and waits for its acknowledgement.
pub(super) async fn write(
    client: &LoadClient,
    topic: &str,
    partition: i32,
    value: &[u8],
) -> Result<(), KafkaError> {
    let (waiting, delivered) = oneshot::channel();
    let record = BaseRecord::<(), [u8], _>::with_opaque_to(topic, Box::new(waiting))
        .partition(partition)
        .payload(value);
    client.send(record).map_err(|(problem, _record)| problem)?;
    // The other end goes without a word only when the client is closed.
    delivered.await.unwrap_or(Err(KafkaError::Canceled))
}
