//! The two clients of a probe: one writes, one reads, each with a thread that takes its answers.
//!
//! The reader is told where to read (`assign`), so it joins no group, and commits nothing. ProbeClients
//! are closed on the threads that poll them: closing waits for librdkafka's own threads.

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
    ProbeOptions, fault,
    topic::{ProbeMetadata, ProbePartition},
};
use crate::{
    clock::SharedClock,
    model::{BrokerId, MonotonicTime},
    telemetry::ProbeFault,
};

/// What brokers, their quotas and their logs know the probe by.
const CLIENT_ID: &str = "kafka-optimizer-probe";
/// How long one poll lasts while nothing comes in; so also how long an end may take.
const POLL_FOR: Duration = Duration::from_secs(1);
/// How long a question about the topic may take. It goes to any broker, which may be the frozen
/// one; the next look asks another.
const LOOK_FOR: Duration = Duration::from_secs(2);
/// A reader waits up to half a second for records, and its requests have that time on top.
const READER_TIMEOUT_MIN: Duration = Duration::from_secs(5);
/// Bytes at the start of a record that tell it from every other.
const NUMBER_BYTES: usize = 16;

/// What tells a record from every other.
pub(super) type RecordId = [u8; NUMBER_BYTES];

/// When a record was acknowledged, and at which offset; or why not.
pub(super) type Acknowledged = (MonotonicTime, Result<i64, KafkaError>);

/// The clients of one cluster's probe.
pub(super) struct ProbeClients {
    writer: BaseProducer<ProbeContext>,
    reader: BaseConsumer<ProbeContext>,
    topic: String,
    shared: Arc<ProbeState>,
    /// Partitions that the reader was told to read.
    assigned: Mutex<BTreeSet<i32>>,
}

/// What librdkafka's threads tell us.
pub(super) struct ProbeState {
    clock: SharedClock,
    /// Records that someone waits for; one for each broker at most.
    awaited: Mutex<BTreeMap<RecordId, oneshot::Sender<MonotonicTime>>>,
    /// What each broker's connections said last. librdkafka does not repeat itself, so it holds
    /// until a record comes back.
    troubles: Mutex<BTreeMap<BrokerId, ProbeFault>>,
    /// Why the reader reads nothing, as it said last.
    unreadable: Mutex<Option<ProbeFault>>,
}

impl ProbeClients {
    /// Makes both; they connect by themselves.
    pub(super) fn new(options: &ProbeOptions, clock: &SharedClock) -> Result<Self, KafkaError> {
        let shared = Arc::new(ProbeState {
            clock: SharedClock::clone(clock),
            awaited: Mutex::default(),
            troubles: Mutex::default(),
            unreadable: Mutex::default(),
        });
        let context = || ProbeContext { shared: Arc::clone(&shared) };
        Ok(Self {
            writer: writer_config(options).create_with_context(context())?,
            reader: reader_config(options).create_with_context(context())?,
            topic: options.config.topic.as_str().to_owned(),
            shared,
            assigned: Mutex::default(),
        })
    }

    /// Hands out acknowledgements until `ends`. Blocks; so do the functions below.
    pub(super) fn take_acknowledgements(&self, ends: &CancellationToken) {
        while !ends.is_cancelled() {
            self.writer.poll(POLL_FOR);
        }
    }

    /// Hands out what is read until `ends`.
    pub(super) fn take_records(&self, ends: &CancellationToken) {
        while !ends.is_cancelled() {
            match self.reader.poll(POLL_FOR) {
                Some(Ok(record)) => self.shared.arrived(record.payload()),
                Some(Err(error)) => self.shared.unreadable(&error),
                None => (),
            }
        }
    }

    /// Asks a broker who is there and who leads the topic.
    pub(super) fn look(&self) -> Result<ProbeMetadata, KafkaError> {
        let metadata = self.reader.client().fetch_metadata(Some(&self.topic), LOOK_FOR)?;
        Ok(seen(&metadata, &self.topic))
    }

    /// Lets the writer see what has just changed, so that no record goes to a former leader.
    pub(super) fn refresh_writer(&self) -> Result<(), KafkaError> {
        self.writer.client().fetch_metadata(Some(&self.topic), LOOK_FOR).map(drop)
    }

    /// Reads `partition` from `offset` on, whatever it read there before.
    pub(super) fn read_from(&self, partition: i32, offset: i64) -> Result<(), KafkaError> {
        let mut assigned = lock(&self.assigned);
        let mut one = TopicPartitionList::new();
        one.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;
        if assigned.remove(&partition) {
            self.reader.incremental_unassign(&one)?;
        }
        self.reader.incremental_assign(&one)?;
        assigned.insert(partition);
        Ok(())
    }

    /// Writes one record. Its acknowledgement, or its end, comes to the receiver.
    pub(super) fn write(
        &self,
        partition: i32,
        record: &[u8],
    ) -> Result<oneshot::Receiver<Acknowledged>, KafkaError> {
        let (waiting, acknowledged) = oneshot::channel();
        let record = BaseRecord::<(), [u8], _>::with_opaque_to(&self.topic, Box::new(waiting))
            .partition(partition)
            .payload(record);
        self.writer.send(record).map_err(|(problem, _record)| problem)?;
        Ok(acknowledged)
    }

    /// Registers a record that is about to be written.
    pub(super) fn await_record(&self, number: RecordId) -> PendingRecord {
        let (waiting, arrived) = oneshot::channel();
        lock(&self.shared.awaited).insert(number, waiting);
        PendingRecord { number, arrived, shared: Arc::clone(&self.shared) }
    }

    /// Why nothing comes back from `broker`, as far as its connections said.
    pub(super) fn trouble(&self, broker: BrokerId) -> Option<ProbeFault> {
        lock(&self.shared.troubles).get(&broker).copied()
    }

    /// Why nothing is read, as far as the reader said.
    pub(super) fn read_trouble(&self) -> Option<ProbeFault> {
        *lock(&self.shared.unreadable)
    }

    /// A record came back from `broker`: what was said before is over.
    pub(super) fn works(&self, broker: BrokerId) {
        lock(&self.shared.troubles).remove(&broker);
        *lock(&self.shared.unreadable) = None;
    }
}

/// A record that someone waits for. Dropped, nobody does.
pub(super) struct PendingRecord {
    number: RecordId,
    arrived: oneshot::Receiver<MonotonicTime>,
    shared: Arc<ProbeState>,
}

impl PendingRecord {
    /// When it was read; nothing when the clients ended first.
    pub(super) async fn arrival(&mut self) -> Option<MonotonicTime> {
        (&mut self.arrived).await.ok()
    }
}

impl Drop for PendingRecord {
    fn drop(&mut self) {
        lock(&self.shared.awaited).remove(&self.number);
    }
}

impl ProbeState {
    /// Records of another process, or of an attempt that was given up, are nobody's.
    fn arrived(&self, record: Option<&[u8]>) {
        let number = record.and_then(|it| it.first_chunk::<NUMBER_BYTES>());
        let waiting = number.and_then(|it| lock(&self.awaited).remove(it));
        if let Some(waiting) = waiting {
            let _gone = waiting.send(self.clock.monotonic()).is_err();
        }
    }

    fn unreadable(&self, error: &KafkaError) {
        // No group is joined, so whether one may be does not matter.
        let group = Some(RDKafkaErrorCode::GroupAuthorizationFailed);
        let fault = fault::of(error);
        if error.rdkafka_error_code() != group && fault == ProbeFault::Authorization {
            *lock(&self.unreadable) = Some(fault);
        }
    }
}

/// Plain values: a panic of another holder leaves nothing half done.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What librdkafka calls. It logs nothing: what an operator should see is in the metrics.
pub(super) struct ProbeContext {
    shared: Arc<ProbeState>,
}

impl ClientContext for ProbeContext {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, error: KafkaError, text: &str) {
        if let Some((broker, fault)) = fault::of_connection(&error, text) {
            lock(&self.shared.troubles).insert(broker, fault);
        }
    }
}

impl ConsumerContext for ProbeContext {}

impl ProducerContext<NoCustomPartitioner> for ProbeContext {
    type DeliveryOpaque = Box<oneshot::Sender<Acknowledged>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Box<oneshot::Sender<Acknowledged>>) {
        let end = match result {
            Ok(record) => Ok(record.offset()),
            Err((problem, _record)) => Err(problem.clone()),
        };
        let _gone = waiting.send((self.shared.clock.monotonic(), end)).is_err();
    }
}

fn seen(metadata: &Metadata, topic: &str) -> ProbeMetadata {
    let mut seen = ProbeMetadata {
        brokers: metadata.brokers().iter().filter_map(|it| BrokerId::from_wire(it.id())).collect(),
        ..ProbeMetadata::default()
    };
    let Some(found) = metadata.topics().iter().find(|it| it.name() == topic) else { return seen };
    let fault = found.error().map(RDKafkaErrorCode::from);
    // A topic that is not there is made; one that was just made has no leaders yet.
    let passing = [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::LeaderNotAvailable];
    seen.fault = fault.filter(|it| !passing.contains(it)).map(fault::of_code);
    for it in found.partitions() {
        let replicas = it.replicas().iter().filter_map(|it| BrokerId::from_wire(*it)).collect();
        let partition = ProbePartition { leader: BrokerId::from_wire(it.leader()), replicas };
        seen.partitions.insert(it.id(), partition);
    }
    seen
}

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// What every client of the probe is told.
pub(super) fn client_config(options: &ProbeOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", options.bootstrap.join(","))
        .set("client.id", CLIENT_ID)
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.refresh.interval.ms", milliseconds(options.config.interval))
        // A broker that comes back is written to again soon, not after the default of 10 s.
        .set("reconnect.backoff.max.ms", "1000")
        .set("log.connection.close", "false")
        .set("statistics.interval.ms", "0");
    config
}

fn writer_config(options: &ProbeOptions) -> ClientConfig {
    let timeout = milliseconds(options.config.timeout);
    let mut config = client_config(options);
    config
        .set("acks", "all")
        // One record is one request to one broker: what it measures is that broker.
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

fn reader_config(options: &ProbeOptions) -> ClientConfig {
    let timeout = milliseconds(options.config.timeout.max(READER_TIMEOUT_MIN));
    let mut config = client_config(options);
    config
        // librdkafka wants a name before it reads anything; no group of that name comes to be.
        .set("group.id", CLIENT_ID)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "latest")
        .set("socket.timeout.ms", timeout)
        // An answer is taken again soon after an error, not after the default of 500 ms.
        .set("fetch.error.backoff.ms", "100")
        .set("queued.max.messages.kbytes", "1024")
        .set("fetch.message.max.bytes", "1048576");
    config
}
