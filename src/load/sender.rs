//! One producer of an open-loop load: a thread that hands records to librdkafka when they are due,
//! and a thread that takes its delivery reports.
//!
//! The sender never waits for an acknowledgement. If the client's queue is full it waits for a
//! place, and the records that become due meanwhile are late: that counts as their latency.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{
        BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext,
        PurgeConfig,
    },
    types::RDKafkaErrorCode,
};
use tokio_util::sync::CancellationToken;

use super::{
    error::LoadError,
    latency::Latencies,
    pace::Pace,
    plan::LoadPlan,
    record::{RecordBuilder, RecordStamp, WARM_UP},
    shared::LoadShared,
};
use crate::model::MonotonicTime;

/// Bytes of records that wait in one client, as `buffer.memory` of Kafka's own producer.
const QUEUE_KIB: &str = "32768";
const QUEUE_RECORDS: &str = "500000";
/// Timeout of a record. A broker whose request queue takes many seconds must show as slow, not as
/// unavailable.
const DELIVERY_TIMEOUT_MS: &str = "120000";
/// A record is handed over this late at most, unless the machine is busy.
const TICK: Duration = Duration::from_micros(500);
/// How long one poll for delivery reports takes; so also how long stopping may take.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(30);

/// Takes the delivery reports of one producer.
pub(super) struct AckContext {
    shared: LoadShared,
    latencies: Arc<Latencies>,
    /// Whether a record that opens connections could not be written.
    warm_up_failed: AtomicBool,
}

impl ClientContext for AckContext {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, error: KafkaError, text: &str) {
        self.shared.last_error.report(&error, text);
    }
}

impl ProducerContext<NoCustomPartitioner> for AckContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let now = self.shared.clock.monotonic();
        match result {
            Ok(record) => self.acknowledged(record.payload(), now),
            Err((error, record)) => self.failed(error, record.payload()),
        }
    }
}

impl AckContext {
    fn acknowledged(&self, record: Option<&[u8]>, now: MonotonicTime) {
        let stamp = record.and_then(RecordStamp::parse).filter(|it| it.index != WARM_UP);
        if let Some(stamp) = stamp {
            self.shared.ledger.acknowledge(stamp, now);
            self.latencies.record(now.0.saturating_sub(stamp.due.0));
        }
    }

    fn failed(&self, error: &KafkaError, record: Option<&[u8]>) {
        let purged = [RDKafkaErrorCode::PurgeQueue, RDKafkaErrorCode::PurgeInflight];
        let is_purged = error.rdkafka_error_code().is_some_and(|it| purged.contains(&it));
        if is_purged {
            return;
        }

        self.shared.last_error.set(error.to_string());
        let is_warm_up = record.and_then(RecordStamp::parse).is_some_and(|it| it.index == WARM_UP);
        if is_warm_up {
            self.warm_up_failed.store(true, Relaxed);
        } else {
            self.shared.ledger.fail();
        }
    }
}

/// The settings of a producer that `shared`, the settings of the cluster, does not have.
pub(super) fn producer_config(shared: &ClientConfig, plan: &LoadPlan) -> ClientConfig {
    // librdkafka accepts no limit below that of a record.
    let message_bytes_max = plan.record_bytes.saturating_add(1_024).max(1_000_000);
    let mut config = shared.clone();
    config
        .set("client.id", &plan.client_id)
        .set("acks", plan.acks.as_config())
        .set("enable.idempotence", plan.is_idempotent.to_string())
        .set("max.in.flight.requests.per.connection", "5")
        .set("compression.type", plan.compression.as_config())
        .set("linger.ms", plan.linger_ms.to_string())
        .set("batch.size", plan.batch_bytes.to_string())
        .set("batch.num.messages", "1000000")
        .set("message.max.bytes", message_bytes_max.to_string())
        .set("queue.buffering.max.kbytes", QUEUE_KIB)
        .set("queue.buffering.max.messages", QUEUE_RECORDS)
        .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
        .set("socket.nagle.disable", "true")
        // Reconnect soon after a broker is back, not after up to 10 s, the default.
        .set("reconnect.backoff.max.ms", "1000")
        .set("statistics.interval.ms", "0");

    config
}

/// One producer, which is connected when it has been warmed up.
pub(super) struct Sender {
    client: Arc<BaseProducer<AckContext>>,
    shared: LoadShared,
    latencies: Arc<Latencies>,
    topic: String,
    pace: Pace,
    records: u64,
    builder: RecordBuilder,
}

impl Sender {
    /// Creates the client, which connects in the background.
    pub(super) fn new(
        config: &ClientConfig,
        shared: &LoadShared,
        plan: &LoadPlan,
        topic: &str,
        pace: Pace,
    ) -> Result<Self, LoadError> {
        let latencies = Arc::new(Latencies::new().map_err(LoadError::Histogram)?);
        let context = AckContext {
            shared: shared.clone(),
            latencies: Arc::clone(&latencies),
            warm_up_failed: AtomicBool::new(false),
        };
        let client = config.create_with_context(context).map_err(LoadError::Client)?;
        let record_bytes = usize::try_from(plan.record_bytes).unwrap_or(usize::MAX);

        Ok(Self {
            client: Arc::new(client),
            shared: shared.clone(),
            latencies,
            topic: topic.to_owned(),
            pace,
            records: plan.records_of(pace.sender % plan.producers_per_topic.max(1)),
            builder: RecordBuilder::new(record_bytes),
        })
    }

    pub(super) fn latencies(&self) -> Arc<Latencies> {
        Arc::clone(&self.latencies)
    }

    /// Writes a record to each partition, which is not counted, and waits for the acknowledgements:
    /// then the connections are open, and the cluster takes records. Blocks.
    pub(super) fn warm_up(mut self, partitions: u32) -> Result<Self, LoadError> {
        let now = self.shared.clock.monotonic();
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            let stamp = self.stamp(WARM_UP, now);
            let record = BaseRecord::<(), [u8], ()>::to(&self.topic)
                .partition(partition)
                .payload(self.builder.build(stamp));
            self.client.send(record).map_err(|(error, _)| LoadError::Client(error))?;
        }

        let elapsed = || self.shared.clock.monotonic().0.saturating_sub(now.0);
        while self.client.in_flight_count() > 0 && elapsed() < WARM_UP_TIMEOUT {
            if self.shared.halt.is_cancelled() {
                break;
            }

            self.client.poll(TICK);
        }

        let failed = self.client.context().warm_up_failed.load(Relaxed);
        let is_warm = self.client.in_flight_count() == 0 && !failed;
        if is_warm || self.shared.halt.is_cancelled() {
            return Ok(self);
        }

        let timeout = WARM_UP_TIMEOUT;
        let reason = self.shared.last_error.get().unwrap_or_else(|| "no answer".to_owned());
        Err(LoadError::NotWritable { topic: self.topic, timeout, reason })
    }

    /// Takes delivery reports until `done`. Blocks.
    pub(super) fn poll_loop(&self, done: CancellationToken) -> impl FnOnce() + Send + 'static {
        let client = Arc::clone(&self.client);
        move || {
            while !done.is_cancelled() {
                client.poll(POLL_TIMEOUT);
            }
        }
    }

    /// Sends all records, and waits until each was acknowledged or has failed. Ends early when the
    /// load is halted. Blocks.
    pub(super) fn run(mut self, start: MonotonicTime) {
        for index in 0..self.records {
            if self.shared.halt.is_cancelled() || !self.send_when_due(index, start) {
                break;
            }
        }

        while self.client.in_flight_count() > 0 {
            if self.shared.halt.is_cancelled() {
                self.client.purge(PurgeConfig::default().queue().inflight());
                return;
            }
            thread::park_timeout(TICK);
        }
    }

    /// Whether the record was handed over, or has failed. If not, the load is halted.
    fn send_when_due(&mut self, index: u64, start: MonotonicTime) -> bool {
        let due = match self.pace.due(index) {
            Some(since_start) => MonotonicTime(start.0.saturating_add(since_start)),
            None => self.shared.clock.monotonic().max(start),
        };
        let Some(now) = self.wait_until(due) else { return false };

        let stamp = self.stamp(index, due);
        let record = self.builder.build(stamp);

        if !hand_over(&self.client, &self.topic, record, &self.shared) {
            return false;
        }

        self.shared.ledger.handed_over(now.0.saturating_sub(due.0));

        true
    }

    /// `None` if the load is halted first.
    fn wait_until(&self, due: MonotonicTime) -> Option<MonotonicTime> {
        loop {
            let now = self.shared.clock.monotonic();
            let Some(wait) = due.0.checked_sub(now.0).filter(|it| !it.is_zero()) else {
                return Some(now);
            };
            if self.shared.halt.is_cancelled() {
                return None;
            }

            thread::park_timeout(wait.max(TICK).min(POLL_TIMEOUT));
        }
    }

    fn stamp(&self, index: u64, due: MonotonicTime) -> RecordStamp {
        RecordStamp { run: self.shared.ledger.run(), sender: self.pace.sender, index, due }
    }
}

/// Gives a record to the client, and waits for a place in its queue. `false` if the load is halted
/// first.
fn hand_over(
    client: &BaseProducer<AckContext>,
    topic: &str,
    record: &[u8],
    shared: &LoadShared,
) -> bool {
    loop {
        let sent = client.send(BaseRecord::<(), [u8], ()>::to(topic).payload(record));
        let Err((error, _record)) = sent else { return true };

        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            shared.last_error.set(error.to_string());
            shared.ledger.fail();
            return true;
        }

        if shared.halt.is_cancelled() {
            return false;
        }

        thread::park_timeout(TICK);
    }
}
