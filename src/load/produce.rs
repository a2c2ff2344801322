//! Independent producers that write at a fixed rate, and the report of what they saw.

use std::{io::Write, sync::Arc, time::Duration};

use rdkafka::{ClientConfig, error::KafkaError};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    cli::ProduceArgs,
    client::{self, LoadClient},
    error::LoadError,
    pace::Pace,
    stats::{self, LoadStats, RecordOutcome, Summary, print},
    topic,
};
use crate::{clock::SharedClock, model::MonotonicTime};

/// Outcomes that may wait for the reporter. Many more than there can be producers, so that a
/// producer waits for its broker and not for our own printing.
const OUTCOMES_WAITING_MAX: usize = 4_096;

/// How long a record may take. A broker with a queue of many seconds must be seen as slow, not as
/// gone.
const DELIVERY_TIMEOUT_MS: &str = "120000";

/// Writes as `args` say until their time is over or `stop` is cancelled; prints reports to `out`.
///
/// Records that are in flight at the end are counted neither as acknowledged nor as errors.
///
/// # Errors
///
/// See [`LoadError`]. A record that is not acknowledged is counted, and no error of the load.
pub async fn produce(
    args: ProduceArgs,
    clock: SharedClock,
    stop: CancellationToken,
    out: &mut dyn Write,
) -> Result<Summary, LoadError> {
    let mut tally = LoadStats::new().map_err(LoadError::Histogram)?;
    let config = client_config(&args);
    let made = |source| LoadError::LoadClient { servers: args.kafka_server.join(","), source };

    let client = client::make(&config).map_err(made)?;
    let Some(partitions) = topic::wait(&args, client, &clock, &stop, out).await? else {
        return finish(tally, Duration::ZERO, &args, out);
    };

    let (outcomes, waiting) = mpsc::channel(OUTCOMES_WAITING_MAX);
    // Cancelled whichever way this function ends, so that no producer outlives it.
    let ends = stop.child_token();
    let _ends_with_this = ends.clone().drop_guard();
    let began = clock.monotonic();
    let mut threads_and_tasks = JoinSet::new();
    for index in 0..args.producers {
        let client = Arc::new(client::make(&config).map_err(made)?);
        threads_and_tasks.spawn_blocking(client::poller(Arc::clone(&client), ends.clone()));
        let writer = LoadProducer {
            client,
            clock: SharedClock::clone(&clock),
            pace: Pace::new(began, index, args.producers, args.rate),
            topic: args.topic.clone(),
            partitions: partitions_of(index, partitions, &args),
            record: value(args.record_bytes),
        };
        threads_and_tasks.spawn(writer.run(outcomes.clone(), ends.clone()));
    }
    drop(outcomes);

    let elapsed = Reporter { args: &args, clock: &clock, began, tally: &mut tally }
        .until_the_end(waiting, &ends, out)
        .await?;
    ends.cancel();
    while let Some(ended) = threads_and_tasks.join_next().await {
        if let Err(bug) = ended {
            std::panic::resume_unwind(bug.into_panic());
        }
    }
    finish(tally, elapsed, &args, out)
}

fn client_config(args: &ProduceArgs) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", args.kafka_server.join(","))
        .set("client.id", &args.client_id)
        .set("acks", args.acks.as_config())
        // Each record is a request of its own, and the next waits for it.
        .set("linger.ms", "0")
        .set("batch.num.messages", "1")
        .set("enable.idempotence", "false")
        .set("max.in.flight.requests.per.connection", "1")
        .set("socket.nagle.disable", "true")
        .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
        .set("request.timeout.ms", DELIVERY_TIMEOUT_MS)
        .set("socket.timeout.ms", DELIVERY_TIMEOUT_MS)
        // A broker that comes back is written to again soon, not after the default of 10 s.
        .set("reconnect.backoff.max.ms", "1000")
        .set("statistics.interval.ms", "0");
    config
}

/// The partitions that producer `index` writes to, one after the other.
fn partitions_of(index: u16, partitions: u16, args: &ProduceArgs) -> Vec<i32> {
    if args.pinned {
        return vec![i32::from(index % partitions)];
    }
    // Each starts at another one, so that they do not all meet at the same leader.
    let from_own = |it: u16| (u32::from(index) + u32::from(it)) % u32::from(partitions);
    (0..partitions).filter_map(|it| i32::try_from(from_own(it)).ok()).collect()
}

/// Bytes that no compression of the topic can shrink: what was asked for is what is written.
fn value(bytes: u32) -> Vec<u8> {
    let mut value = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    rand::fill(&mut value[..]);
    value
}

fn finish(
    tally: LoadStats,
    elapsed: Duration,
    args: &ProduceArgs,
    out: &mut dyn Write,
) -> Result<Summary, LoadError> {
    let summary = tally.summary(elapsed);
    let line = stats::summary_line(&summary, args.output).map_err(LoadError::Json)?;
    print(&line, out)?;
    Ok(summary)
}

struct LoadProducer {
    client: Arc<LoadClient>,
    clock: SharedClock,
    pace: Pace,
    topic: String,
    /// Written to in turn; never empty.
    partitions: Vec<i32>,
    record: Vec<u8>,
}

impl LoadProducer {
    /// One record, its acknowledgement, the next record, until `ends`.
    async fn run(self, outcomes: mpsc::Sender<RecordOutcome>, ends: CancellationToken) {
        let write = async {
            let mut connected = false;
            for partition in self.partitions.iter().copied().cycle() {
                let now = self.clock.monotonic();
                self.clock.sleep(self.pace.next(now).0.saturating_sub(now.0)).await;
                let outcome = match self.write(partition).await {
                    Ok(_connecting) if !connected => RecordOutcome::First,
                    Ok(latency) => RecordOutcome::Acked(latency),
                    Err(problem) => RecordOutcome::Failed(problem.to_string()),
                };
                connected |= matches!(outcome, RecordOutcome::First);
                if outcomes.send(outcome).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = write => (),
            () = ends.cancelled() => (),
        }
    }

    async fn write(&self, partition: i32) -> Result<Duration, KafkaError> {
        let began = self.clock.monotonic();
        client::write(&self.client, &self.topic, partition, &self.record).await?;
        Ok(self.clock.monotonic().0.saturating_sub(began.0))
    }
}

/// Collects what the producers saw and prints it.
struct Reporter<'a> {
    args: &'a ProduceArgs,
    clock: &'a SharedClock,
    began: MonotonicTime,
    tally: &'a mut LoadStats,
}

impl Reporter<'_> {
    /// Prints a line per report until the load's time is over or `ends` is cancelled; returns the
    /// time that it took.
    async fn until_the_end(
        self,
        mut waiting: mpsc::Receiver<RecordOutcome>,
        ends: &CancellationToken,
        out: &mut dyn Write,
    ) -> Result<Duration, LoadError> {
        if let Some(head) = stats::head(self.args.output) {
            print(head, out)?;
        }
        let mut reported = Duration::ZERO;
        while reported < self.args.duration {
            let next = (reported + self.args.report_every).min(self.args.duration);
            let mut tick = self.clock.sleep(next.saturating_sub(self.elapsed()));
            loop {
                tokio::select! {
                    () = ends.cancelled() => return Ok(self.elapsed()),
                    () = &mut tick => break,
                    Some(outcome) = waiting.recv() => self.tally.add(outcome),
                }
            }
            let elapsed = self.elapsed();
            let figures = self.tally.report(elapsed.saturating_sub(reported), elapsed);
            let line = stats::report_line(&figures, self.args.output).map_err(LoadError::Json)?;
            print(&line, out)?;
            reported = elapsed;
        }
        Ok(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.clock.monotonic().0.saturating_sub(self.began.0)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::{
        clock::SystemClock,
        load::{Acks, ReportFormat},
    };

    fn args(servers: &str) -> ProduceArgs {
        ProduceArgs {
            kafka_server: vec![servers.to_owned()],
            topic: "orders".to_owned(),
            partitions: None,
            producers: 4,
            rate: 100,
            record_bytes: 200,
            acks: Acks::Leader,
            pinned: true,
            duration: Duration::from_secs(1),
            client_id: "load".to_owned(),
            report_every: Duration::from_millis(400),
            output: ReportFormat::Text,
        }
    }

    fn clock() -> SharedClock {
        Arc::new(SystemClock::new())
    }

    #[test]
    fn a_pinned_producer_keeps_to_its_partition_and_others_go_round() {
        let pinned = args("a:9092");
        assert_eq!(partitions_of(26, 24, &pinned), [2]);
        let unpinned = ProduceArgs { pinned: false, ..pinned };
        assert_eq!(partitions_of(1, 3, &unpinned), [1, 2, 0]);
        let firsts: BTreeSet<i32> = (0..24).map(|it| partitions_of(it, 24, &unpinned)[0]).collect();
        assert_eq!(firsts.len(), 24);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn records_arrive_at_the_rate_and_are_reported() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 4, 1).unwrap();
        let mut out = Vec::new();
        let args = args(&cluster.bootstrap_servers());
        let summary = produce(args, clock(), CancellationToken::new(), &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(summary.figures.errors, 0, "{summary}");
        assert!((50..=110).contains(&summary.figures.acked), "{summary}");
        assert!(summary.figures.p50_ms.is_some(), "{summary}");
        assert_eq!(text.lines().count(), 1 + 3 + 1, "head, reports, summary: {text}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_topic_that_is_missing_is_waited_for_and_a_stop_ends_the_wait() {
        let cluster = MockCluster::new(1).unwrap();
        let stop = CancellationToken::new();
        let mut out = Vec::new();
        let soon = {
            let (clock, stop) = (clock(), stop.clone());
            async move {
                clock.sleep(Duration::from_millis(500)).await;
                stop.cancel();
            }
        };
        let load = produce(args(&cluster.bootstrap_servers()), clock(), stop, &mut out);
        let (summary, ()) = tokio::join!(load, soon);
        assert_eq!(summary.unwrap().figures.acked, 0);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("waiting for topic orders: it does not exist yet\n"), "{text}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_topic_with_fewer_partitions_than_asked_for_is_refused() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 4, 1).unwrap();
        let args = ProduceArgs { partitions: Some(5), ..args(&cluster.bootstrap_servers()) };
        let end = produce(args, clock(), CancellationToken::new(), &mut Vec::new()).await;
        let problem = end.unwrap_err().to_string();
        assert_eq!(problem, "topic orders has 4 partitions, 5 were asked for");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_slow_broker_slows_its_producers_and_a_stop_does_not_wait_for_it() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 4, 1).unwrap();
        cluster.broker_round_trip_time(1, Duration::from_secs(5)).unwrap();
        let stop = CancellationToken::new();
        let clock = clock();
        let began = clock.monotonic();
        let soon = {
            let (clock, stop) = (SharedClock::clone(&clock), stop.clone());
            async move {
                clock.sleep(Duration::from_millis(700)).await;
                stop.cancel();
            }
        };
        let args = ProduceArgs { output: ReportFormat::Json, ..args(&cluster.bootstrap_servers()) };
        let mut out = Vec::new();
        let load = produce(args, SharedClock::clone(&clock), stop, &mut out);
        let (summary, ()) = tokio::join!(load, soon);
        assert!(summary.unwrap().figures.acked <= 4);
        let took = clock.monotonic().0.saturating_sub(began.0);
        assert!(took < Duration::from_secs(4), "{took:?}");
    }
}
