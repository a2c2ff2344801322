//! One record through one broker and back.

use std::{sync::Arc, time::Duration};

use rdkafka::error::KafkaError;

use super::{
    client::{Acknowledged, ProbeClients, RecordId},
    fault,
};
use crate::{
    clock::SharedClock,
    model::{BrokerId, MonotonicTime},
    telemetry::{ProbeFault, ProbeResult},
};

/// librdkafka gives a record up itself, up to a second late. Only if it forgets to is it given up
/// here.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);

/// What one attempt is about.
pub(super) struct Attempt {
    pub(super) clients: Arc<ProbeClients>,
    pub(super) clock: SharedClock,
    pub(super) broker: BrokerId,
    pub(super) partition: i32,
    /// Whether the partition is being read. If it is not, this record's offset says where to begin.
    pub(super) reading: bool,
    pub(super) timeout: Duration,
    pub(super) record_bytes: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptResult {
    pub(super) broker: BrokerId,
    pub(super) partition: i32,
    pub(super) probed: ProbeResult,
    /// Whether the partition is being read now.
    pub(super) reading: bool,
}

impl Attempt {
    pub(super) async fn run(self) -> AttemptResult {
        let mut probed = ProbeResult::default();
        let end = self.there_and_back(&mut probed).await;
        let acknowledged = probed.produced.is_some();
        if let Err(fault) = end {
            probed.fault = Some(self.reason(fault, &probed));
        } else {
            self.clients.works(self.broker);
        }
        // What was not acknowledged says nothing about reading.
        let reading = end.is_ok() || (self.reading && !acknowledged);
        AttemptResult { broker: self.broker, partition: self.partition, probed, reading }
    }

    async fn there_and_back(&self, probed: &mut ProbeResult) -> Result<(), ProbeFault> {
        let record = record(self.record_bytes);
        let mut awaited = self.clients.await_record(number_of(&record));
        let began = self.clock.monotonic();
        let acknowledged = self.clients.write(self.partition, &record).map_err(because)?;
        let (at, offset) = tokio::select! {
            end = acknowledged => offset(end.unwrap_or((began, Err(KafkaError::Canceled))))?,
            () = self.clock.sleep(self.timeout + FORGOTTEN_AFTER) => {
                return Err(ProbeFault::Timeout);
            }
        };
        probed.produced = Some(since(at, began));
        if !self.reading {
            self.begin_reading(offset).await?;
        }
        let left = self.timeout.saturating_sub(since(self.clock.monotonic(), began));
        let arrived = tokio::select! {
            biased;
            arrived = awaited.arrival() => arrived.ok_or(ProbeFault::Other)?,
            () = self.clock.sleep(left) => return Err(ProbeFault::Timeout),
        };
        // The first record waits for the reader to begin, which no other does.
        if self.reading {
            probed.round_trip = Some(since(arrived, began));
        }
        Ok(())
    }

    /// The call itself is short: it asks a thread of librdkafka, and no broker.
    async fn begin_reading(&self, offset: i64) -> Result<(), ProbeFault> {
        let (clients, partition) = (Arc::clone(&self.clients), self.partition);
        match tokio::task::spawn_blocking(move || clients.read_from(partition, offset)).await {
            Ok(begun) => begun.map_err(because),
            Err(bug) => std::panic::resume_unwind(bug.into_panic()),
        }
    }

    /// A record that is given up says only that; why may have been said before.
    fn reason(&self, fault: ProbeFault, probed: &ProbeResult) -> ProbeFault {
        if fault != ProbeFault::Timeout {
            return fault;
        }
        let read = self.clients.read_trouble().filter(|_| probed.produced.is_some());
        read.or_else(|| self.clients.trouble(self.broker)).unwrap_or(fault)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it ends here")]
fn because(error: KafkaError) -> ProbeFault {
    fault::of(&error)
}

fn offset((at, end): Acknowledged) -> Result<(MonotonicTime, i64), ProbeFault> {
    end.map(|offset| (at, offset)).map_err(because)
}

fn since(later: MonotonicTime, earlier: MonotonicTime) -> Duration {
    later.0.saturating_sub(earlier.0)
}

/// Bytes that no compression of the topic can shrink; the first of them are its number.
fn record(bytes: u32) -> Vec<u8> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).max(size_of::<RecordId>());
    let mut record = vec![0; bytes];
    rand::fill(&mut record[..]);
    record
}

fn number_of(record: &[u8]) -> RecordId {
    let mut number = RecordId::default();
    number.copy_from_slice(&record[..size_of::<RecordId>()]);
    number
}
