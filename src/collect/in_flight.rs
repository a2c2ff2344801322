//! Requests in flight. Each runs on its own, so a broker that does not answer delays no other.
//!
//! Invariant: a request that is still unanswered is not sent again, however many rounds pass.

use std::{collections::BTreeSet, fmt};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{CollectState, Round, cached::Timestamps};
use crate::{
    clock::SharedClock,
    kafka::{KafkaError, SharedKafka},
    model::BrokerId,
    telemetry::CollectorName,
};

/// Identifies a request from round to round, whatever its parameters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequestKey {
    pub(super) collector: CollectorName,
    /// Which of the collector's requests for many partitions or groups it is. `None` for a request
    /// that reads a single value.
    part: Option<&'static str>,
    /// `None` for a request that any broker answers.
    broker: Option<BrokerId>,
}

impl RequestKey {
    pub(super) const fn to_any(collector: CollectorName) -> Self {
        Self { collector, part: None, broker: None }
    }

    pub(super) const fn to_broker(collector: CollectorName, broker: BrokerId) -> Self {
        Self { collector, part: None, broker: Some(broker) }
    }

    /// A request for many partitions or groups: the collector counts those that it fails to read.
    pub(super) const fn for_part(
        collector: CollectorName,
        part: &'static str,
        broker: BrokerId,
    ) -> Self {
        Self { collector, part: Some(part), broker: Some(broker) }
    }

    /// Whether its failure leaves exactly one value unknown.
    pub(super) const fn reads_one_value(self) -> bool {
        self.part.is_none()
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.broker {
            Some(broker) => write!(f, "{} of broker {broker}", self.collector),
            None => write!(f, "{} of any broker", self.collector),
        }
    }
}

/// Stores an answer. The round is `None` when the answer arrives after its round has ended.
pub(super) type StoreAnswer =
    Box<dyn FnOnce(&mut CollectState, Option<&mut Round>, Timestamps) + Send>;

type Call =
    Box<dyn FnOnce(SharedKafka) -> BoxFuture<'static, Result<StoreAnswer, KafkaError>> + Send>;

/// A request, and where its answer goes.
pub(super) struct Request {
    pub(super) key: RequestKey,
    call: Call,
}

impl Request {
    pub(super) fn new<A, F>(
        key: RequestKey,
        call: impl FnOnce(SharedKafka) -> F + Send + 'static,
        store: impl FnOnce(&mut CollectState, Option<&mut Round>, A, Timestamps) + Send + 'static,
    ) -> Self
    where
        A: Send + 'static,
        F: Future<Output = Result<A, KafkaError>> + Send + 'static,
    {
        let call: Call = Box::new(move |kafka| {
            let answer = call(kafka);
            Box::pin(async move {
                let answer = answer.await?;
                let store: StoreAnswer =
                    Box::new(move |state, round, at| store(state, round, answer, at));
                Ok(store)
            })
        });
        Self { key, call }
    }
}

/// The end of a request.
pub(super) struct Completed {
    /// The round that sent it.
    pub(super) round: u64,
    pub(super) key: RequestKey,
    pub(super) answer: Result<StoreAnswer, KafkaError>,
    pub(super) at: Timestamps,
}

/// Whether a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Sent,
    /// An earlier request with the same key is still unanswered.
    Busy,
}

pub(super) struct InFlight {
    kafka: SharedKafka,
    clock: SharedClock,
    requests: FuturesUnordered<BoxFuture<'static, Completed>>,
    keys: BTreeSet<RequestKey>,
}

impl InFlight {
    pub(super) fn new(kafka: SharedKafka, clock: SharedClock) -> Self {
        Self { kafka, clock, requests: FuturesUnordered::new(), keys: BTreeSet::new() }
    }

    pub(super) fn send(&mut self, round: u64, Request { key, call }: Request) -> Sent {
        if !self.keys.insert(key) {
            return Sent::Busy;
        }

        let (kafka, clock) = (SharedKafka::clone(&self.kafka), SharedClock::clone(&self.clock));
        self.requests.push(Box::pin(async move {
            let answer = call(kafka).await;
            Completed { round, key, answer, at: Timestamps::now(&clock) }
        }));
        Sent::Sent
    }

    /// Waits for the next request to complete; `None` when none is in flight.
    pub(super) async fn next(&mut self) -> Option<Completed> {
        let completed = self.requests.next().await?;
        self.keys.remove(&completed.key);
        Some(completed)
    }
}
