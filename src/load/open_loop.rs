//! Runs an open-loop load: its topics, its clients, and the end.

use std::{sync::Arc, time::Duration};

use rdkafka::ClientConfig;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    error::LoadError,
    latency::Latencies,
    ledger::{Ledger, RecordCounts},
    outcome::{LoadEnd, LoadMeasurement, LoadOutcome},
    own_topics::OwnTopics,
    pace::Pace,
    plan::LoadPlan,
    receiver::{self, Receiver},
    sender::{self, Sender},
    shared::LoadShared,
};
use crate::{clock::SharedClock, librdkafka::ClientConnection, model::MonotonicTime};

/// From the moment when all clients are connected to the first due time, so that all threads run.
const START_DELAY: Duration = Duration::from_millis(50);
/// Time between two looks at the counts.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Consumers have read what they can when they read nothing for so long after the last producer
/// ended.
const CONSUMERS_IDLE_MAX: Duration = Duration::from_secs(30);

/// Is told how far a load is, a few times a second.
pub type ProgressFn<'a> = &'a mut dyn FnMut(RecordCounts);

/// Runs `plan`, or as much of it as `stop` allows. The topics of the load are deleted in any case.
///
/// # Errors
///
/// See [`LoadError`]. Records that failed or are missing are no error: they are counted.
pub async fn run_plan(
    plan: &LoadPlan,
    connection: &ClientConnection,
    clock: SharedClock,
    stop: CancellationToken,
    progress: ProgressFn<'_>,
) -> Result<LoadOutcome, LoadError> {
    let config = client_config(connection, plan).await?;
    let records = (0..plan.senders()).map(|it| plan.records_of(it % plan.producers_per_topic));
    let shared = LoadShared {
        clock,
        ledger: Arc::new(Ledger::new(rand::random(), records)),
        last_error: Arc::default(),
        halt: stop.child_token(),
    };
    let topics = OwnTopics::new(&config, plan, &shared)?;

    let measured = async {
        let replication_factor = topics.create(plan).await?;
        let load = OpenLoop { plan, config: &config, topics: &topics, shared: &shared };
        load.run(&stop, replication_factor, progress).await
    };
    let measured = measured.await;
    let left_behind = topics.delete().await;

    match measured {
        Ok(measured) => Ok(LoadOutcome::new(plan, measured, left_behind)),
        Err(error) if left_behind.is_empty() => Err(error),
        Err(error) => Err(LoadError::LeftBehind { topics: left_behind, source: Box::new(error) }),
    }
}

/// Reads the files of the connection on a thread that may block.
async fn client_config(
    connection: &ClientConnection,
    plan: &LoadPlan,
) -> Result<ClientConfig, LoadError> {
    let connection = connection.clone();
    let read = tokio::task::spawn_blocking(move || connection.client_config());
    let mut config = read.await.map_err(|_panicked| LoadError::Panicked)??;
    config.set("client.id", &plan.client_id);

    Ok(config)
}

struct OpenLoop<'a> {
    plan: &'a LoadPlan,
    config: &'a ClientConfig,
    topics: &'a OwnTopics,
    shared: &'a LoadShared,
}

/// The threads of a load, and what ends them. They end when this is dropped, too.
struct Threads {
    senders: JoinSet<()>,
    others: JoinSet<()>,
    done: CancellationToken,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.done.cancel();
    }
}

impl OpenLoop<'_> {
    async fn run(
        &self,
        stop: &CancellationToken,
        replication_factor: u32,
        progress: ProgressFn<'_>,
    ) -> Result<LoadMeasurement, LoadError> {
        // However this function ends, no thread goes on sending.
        let _halt = self.shared.halt.clone().drop_guard();
        let mut threads = Threads {
            senders: JoinSet::new(),
            others: JoinSet::new(),
            done: CancellationToken::new(),
        };

        let read = self.start_receivers(&mut threads)?;
        let senders = self.warm_up().await?;
        let acknowledged: Vec<Arc<Latencies>> = senders.iter().map(Sender::latencies).collect();
        let start = MonotonicTime(self.now().0 + START_DELAY);

        for sender in senders {
            threads.others.spawn_blocking(sender.poll_loop(threads.done.clone()));
            threads.senders.spawn_blocking(move || sender.run(start));
        }

        let is_late = self.wait_for_senders(&mut threads, start, progress).await?;
        self.wait_for_receivers(start, progress).await;

        threads.done.cancel();
        while let Some(thread) = threads.others.join_next().await {
            thread.map_err(|_panicked| LoadError::Panicked)?;
        }

        let ledger = &self.shared.ledger;
        let end = match (stop.is_cancelled(), is_late) {
            (true, _) => LoadEnd::Interrupted,
            (false, true) => LoadEnd::DeadlineExceeded,
            (false, false) => LoadEnd::Complete,
        };
        let last = ledger.last_acknowledged().unwrap_or(start);

        Ok(LoadMeasurement {
            replication_factor,
            end,
            elapsed: last.0.saturating_sub(start.0),
            counts: ledger.counts(),
            missing: ledger.missing(),
            acknowledge: Latencies::percentiles(acknowledged.iter().map(Arc::as_ref)),
            end_to_end: Latencies::percentiles(read.iter().map(Arc::as_ref)),
            late_max: ledger.late_max(),
            last_error: self.shared.last_error.get(),
        })
    }

    fn now(&self) -> MonotonicTime {
        self.shared.clock.monotonic()
    }

    /// Starts the consumers, and returns what they measure.
    fn start_receivers(&self, threads: &mut Threads) -> Result<Vec<Arc<Latencies>>, LoadError> {
        let config = receiver::consumer_config(self.config, self.plan);
        let mut latencies = Vec::new();

        for topic in self.topics.names() {
            for index in 0..self.plan.consumers_per_topic {
                let receiver = Receiver::new(&config, self.shared, self.plan, topic, index)?;
                latencies.push(receiver.latencies());

                let done = threads.done.clone();
                threads.others.spawn_blocking(move || receiver.run(&done));
            }
        }

        Ok(latencies)
    }

    /// Creates the producers, and waits until all are connected.
    async fn warm_up(&self) -> Result<Vec<Sender>, LoadError> {
        let config = sender::producer_config(self.config, self.plan);
        let mut warming = JoinSet::new();
        let mut number = 0;

        for topic in self.topics.names() {
            for _producer in 0..self.plan.producers_per_topic {
                let senders = self.plan.senders();
                let pace = Pace { rate: self.plan.rate, sender: number, senders };
                let sender = Sender::new(&config, self.shared, self.plan, topic, pace)?;
                let partitions = self.plan.partitions_per_topic;
                warming.spawn_blocking(move || sender.warm_up(partitions));
                number += 1;
            }
        }

        let mut senders = Vec::new();
        while let Some(sender) = warming.join_next().await {
            senders.push(sender.map_err(|_panicked| LoadError::Panicked)??);
        }

        if self.shared.halt.is_cancelled() {
            return Err(LoadError::Interrupted);
        }

        // What went wrong while they connected is over.
        self.shared.last_error.clear();

        Ok(senders)
    }

    /// Returns when all producers have ended: whether the deadline has passed.
    async fn wait_for_senders(
        &self,
        threads: &mut Threads,
        start: MonotonicTime,
        progress: ProgressFn<'_>,
    ) -> Result<bool, LoadError> {
        let mut is_late = false;
        loop {
            tokio::select! {
                thread = threads.senders.join_next() => match thread {
                    None => return Ok(is_late),
                    Some(thread) => thread.map_err(|_panicked| LoadError::Panicked)?,
                },
                () = self.shared.clock.sleep(PROGRESS_EVERY) => (),
            }

            progress(self.shared.ledger.counts());

            if self.elapsed(start) > self.plan.deadline && !self.shared.halt.is_cancelled() {
                is_late = true;
                self.shared.halt.cancel();
            }
        }
    }

    /// Returns when every acknowledged record was read, or none is read any more.
    async fn wait_for_receivers(&self, start: MonotonicTime, progress: ProgressFn<'_>) {
        if self.plan.consumers_per_topic == 0 {
            return;
        }

        let mut consumed = 0;
        let mut read_at = self.now();
        while self.shared.ledger.missing() > 0 && !self.shared.halt.is_cancelled() {
            let counts = self.shared.ledger.counts();
            progress(counts);

            if counts.consumed != consumed {
                consumed = counts.consumed;
                read_at = self.now();
            }

            let idle = self.now().0.saturating_sub(read_at.0);
            if idle > CONSUMERS_IDLE_MAX || self.elapsed(start) > self.plan.deadline {
                return;
            }

            self.shared.clock.sleep(PROGRESS_EVERY).await;
        }

        progress(self.shared.ledger.counts());
    }

    fn elapsed(&self, start: MonotonicTime) -> Duration {
        self.now().0.saturating_sub(start.0)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

    use super::*;
    use crate::{
        clock::SystemClock,
        load::{Acks, Compression},
    };

    /// A mock cluster, which cannot create topics by request, with the topics of one load.
    struct OpenLoopHarness {
        brokers: MockCluster<'static, DefaultProducerContext>,
        config: ClientConfig,
        plan: LoadPlan,
        shared: LoadShared,
        topics: OwnTopics,
        stop: CancellationToken,
    }

    fn plan(records: u64, rate: u32) -> LoadPlan {
        LoadPlan {
            load: "baseline",
            topics: 2,
            partitions_per_topic: 4,
            replication_factor: None,
            records_per_topic: records,
            record_bytes: 100,
            rate: NonZeroU32::new(rate),
            rate_is_capped: false,
            acks: Acks::All,
            is_idempotent: true,
            compression: Compression::Lz4,
            linger_ms: 5,
            batch_bytes: 16_384,
            producers_per_topic: 2,
            consumers_per_topic: 2,
            topic_prefix: "load".to_owned(),
            deadline: Duration::from_secs(30),
            client_id: "load".to_owned(),
        }
    }

    impl OpenLoopHarness {
        fn new(plan: LoadPlan) -> Self {
            let brokers = MockCluster::new(1).unwrap();
            let connection = ClientConnection {
                bootstrap_servers: vec![brokers.bootstrap_servers()],
                ..ClientConnection::default()
            };
            let config = connection.client_config().unwrap();
            let stop = CancellationToken::new();
            let records = (0..plan.senders()).map(|it| plan.records_of(it % 2));
            let shared = LoadShared {
                clock: Arc::new(SystemClock::new()),
                ledger: Arc::new(Ledger::new(7, records)),
                last_error: Arc::default(),
                halt: stop.child_token(),
            };
            let topics = OwnTopics::new(&config, &plan, &shared).unwrap();
            for topic in topics.names() {
                brokers.create_topic(topic, 4, 1).unwrap();
            }

            Self { brokers, config, plan, shared, topics, stop }
        }

        async fn run(&self) -> LoadOutcome {
            let Self { plan, config, topics, shared, .. } = self;
            let load = OpenLoop { plan, config, topics, shared };
            let measured = load.run(&self.stop, 1, &mut |_counts| ()).await.unwrap();
            LoadOutcome::new(plan, measured, Vec::new())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_record_is_acknowledged_and_read_back() {
        let outcome = OpenLoopHarness::new(plan(501, 1_000)).run().await;

        assert_eq!((outcome.end, outcome.problem()), (LoadEnd::Complete, None), "{outcome:?}");
        assert_eq!((outcome.acknowledged, outcome.consumed), (1_002, Some(1_002)), "{outcome:?}");
        assert_eq!((outcome.missing, outcome.failed), (Some(0), 0), "{outcome:?}");
        assert!(outcome.acknowledge.is_some() && outcome.end_to_end.is_some(), "{outcome:?}");
        // A second, and what a busy machine adds.
        assert!((0.9..20.0).contains(&outcome.elapsed_s), "{outcome:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_a_rate_records_are_sent_as_fast_as_possible() {
        let mut plan = plan(2_000, 1);
        plan.rate = None;
        plan.consumers_per_topic = 0;
        let outcome = OpenLoopHarness::new(plan).run().await;

        assert_eq!((outcome.acknowledged, outcome.missing), (4_000, None), "{outcome:?}");
        assert_eq!(outcome.handed_over_late_max_ms, None);
        assert!(outcome.records_per_second > 100.0, "{outcome:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_slow_broker_makes_records_late_and_sends_none_later() {
        let harness = OpenLoopHarness::new(plan(200, 1_000));
        harness.brokers.broker_round_trip_time(1, Duration::from_secs(1)).unwrap();
        let outcome = harness.run().await;

        let acknowledge = outcome.acknowledge.unwrap();
        assert_eq!(outcome.acknowledged, 400, "{outcome:?}");
        assert!(acknowledge.p50_ms > 900.0, "{outcome:?}");
        // A closed loop would have waited a second for each of a hundred records.
        assert!(outcome.elapsed_s < 25.0, "{outcome:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_interrupted_load_says_so_and_ends_soon() {
        let harness = OpenLoopHarness::new(plan(100_000, 1_000));
        let stop = async {
            harness.shared.clock.sleep(Duration::from_millis(1_500)).await;
            harness.stop.cancel();
        };
        let (outcome, ()) = tokio::join!(harness.run(), stop);

        assert_eq!(outcome.end, LoadEnd::Interrupted);
        assert!(outcome.acknowledged < 100_000, "{outcome:?}");
        assert!(outcome.problem().unwrap().starts_with("interrupted after "), "{outcome:?}");
    }
}
