//! Sends one record through one broker and waits until the consumer has read it back.

use std::{sync::Arc, time::Duration};

use rdkafka::error::KafkaError;

use super::{
    client::{Delivery, ProbeClients, RecordId},
    failure,
};
use crate::{
    clock::SharedClock,
    model::{BrokerId, MonotonicTime},
    telemetry::{ProbeFailure, ProbeResult},
};

/// librdkafka fails a record up to a second after its timeout. We give up after this additional
/// time, in case it never does.
const DELIVERY_GRACE: Duration = Duration::from_secs(5);

pub(super) struct Attempt {
    pub(super) clients: Arc<ProbeClients>,
    pub(super) clock: SharedClock,
    pub(super) broker: BrokerId,
    pub(super) partition: i32,
    /// Whether the partition is assigned to the consumer. If not, it is assigned from this record's
    /// offset on.
    pub(super) assigned: bool,
    pub(super) timeout: Duration,
    pub(super) record_bytes: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptOutcome {
    pub(super) broker: BrokerId,
    pub(super) partition: i32,
    pub(super) result: ProbeResult,
    /// Whether the partition is assigned to the consumer now.
    pub(super) assigned: bool,
}

impl Attempt {
    pub(super) async fn run(self) -> AttemptOutcome {
        let mut result = ProbeResult::default();
        let round_trip = self.round_trip(&mut result).await;

        match round_trip {
            Ok(()) => self.clients.clear_failures(self.broker),
            Err(failure) => result.failure = Some(self.specific_failure(failure, &result)),
        }

        // If the record was acknowledged but not read, assign the partition again next time. A
        // record without an acknowledgement shows nothing about the consumer.
        let acknowledged = result.produced.is_some();
        let assigned = round_trip.is_ok() || (self.assigned && !acknowledged);

        AttemptOutcome { broker: self.broker, partition: self.partition, result, assigned }
    }

    /// Fills in `result` as far as the record gets.
    async fn round_trip(&self, result: &mut ProbeResult) -> Result<(), ProbeFailure> {
        let record = random_record(self.record_bytes);
        let mut pending = self.clients.expect_record(record_id(&record));
        let started = self.clock.monotonic();

        let delivered = self.clients.produce(self.partition, &record).map_err(to_failure)?;
        let delivery = tokio::select! {
            delivery = delivered => delivery.unwrap_or(Delivery::canceled(started)),
            () = self.clock.sleep(self.timeout + DELIVERY_GRACE) => {
                return Err(ProbeFailure::Timeout);
            }
        };
        let offset = delivery.offset.map_err(to_failure)?;
        result.produced = Some(elapsed(started, delivery.at));

        if !self.assigned {
            self.assign(offset).await?;
        }

        let remaining = self.timeout.saturating_sub(elapsed(started, self.clock.monotonic()));
        let consumed_at = tokio::select! {
            biased;
            consumed_at = pending.consumed() => consumed_at.ok_or(ProbeFailure::Other)?,
            () = self.clock.sleep(remaining) => return Err(ProbeFailure::Timeout),
        };

        // The first record also waits for the assignment, so it is not a measurement.
        if self.assigned {
            result.round_trip = Some(elapsed(started, consumed_at));
        }

        Ok(())
    }

    /// Assigns the partition to the consumer. Short: it waits for a thread of librdkafka, not for a
    /// broker.
    async fn assign(&self, offset: i64) -> Result<(), ProbeFailure> {
        let (clients, partition) = (Arc::clone(&self.clients), self.partition);
        match tokio::task::spawn_blocking(move || clients.assign(partition, offset)).await {
            Ok(assigned) => assigned.map_err(to_failure),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Replaces a timeout by the cause, if librdkafka has reported one for the consumer or for the
    /// broker's connections.
    fn specific_failure(&self, failure: ProbeFailure, result: &ProbeResult) -> ProbeFailure {
        if failure != ProbeFailure::Timeout {
            return failure;
        }

        let consumer_failure =
            self.clients.consumer_failure().filter(|_| result.produced.is_some());

        // New clients whose credentials are refused do not get to know which broker refuses them.
        let refused = || {
            let last_error = self.clients.last_error().map(|it| it.failure);
            last_error.filter(|it| *it == ProbeFailure::Authentication)
        };

        consumer_failure
            .or_else(|| self.clients.broker_failure(self.broker))
            .or_else(refused)
            .unwrap_or(failure)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn to_failure(error: KafkaError) -> ProbeFailure {
    failure::from_error(&error)
}

fn elapsed(start: MonotonicTime, end: MonotonicTime) -> Duration {
    end.0.saturating_sub(start.0)
}

/// Random bytes, so that the topic's compression cannot shrink them. The first ones are the
/// record's id.
fn random_record(bytes: u32) -> Vec<u8> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).max(size_of::<RecordId>());
    let mut record = vec![0; bytes];
    rand::fill(&mut record[..]);
    record
}

fn record_id(record: &[u8]) -> RecordId {
    let mut id = RecordId::default();
    id.copy_from_slice(&record[..size_of::<RecordId>()]);
    id
}
