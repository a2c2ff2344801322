//! One consumer of an open-loop load: reads its partitions from their start, and notes each record.
//!
//! It is assigned its partitions, so it joins no group and commits nothing.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use tokio_util::sync::CancellationToken;

use super::{
    error::LoadError,
    latency::Latencies,
    plan::LoadPlan,
    record::RecordStamp,
    shared::{LoadShared, QuietContext},
};

/// How long one poll waits for a record; so also how long stopping may take.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);
/// KiB of records that wait in one client.
const QUEUE_KIB: &str = "16384";

/// The settings of a consumer that `shared`, the settings of the cluster, does not have.
pub(super) fn consumer_config(shared: &ClientConfig, plan: &LoadPlan) -> ClientConfig {
    let mut config = shared.clone();
    config
        .set("client.id", &plan.client_id)
        // librdkafka requires a group id. With manual assignment no such group is created.
        .set("group.id", &plan.client_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("queued.max.messages.kbytes", QUEUE_KIB)
        // Fetch again soon after an error or a full queue, not after 500 ms or 1 s, the defaults.
        .set("fetch.error.backoff.ms", "100")
        .set("fetch.queue.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "1000")
        .set("statistics.interval.ms", "0");

    config
}

pub(super) struct Receiver {
    client: BaseConsumer<QuietContext>,
    shared: LoadShared,
    latencies: Arc<Latencies>,
}

impl Receiver {
    /// The consumer with number `index` of those of the topic.
    pub(super) fn new(
        config: &ClientConfig,
        shared: &LoadShared,
        plan: &LoadPlan,
        topic: &str,
        index: u32,
    ) -> Result<Self, LoadError> {
        let client: BaseConsumer<QuietContext> =
            config.create_with_context(shared.quiet_context()).map_err(LoadError::Client)?;

        let mut assignment = TopicPartitionList::new();
        let consumers = usize::try_from(plan.consumers_per_topic).unwrap_or(usize::MAX).max(1);
        let first = usize::try_from(index).unwrap_or(usize::MAX);
        for partition in (0..plan.partitions_per_topic).skip(first).step_by(consumers) {
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            assignment
                .add_partition_offset(topic, partition, Offset::Beginning)
                .map_err(LoadError::Client)?;
        }

        client.assign(&assignment).map_err(LoadError::Client)?;

        let latencies = Arc::new(Latencies::new().map_err(LoadError::Histogram)?);

        Ok(Self { client, shared: shared.clone(), latencies })
    }

    pub(super) fn latencies(&self) -> Arc<Latencies> {
        Arc::clone(&self.latencies)
    }

    /// Reads records until `done`. Blocks.
    pub(super) fn run(self, done: &CancellationToken) {
        while !done.is_cancelled() {
            match self.client.poll(POLL_TIMEOUT) {
                Some(Ok(record)) => self.consumed(record.payload()),
                Some(Err(error)) => self.shared.last_error.set(error.to_string()),
                None => (),
            }
        }
    }

    fn consumed(&self, record: Option<&[u8]>) {
        let Some(stamp) = record.and_then(RecordStamp::parse) else { return };
        if self.shared.ledger.consume(stamp) {
            self.latencies.record(self.shared.clock.monotonic().0.saturating_sub(stamp.due.0));
        }
    }
}
