//! The producer and the consumer of a probe, each with a thread that polls it.
//!
//! The consumer is assigned its partitions (`assign`), so it joins no group and commits nothing.
//! The clients are dropped on the threads that poll them, because closing a client waits for
//! librdkafka's own threads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    metadata::Metadata,
    producer::{
        BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext,
    },
    types::RDKafkaErrorCode,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    ProbeOptions, failure,
    topic::{ProbeMetadata, ProbePartition},
};
use crate::{
    clock::SharedClock,
    librdkafka::ConnectionSettingsError,
    model::{BrokerId, MonotonicTime},
    telemetry::ProbeFailure,
};

/// Appears in the brokers' request logs and quotas.
const CLIENT_ID: &str = "kafka-optimizer-probe";
/// How long one poll waits for events; so also how long stopping may take.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of a metadata request. It goes to any broker, which may be frozen; the next request
/// goes to another.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// A fetch waits up to half a second for records (`fetch.wait.max.ms`), so the consumer's requests
/// need more time than the probe's timeout may give them.
const CONSUMER_TIMEOUT_MIN: Duration = Duration::from_secs(5);
/// Random bytes at the start of a record that identify it.
const RECORD_ID_BYTES: usize = 16;

pub(super) type RecordId = [u8; RECORD_ID_BYTES];

/// The delivery report of one record.
pub(super) struct Delivery {
    pub(super) at: MonotonicTime,
    pub(super) offset: Result<i64, KafkaError>,
}

impl Delivery {
    pub(super) const fn canceled(at: MonotonicTime) -> Self {
        Self { at, offset: Err(KafkaError::Canceled) }
    }
}

/// Why the clients cannot be created.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeClientsError {
    #[error(transparent)]
    Settings(#[from] ConnectionSettingsError),
    #[error(transparent)]
    Client(#[from] KafkaError),
}

/// The clients of one cluster's probe.
pub(super) struct ProbeClients {
    /// The settings that all clients share.
    config: ClientConfig,
    producer: BaseProducer<ProbeContext>,
    consumer: BaseConsumer<ProbeContext>,
    topic: String,
    state: Arc<ProbeState>,
    /// Partitions that are assigned to the consumer.
    assigned: Mutex<BTreeSet<i32>>,
}

/// An error of one connection.
#[derive(Clone, Debug)]
pub(super) struct ProbeConnectionError {
    /// What librdkafka says about it, in its words.
    pub(super) text: String,
    pub(super) failure: ProbeFailure,
}

/// State that the clients share with librdkafka's callbacks.
pub(super) struct ProbeState {
    clock: SharedClock,
    /// Records that an attempt waits for; at most one per broker.
    pending: Mutex<BTreeMap<RecordId, oneshot::Sender<MonotonicTime>>>,
    /// The last error of each broker's connections. librdkafka reports an error only once, so it is
    /// kept until a record comes back.
    broker_failures: Mutex<BTreeMap<BrokerId, ProbeFailure>>,
    /// The last authorization error of the consumer.
    consumer_failure: Mutex<Option<ProbeFailure>>,
    /// The last error of any connection, also to a bootstrap server.
    last_error: Mutex<Option<ProbeConnectionError>>,
}

impl ProbeClients {
    /// Reads the files of the connection, and creates both clients. They connect in the background.
    pub(super) fn new(
        options: &ProbeOptions,
        clock: &SharedClock,
    ) -> Result<Self, ProbeClientsError> {
        let config = client_config(options)?;
        let state = Arc::new(ProbeState {
            clock: SharedClock::clone(clock),
            pending: Mutex::default(),
            broker_failures: Mutex::default(),
            consumer_failure: Mutex::default(),
            last_error: Mutex::default(),
        });
        let context = || ProbeContext { state: Arc::clone(&state) };

        Ok(Self {
            producer: producer_config(&config, options).create_with_context(context())?,
            consumer: consumer_config(&config, options).create_with_context(context())?,
            config,
            topic: options.config.topic.as_str().to_owned(),
            state,
            assigned: Mutex::default(),
        })
    }

    /// Serves delivery reports until `stop`. Blocks; so do the other functions below.
    pub(super) fn poll_producer(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.producer.poll(POLL_TIMEOUT);
        }
    }

    /// Reads records until `stop`, and notifies the attempts that wait for them.
    pub(super) fn poll_consumer(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.consumer.poll(POLL_TIMEOUT) {
                Some(Ok(record)) => self.state.record_consumed(record.payload()),
                Some(Err(error)) => self.state.record_consumer_error(&error),
                None => (),
            }
        }
    }

    /// Fetches the brokers of the cluster and the leaders of the topic.
    pub(super) fn fetch_metadata(&self) -> Result<ProbeMetadata, KafkaError> {
        let client = self.consumer.client();
        let metadata = client.fetch_metadata(Some(&self.topic), METADATA_TIMEOUT)?;
        Ok(probe_metadata(&metadata, &self.topic))
    }

    /// Refreshes the producer's metadata, so that no record goes to a former leader.
    pub(super) fn refresh_producer(&self) -> Result<(), KafkaError> {
        let client = self.producer.client();
        client.fetch_metadata(Some(&self.topic), METADATA_TIMEOUT).map(drop)
    }

    /// Assigns `partition` to the consumer from `offset` on. Replaces an earlier assignment.
    pub(super) fn assign(&self, partition: i32, offset: i64) -> Result<(), KafkaError> {
        let mut assigned = lock(&self.assigned);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;

        if assigned.remove(&partition) {
            self.consumer.incremental_unassign(&list)?;
        }

        self.consumer.incremental_assign(&list)?;
        assigned.insert(partition);

        Ok(())
    }

    /// Produces one record. The receiver gets its delivery report.
    pub(super) fn produce(
        &self,
        partition: i32,
        record: &[u8],
    ) -> Result<oneshot::Receiver<Delivery>, KafkaError> {
        let (sender, delivered) = oneshot::channel();
        let record = BaseRecord::<(), [u8], _>::with_opaque_to(&self.topic, Box::new(sender))
            .partition(partition)
            .payload(record);
        self.producer.send(record).map_err(|(error, _record)| error)?;

        Ok(delivered)
    }

    /// Registers a record that is about to be produced.
    pub(super) fn expect_record(&self, id: RecordId) -> PendingRecord {
        let (sender, consumed) = oneshot::channel();
        lock(&self.state.pending).insert(id, sender);
        PendingRecord { id, consumed, state: Arc::clone(&self.state) }
    }

    /// The last error of the broker's connections since a record came back.
    pub(super) fn broker_failure(&self, broker: BrokerId) -> Option<ProbeFailure> {
        lock(&self.state.broker_failures).get(&broker).copied()
    }

    /// The last authorization error of the consumer since a record came back.
    pub(super) fn consumer_failure(&self) -> Option<ProbeFailure> {
        *lock(&self.state.consumer_failure)
    }

    /// The last error of any connection since a record came back.
    pub(super) fn last_error(&self) -> Option<ProbeConnectionError> {
        lock(&self.state.last_error).clone()
    }

    /// The settings that all clients of the probe share.
    pub(super) const fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// A record came back through `broker`: earlier errors are obsolete.
    pub(super) fn clear_failures(&self, broker: BrokerId) {
        *lock(&self.state.last_error) = None;
        lock(&self.state.broker_failures).remove(&broker);
        *lock(&self.state.consumer_failure) = None;
    }
}

/// A record that an attempt waits for, until it is dropped.
pub(super) struct PendingRecord {
    id: RecordId,
    consumed: oneshot::Receiver<MonotonicTime>,
    state: Arc<ProbeState>,
}

impl PendingRecord {
    /// When the record was read. `None` if the clients stopped first.
    pub(super) async fn consumed(&mut self) -> Option<MonotonicTime> {
        (&mut self.consumed).await.ok()
    }
}

impl Drop for PendingRecord {
    fn drop(&mut self) {
        lock(&self.state.pending).remove(&self.id);
    }
}

impl ProbeState {
    /// Ignores records of other processes, and of attempts that have timed out.
    fn record_consumed(&self, record: Option<&[u8]>) {
        let id = record.and_then(|it| it.first_chunk::<RECORD_ID_BYTES>());
        let sender = id.and_then(|it| lock(&self.pending).remove(it));
        if let Some(sender) = sender {
            let _timed_out = sender.send(self.clock.monotonic()).is_err();
        }
    }

    fn record_consumer_error(&self, error: &KafkaError) {
        // The consumer joins no group, so it needs no access to one.
        let group = Some(RDKafkaErrorCode::GroupAuthorizationFailed);
        let failure = failure::from_error(error);

        if error.rdkafka_error_code() != group && failure == ProbeFailure::Authorization {
            *lock(&self.consumer_failure) = Some(failure);
        }
    }
}

/// Ignores poisoning: the values are replaced as a whole, so a panic leaves none inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The callbacks of librdkafka. Log lines are dropped: the metrics show what an operator needs.
pub(super) struct ProbeContext {
    state: Arc<ProbeState>,
}

impl ClientContext for ProbeContext {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, error: KafkaError, text: &str) {
        if let Some((broker, failure)) = failure::from_connection_error(&error, text) {
            lock(&self.state.broker_failures).insert(broker, failure);
        }

        // It comes after the reason, and explains nothing.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            return;
        }

        let failure = failure::from_error(&error);
        *lock(&self.state.last_error) =
            Some(ProbeConnectionError { text: text.to_owned(), failure });
    }
}

impl ConsumerContext for ProbeContext {}

impl ProducerContext<NoCustomPartitioner> for ProbeContext {
    type DeliveryOpaque = Box<oneshot::Sender<Delivery>>;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Box<oneshot::Sender<Delivery>>) {
        let offset = match result {
            Ok(record) => Ok(record.offset()),
            Err((error, _record)) => Err(error.clone()),
        };
        let _timed_out =
            sender.send(Delivery { at: self.state.clock.monotonic(), offset }).is_err();
    }
}

fn probe_metadata(metadata: &Metadata, topic: &str) -> ProbeMetadata {
    let brokers = metadata.brokers().iter().filter_map(|it| BrokerId::from_wire(it.id()));
    let mut probe = ProbeMetadata { brokers: brokers.collect(), ..ProbeMetadata::default() };
    let Some(topic) = metadata.topics().iter().find(|it| it.name() == topic) else { return probe };

    // A missing topic is created, and a new one has no leaders yet: neither is a failure.
    let expected =
        [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::LeaderNotAvailable];
    let code = topic.error().map(RDKafkaErrorCode::from);
    probe.failure = code.filter(|it| !expected.contains(it)).map(failure::from_code);

    for it in topic.partitions() {
        let replicas = it.replicas().iter().filter_map(|it| BrokerId::from_wire(*it)).collect();
        let partition = ProbePartition { leader: BrokerId::from_wire(it.leader()), replicas };
        probe.partitions.insert(it.id(), partition);
    }

    probe
}

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn client_config(options: &ProbeOptions) -> Result<ClientConfig, ConnectionSettingsError> {
    let mut config = options.connection.client_config()?;
    config
        .set("client.id", CLIENT_ID)
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.refresh.interval.ms", milliseconds(options.config.interval))
        // Reconnect soon after a broker is back, not after up to 10 s, the default.
        .set("reconnect.backoff.max.ms", "1000")
        .set("log.connection.close", "false")
        .set("statistics.interval.ms", "0");

    Ok(config)
}

fn producer_config(shared: &ClientConfig, options: &ProbeOptions) -> ClientConfig {
    let timeout = milliseconds(options.config.timeout);
    let mut config = shared.clone();
    config
        .set("acks", "all")
        // One record is one request to one broker, so the latency is that broker's.
        .set("retries", "0")
        .set("enable.idempotence", "false")
        .set("linger.ms", "0")
        .set("batch.num.messages", "1")
        .set("socket.nagle.disable", "true")
        .set("message.timeout.ms", &timeout)
        .set("request.timeout.ms", &timeout)
        .set("socket.timeout.ms", &timeout)
        .set("queue.buffering.max.kbytes", "10240");

    config
}

fn consumer_config(shared: &ClientConfig, options: &ProbeOptions) -> ClientConfig {
    let timeout = milliseconds(options.config.timeout.max(CONSUMER_TIMEOUT_MIN));
    let mut config = shared.clone();
    config
        // librdkafka requires a group id. With manual assignment no such group is created.
        .set("group.id", CLIENT_ID)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "latest")
        .set("socket.timeout.ms", timeout)
        // Fetch again soon after an error, not after 500 ms, the default.
        .set("fetch.error.backoff.ms", "100")
        .set("queued.max.messages.kbytes", "1024")
        .set("fetch.message.max.bytes", "1048576");

    config
}
